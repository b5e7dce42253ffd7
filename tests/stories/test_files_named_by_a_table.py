"""A table of names and labels is enough to learn from sounds and from pictures."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest

import paceline
from paceline.core.errors import DataError

pytest.importorskip("pandas")


@pytest.fixture
def voices(tmp_path) -> Path:
    """Two words by four speakers, six times each, and a table of them."""
    rows, random = [["file", "word", "speaker"]], np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for at in range(48):
        word, speaker = at % 2, at % 8 // 2
        time = np.arange(int(random.integers(800, 1000))) / 8000
        waves = 9000 * np.sin(2 * np.pi * (400 + 600 * word + 30 * speaker) * time)
        name = f"clips/{at}.wav"
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(waves.astype("<i2").tobytes())
        rows.append([name, ["low", "high"][word], f"s{speaker}"])
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "clips.csv"


def _fit(place: Path, **given):
    return paceline.fit(place, steps=6, out="run", baselines=False, seed=0, **given)


def test_sounds_are_learnt_from_a_table_by_speaker_and_predicted(voices):
    run = _fit(voices, target="word", assignments=("data.group=speaker",))
    facts = run.facts["data"]
    assert facts["kind"] == "audio"
    assert facts["train"] == 24
    assert facts["test"] == 12
    loaded = paceline.load("run")
    of_table = loaded.predict(voices)
    assert set(of_table) <= {"low", "high"}
    one = loaded.answers(voices.parent / "clips" / "0.wav")
    assert one["prediction"] == [of_table[0]]
    assert "accuracy" in loaded.evaluate(voices)


def test_the_label_of_a_table_of_sounds_is_found_by_its_name(voices):
    text = voices.read_text().replace("file,word,speaker", "file,label,speaker")
    voices.write_text(text)
    run = _fit(voices)
    assert run.facts["data"]["target"] == "label"
    assert len(run.predict(voices)) == 48


def test_a_sound_of_no_bytes_is_told_by_its_name(voices):
    (voices.parent / "clips" / "7.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"7\.wav is empty"):
        _fit(voices, target="word")


def test_pictures_are_learnt_from_a_table_and_their_mistakes_shown(tmp_path):
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    rows = [["path", "label"]]
    for at in range(60):
        pixels = random.integers(0, 256, (8 + at % 2, 8, 3), dtype=np.uint8)
        image.fromarray(pixels).convert("L" if at % 3 else "RGB").save(tmp_path / f"{at}.png")
        rows.append([f"{at}.png", at % 4])
    with (tmp_path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    run = _fit(tmp_path / "index.csv", target="label")
    assert run.facts["data"]["kind"] == "image"
    found = run.facts["result"]["findings"]
    assert [each["title"] for each in found][-1] == "Worst mistakes"
    assert found[-1]["rows"][0][0].startswith("data:image/png;base64,")
    assert len(run.predict(tmp_path / "index.csv")) == 60
    assert len(run.predict(tmp_path / "0.png")) == 1
