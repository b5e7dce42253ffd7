"""Folders of sounds are read as they are, and what is wrong with them is told."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from paceline.core.errors import DataError
from paceline.data.audio_folder import AudioFolder
from paceline.data.base import class_folders


def sound(path: Path, hertz: float = 300.0, rate: int = 8000, samples: int = 600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    waves = 9000 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(waves.astype("<i2").tobytes())
    return path


@pytest.fixture
def birds(tmp_path):
    for name, hertz in (("owl", 200), ("wren", 900)):
        for number in range(3):
            sound(tmp_path / "birds" / name / f"{number}.wav", hertz, samples=600 + number)
    return tmp_path / "birds"


def test_a_folder_for_each_class_becomes_waveforms_and_labels(opened, birds):
    corpus = opened(birds)
    assert corpus.kind == "audio"
    assert corpus.facts["sample_rate"] == 8000
    assert corpus.facts["classes"] == {"owl": 3, "wren": 3}
    assert corpus.train.targets.tolist() == ["owl"] * 3 + ["wren"] * 3
    assert [len(each) for each in corpus.train.inputs] == [600, 601, 602] * 2
    assert corpus.train.inputs[0].dtype == np.float32


def test_parts_stay_as_they_are_and_have_the_rate_of_the_training_part(opened, birds, tmp_path):
    (tmp_path / "both").mkdir()
    birds.rename(tmp_path / "both" / "train")
    for name in ("owl", "wren"):
        sound(tmp_path / "both" / "test" / name / "a.wav", rate=16000, samples=1200)
    corpus = opened(tmp_path / "both")
    assert len(corpus.test) == 2
    assert all(abs(len(each) - 600) <= 1 for each in corpus.test.inputs)
    assert any("8000 samples a second" in note for note in corpus.notes)


def test_the_rate_of_a_trained_run_is_kept(opened, inputs_of, birds):
    assert opened(birds, sample_rate=4000).facts["sample_rate"] == 4000
    examples = inputs_of(birds / "owl" / "0.wav", sample_rate=4000)
    assert len(examples.inputs[0]) == 300
    assert examples.targets is None
    assert len(inputs_of(birds / "owl", sample_rate=8000)) == 3
    assert inputs_of(birds, sample_rate=8000).targets.tolist()[0] == "owl"


def test_one_sound_is_no_folder_to_learn_from(opened, birds):
    with pytest.raises(DataError, match="one sound; training needs a folder"):
        opened(birds / "owl" / "0.wav")


def test_one_class_is_refused(opened, birds):
    with pytest.raises(DataError, match="at least two classes; found only 'owl'"):
        (birds / "wren").rename(birds.parent / "elsewhere")
        opened(birds)


def test_an_empty_sound_stops_the_reading_unless_it_may_be_left_out(opened, birds):
    (birds / "owl" / "0.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.wav is empty.*--skip-bad"):
        opened(birds)
    corpus = opened(birds, skip_bad=True)
    assert len(corpus.train) == 5
    assert corpus.facts["classes"] == {"owl": 2, "wren": 3}


def test_a_folder_that_a_table_tells_of_is_left_to_the_table(birds):
    assert AudioFolder.recognises(birds)
    (birds / "notes.csv").write_text("a,b\n1,2\n")
    assert AudioFolder.recognises(birds)
    (birds / "train.csv").write_text("path,label\nowl/0.wav,owl\n")
    assert not AudioFolder.recognises(birds)
    (birds / "owl" / "labels.csv").write_text("path,label\n0.wav,owl\n")
    assert not AudioFolder.recognises(birds / "owl")


def test_looking_for_sounds_gives_up_in_a_very_large_folder(birds, monkeypatch):
    monkeypatch.setattr(class_folders, "_MOST_ENTRIES_LOOKED_AT", 1)
    assert not AudioFolder.recognises(birds)


def test_other_sounds_have_another_fingerprint(opened, birds):
    before = opened(birds).fingerprint
    assert opened(birds).fingerprint == before
    sound(birds / "owl" / "0.wav", 210)
    assert opened(birds).fingerprint != before


def test_groups_need_a_table(opened, birds):
    with pytest.raises(DataError, match="no column 'speaker' to group by"):
        opened(birds, group="speaker")
