"""Every part of every shelf keeps every promise of its role; both are found, none is listed."""

from __future__ import annotations

import gzip
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paceline.checks import check, promises
from paceline.core import catalog
from paceline.core.errors import MissingExtra


def _cases(*, needs_place: bool) -> list[Any]:
    return [
        pytest.param(shelf, name, promise, id=f"{shelf}/{name} {promise.sentence}")
        for shelf in catalog.SHELVES
        for name in catalog.names(shelf)
        for promise in promises(shelf)
        if promise.needs_place == needs_place
    ]


def _expect_kept(shelf: str, name: str, promise: Any, place: Any = None) -> None:
    try:
        finding = check(promise, catalog.find(shelf, name), place=place)
    except MissingExtra as missing:
        pytest.skip(str(missing))
    assert finding.passed, f"{shelf}/{name} {finding.promise}: {finding.why}"


@pytest.mark.parametrize(("shelf", "name", "promise"), _cases(needs_place=False))
def test_a_part_keeps_its_promise(shelf, name, promise):
    _expect_kept(shelf, name, promise)


@pytest.mark.parametrize(("shelf", "name", "promise"), _cases(needs_place=True))
def test_a_source_keeps_its_promise_about_a_place_of_its_kind(shelf, name, promise, places):
    _expect_kept(shelf, name, promise, places[name])


def test_every_source_has_a_place_to_try(places):
    assert sorted(places) == sorted(catalog.names("data")), "add a place to the fixture"


def test_every_place_is_recognised_by_one_source_alone(places):
    for name, place in places.items():
        assert [part for part, kind in catalog.parts("data") if kind.recognises(place)] == [name]


def test_no_two_monitors_give_the_same_number():
    from paceline.core.readings import Glimpse

    owners: dict[str, str] = {}
    for name, part in catalog.parts("monitors"):
        monitor = part()
        for step in range(1, 20):
            glimpse = Glimpse(
                step=step,
                loss=1.0,
                examples=8,
                elapsed_seconds=0.1 * step,
                gradient_norm=1.0,
                learning_rate=0.1,
            )
            for number in monitor.read(glimpse):
                assert owners.setdefault(number, name) == name


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small place of each kind, by the name of the part that reads it."""
    folder = tmp_path_factory.mktemp("places")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (30, 6, 6), dtype=np.uint8)
    labels = np.arange(30) % 3
    return {
        "arrays": (pixels, labels),
        "audio_folder": _sounds(folder / "sounds", random),
        "conll": _tagged(folder / "tagged.conll"),
        "digits": "digits",
        "environment": "CartPole-v1",
        "idx": _idx(folder / "idx", pixels, labels),
        "image_folder": _images(folder / "pictures", pixels, labels),
        "npz": _npz(folder / "arrays.npz", pixels, labels),
        "plain_text": _text(folder / "speech.txt"),
        "table": _table(folder / "table.csv", random.normal(size=(30, 2)), labels),
        "text_folder": _reviews(folder / "reviews"),
        "texts": [{"text": f"a {label} film", "label": label} for label in ("good", "bad")] * 5,
    }


def _idx(folder: Path, pixels: Any, labels: Any) -> Path:
    folder.mkdir()
    images = struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes()
    names = struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(names)
    return folder


def _sounds(folder: Path, random: Any) -> Path:
    for row in range(6):
        place = folder / f"class {row % 2}"
        place.mkdir(parents=True, exist_ok=True)
        with wave.open(str(place / f"{row}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(random.integers(-9000, 9000, 400, dtype=np.int16).tobytes())
    return folder


def _images(folder: Path, pixels: Any, labels: Any) -> Path:
    image = pytest.importorskip("PIL.Image")
    for row, label in enumerate(labels):
        place = folder / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels[row]).save(place / f"{row}.png")
    return folder


def _npz(path: Path, pixels: Any, labels: Any) -> Path:
    np.savez_compressed(path, x=pixels, y=labels)
    return path


def _tagged(path: Path) -> Path:
    sentence = ["Ada B-PER", "Lovelace I-PER", "lives O", "in O", "London B-LOC", ". O", ""]
    path.write_text("\n".join(sentence * 12) + "\n")
    return path


def _text(path: Path) -> Path:
    path.write_text("To be, or not to be: that is the question.\nNo more; and by a sleep\n" * 9)
    return path


def _reviews(folder: Path) -> Path:
    for row in range(12):
        place = folder / ["good", "bad"][row % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}.txt").write_text(f"A {place.name} film, seen {row} times.\n")
    return folder


def _table(path: Path, numbers: Any, labels: Any) -> Path:
    rows = [f"{a:.4f},{b:.4f},{'abc'[c]}" for (a, b), c in zip(numbers, labels, strict=True)]
    path.write_text("\n".join(["width,height,target", *rows]) + "\n")
    return path
