"""Folders of images: one folder for each class, with or without parts of their own."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, LazyImages, Opening, Source
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import short_name, visible
from paceline.data.base.memory import available_bytes
from paceline.data.base.pictures import (
    Header,
    in_pool,
    is_image,
    read_header,
    read_image,
    reader,
)

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_LONGEST = 96
_LONGEST_AS_IT_IS = 256
_MOST_ENTRIES_LOOKED_AT = 20_000


@final
class ImageFolder(Source):
    """One folder of images for each class, or ``train`` and ``test`` folders with these.

    Images of different sizes are brought to the median size, the longer side at most 96
    pixels; images that all have one size of at most 256 pixels stay as they are. What fits
    in a quarter of the free memory is decoded once, and the rest when it is needed.
    """

    promise = "a folder with one folder of images per class (jpg png bmp gif webp tiff)"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return False
        return _holds_image(place) if place.is_dir() else is_image(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        if not place.is_dir():
            raise DataError(f"{place} is one image; training needs a folder of them per class")
        notes: list[str] = []
        files = _by_part(place, notes)
        _refuse_classes(files, place, notes)
        headers = _headers([one for part in files.values() for one in part], opening, notes)
        files = {part: [f for f in some if f.path in headers] for part, some in files.items()}
        shape = opening.image_shape or _shape(list(headers.values()), place, notes)
        parts = {
            part: _examples(some, shape, headers, opening, notes) for part, some in files.items()
        }
        counts = Counter(one.label for one in files["train"])
        return Corpus(
            name=short_name(place),
            kind="image",
            train=parts["train"],
            validation=parts.get("validation"),
            test=parts.get("test"),
            fingerprint=_fingerprint(place, files, headers, shape),
            notes=tuple(notes),
            facts={
                "shape": list(shape),
                "classes": dict(sorted(counts.items())),
                **{f"{part}_examples": len(examples) for part, examples in parts.items()},
            },
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        files, notes = _to_predict(place), list[str]()
        headers = _headers(files, opening, notes)
        files = [one for one in files if one.path in headers]
        shape = opening.image_shape or _shape(list(headers.values()), place, notes)
        examples = _examples(files, shape, headers, opening, notes)
        for note in notes:
            opening.progress.warn(note)
        return examples


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    label: str | None


def _holds_image(folder: Path) -> bool:
    looked = 0
    for _, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(is_image(Path(name)) and not name.startswith(".") for name in names):
            return True
        looked += len(names) + len(folders)
        if looked > _MOST_ENTRIES_LOOKED_AT:
            return False
    return False


def _images_in(folder: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(where, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if is_image(path)]


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if entry.is_dir()]


def _classes(folder: Path) -> list[_File]:
    return [_File(path, entry.name) for entry in _folders(folder) for path in _images_in(entry)]


def _split_folders(place: Path) -> dict[str, Path]:
    """Folders that are parts and not classes: named so, and with folders of images within."""
    found: dict[str, Path] = {}
    for entry in _folders(place):
        part = _SPLITS.get(entry.name.lower())
        if part and any(_holds_image(inner) for inner in _folders(entry)):
            if part in found:
                raise DataError(f"{found[part]} and {entry} both are the {part} part; keep one")
            found[part] = entry
    return found


def _by_part(place: Path, notes: list[str]) -> dict[str, list[_File]]:
    splits = _split_folders(place)
    if not splits:
        return {"train": _classes(place)}
    if "train" not in splits:
        raise DataError(f"{place} has a folder {next(iter(splits.values())).name} but no train")
    others = sorted(entry.name for entry in _folders(place) if entry not in splits.values())
    if others:
        notes.append(f"not read, as they have no classes within: {', '.join(others)} in {place}")
    return {part: _classes(folder) for part, folder in sorted(splits.items())}


def _refuse_classes(files: dict[str, list[_File]], place: Path, notes: list[str]) -> None:
    counts = Counter(one.label for one in files["train"])
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise DataError(
            f"{place} needs a folder of images for each of at least two classes; found {found}"
        )
    alone = sorted(str(label) for label, count in counts.items() if count == 1)
    if len(alone) == len(counts):
        raise DataError(f"every class in {place} has a single image; more of each are needed")
    if alone:
        notes.append(f"classes with a single image: {', '.join(alone[:5])} ({len(alone)} in all)")
    for part, some in files.items():
        strange = sorted({str(one.label) for one in some} - set(map(str, counts)))
        if strange:
            raise DataError(
                f"the {part} part of {place} has a class {strange[0]!r} that is not in train"
            )


def _headers(files: list[_File], opening: Opening, notes: list[str]) -> dict[Path, Header]:
    paths = [one.path for one in files]
    results = in_pool(read_header, paths, opening.progress, "looking at images")
    return _good(dict(zip(paths, results, strict=True)), opening, notes)


def _good(results: dict[Path, Any], opening: Opening, notes: list[str]) -> dict[Path, Any]:
    """What could be read; the rest is an error, or left out where that was asked for."""
    bad = [result for result in results.values() if isinstance(result, DataError)]
    if bad and not opening.skip_bad:
        raise DataError(
            f"{bad[0]}; {len(bad)} of {len(results)} images are bad; mend them, or leave them"
            " out with --skip-bad"
        )
    if bad:
        notes.append(f"{len(bad)} of {len(results)} images were left out; the first: {bad[0]}")
    if len(bad) == len(results):
        raise DataError("none of the images can be read")
    return {path: one for path, one in results.items() if not isinstance(one, DataError)}


def _shape(headers: list[Header], place: Path, notes: list[str]) -> tuple[int, int, int]:
    channels = 1 if all(header.grey for header in headers) else 3
    sizes = {(header.height, header.width) for header in headers}
    height = median(header.height for header in headers)
    width = median(header.width for header in headers)
    longest = max(height, width)
    if len(sizes) == 1 and longest <= _LONGEST_AS_IT_IS:
        return channels, int(height), int(width)
    scale = min(1.0, _LONGEST / longest)
    shape = channels, max(1, round(height * scale)), max(1, round(width * scale))
    notes.append(
        f"{place} has images of {len(sizes)} size{'s' * (len(sizes) > 1)}; all are brought to"
        f" {shape[1]} x {shape[2]} pixels (height x width), their proportions kept"
    )
    return shape


def _examples(
    files: list[_File],
    shape: tuple[int, int, int],
    headers: dict[Path, Header],
    opening: Opening,
    notes: list[str],
) -> Examples:
    needed = len(files) * int(np.prod(shape))
    if needed <= available_bytes() / 4:
        files, inputs = _decoded(files, shape, opening, notes)
    else:
        if opening.skip_bad:
            files = _verified(files, shape, opening, notes)
        inputs = LazyImages([one.path for one in files], reader(shape), shape)
    labels = [one.label for one in files]
    targets = None if None in labels else np.array([*labels, None], dtype=object)[:-1]
    return Examples(inputs=inputs, targets=targets)


def _decoded(
    files: list[_File], shape: tuple[int, int, int], opening: Opening, notes: list[str]
) -> tuple[list[_File], Any]:
    pixels = np.empty((len(files), *shape), np.uint8)

    def decode(row: int) -> bool:
        pixels[row] = read_image(files[row].path, shape)
        return True

    results = in_pool(decode, range(len(files)), opening.progress, "decoding images")
    by_path = dict(zip([one.path for one in files], results, strict=True))
    good = _good(by_path, opening, notes) if files else {}
    if len(good) == len(files):
        return files, pixels
    kept = [row for row, one in enumerate(files) if one.path in good]
    return [files[row] for row in kept], pixels[kept]


def _verified(
    files: list[_File], shape: tuple[int, int, int], opening: Opening, notes: list[str]
) -> list[_File]:
    """Those that decode; a damaged one would otherwise stop the training later on."""

    def decodes(path: Path) -> bool:
        read_image(path, shape)
        return True

    paths = [one.path for one in files]
    results = in_pool(decodes, paths, opening.progress, "checking images")
    good = _good(dict(zip(paths, results, strict=True)), opening, notes)
    return [one for one in files if one.path in good]


def _to_predict(place: Path) -> list[_File]:
    if not place.is_dir():
        return [_File(place, None)]
    if any(is_image(entry) for entry in visible(place)):
        return [_File(entry, None) for entry in visible(place) if is_image(entry)]
    splits = _split_folders(place)
    part = next((splits[name] for name in ("test", "validation", "train") if name in splits), place)
    return _classes(part)


def _fingerprint(
    place: Path, files: dict[str, list[_File]], headers: dict[Path, Header], shape: Any
) -> str:
    """Of names, sizes and beginnings: the same whether images are decoded now or later."""
    rows = [
        f"{part} {one.path.relative_to(place).as_posix()} {headers[one.path].file_bytes}"
        f" {headers[one.path].digest}"
        for part, some in files.items()
        for one in some
    ]
    return fingerprint("image_folder", shape, rows)
