"""Sounds become waveforms of one length; tables may name the files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples
from paceline.tasks.audio import Audio
from paceline.tasks.base import Classification
from paceline.tasks.base.waveforms import fitted, varied

pandas = pytest.importorskip("pandas")


def _sounds(lengths=(700, 800, 900), loudness=0.1) -> Corpus:
    waveforms = np.empty(len(lengths), dtype=object)
    for at, length in enumerate(lengths):
        tone = np.sin(np.arange(length) * (0.3 + 0.3 * (at % 2)))
        waveforms[at] = (loudness * tone).astype(np.float32)
    train = Examples(inputs=waveforms, targets=np.arange(len(lengths)) % 2)
    return Corpus(name="x", kind="audio", train=train, fingerprint="0", facts={"sample_rate": 8000})


def _task(corpus=None, **settings) -> Audio:
    corpus = corpus or _sounds()
    return Audio.from_corpus(corpus, corpus.train, Classification([0, 1]), **settings)


def _write(path: Path, hertz: float, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    waves = 9000 * np.sin(2 * np.pi * hertz * np.arange(rate // 10) / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(waves.astype("<i2").tobytes())


@pytest.fixture
def table(tmp_path) -> Corpus:
    """A table of twelve sounds beside it."""
    rows = []
    for at in range(12):
        _write(tmp_path / "clips" / f"{at}.wav", 300 + 500 * (at % 2))
        rows.append((f"clips/{at}.wav", "ann" if at < 6 else "bob"))
    train = Examples(
        inputs=pandas.DataFrame(rows, columns=["file", "speaker"]),
        targets=np.array(["low", "high"] * 6, dtype=object),
    )
    facts = {"target": "word", "folder": str(tmp_path)}
    return Corpus(name="words", kind="table", train=train, fingerprint="0", facts=facts)


def test_a_table_that_names_sounds_is_claimed(table):
    claim = Audio.claim(table, {})
    assert claim is not None
    assert claim.strength > 0.5
    assert "file" in claim.reason
    assert claim.corpus.kind == "audio"
    assert claim.corpus.facts["sample_rate"] == 8000
    assert [len(each) for each in claim.corpus.train.inputs] == [800] * 12
    assert claim.corpus.train.targets.tolist() == ["low", "high"] * 6
    assert "columns that are not used: speaker" in claim.corpus.notes


def test_tables_of_other_things_are_not_claimed(table):
    frame = table.train.inputs.assign(file=[f"{at}.txt" for at in range(12)])
    other = Corpus(
        name="x",
        kind="table",
        train=Examples(inputs=frame, targets=table.train.targets),
        fingerprint="0",
        facts=table.facts,
    )
    assert Audio.claim(other, {}) is None
    missing = table.train.inputs.assign(file=[f"none/{at}.wav" for at in range(12)])
    other = Corpus(
        name="x",
        kind="table",
        train=Examples(inputs=missing, targets=table.train.targets),
        fingerprint="0",
        facts=table.facts,
    )
    assert Audio.claim(other, {}) is None


def test_a_column_that_was_named_must_be_there_and_hold_names_of_files(table):
    with pytest.raises(DataError, match=r"no column .flie.*file"):
        Audio.claim(table, {"audio": "flie"})
    with pytest.raises(DataError, match="row 1 of the column speaker names 'ann'"):
        Audio.claim(table, {"audio": "speaker"})
    assert Audio.claim(table, {"audio": "file"}) is not None


def test_a_run_that_learnt_from_a_table_reads_another_table(table, tmp_path):
    corpus = Audio.claim(table, {}).corpus
    task = Audio.from_corpus(corpus, corpus.train, Classification(["high", "low"]))
    task = Audio.from_json(task.to_json())
    more = table.train.inputs.iloc[3:5]
    native = task.encode(Examples(inputs=corpus.train.inputs[3:5], targets=None))
    read = task.encode(Examples(inputs=more, targets=None))
    assert torch.equal(native.inputs[0], read.inputs[0])
    with pytest.raises(DataError, match="no column 'file'"):
        task.encode(Examples(inputs=more[["speaker"]], targets=None))
    gone = more.assign(file=["clips/3.wav", None])
    with pytest.raises(DataError, match="row 2 of the column file names no file"):
        task.encode(Examples(inputs=gone, targets=None))


def test_names_start_from_the_folder_of_their_own_table(table, tmp_path):
    corpus = Audio.claim(table, {}).corpus
    task = Audio.from_corpus(corpus, corpus.train, Classification(["high", "low"]))
    _write(tmp_path / "elsewhere" / "new.wav", 300)
    frame = pandas.DataFrame({"file": ["new.wav"]})
    with pytest.raises(DataError, match=r"new\.wav"):
        task.encode(Examples(inputs=frame, targets=None))
    frame.attrs["folder"] = str(tmp_path / "elsewhere")
    assert len(task.encode(Examples(inputs=frame, targets=None))) == 1


def test_without_a_target_the_label_is_found_by_its_name(table):
    frame = table.train.inputs.assign(label=["low", "high"] * 6)
    bare = Corpus(
        name="x",
        kind="table",
        train=Examples(inputs=frame, targets=None),
        fingerprint="0",
        facts=table.facts,
    )
    claim = Audio.claim(bare, {})
    assert claim.corpus.facts["target"] == "label"
    assert claim.corpus.train.targets.tolist()[:2] == ["low", "high"]


def test_where_no_label_can_be_told_a_person_is_asked_for_it(table):
    frame = table.train.inputs.assign(other="a")
    bare = Corpus(
        name="x",
        kind="table",
        train=Examples(inputs=frame, targets=None),
        fingerprint="0",
        facts=table.facts,
    )
    claim = Audio.claim(bare, {})
    with pytest.raises(DataError, match="--target"):
        Audio.find_goal(claim.corpus, None, {})


def test_a_label_that_is_missing_is_named(table):
    frame = table.train.inputs.assign(label=["low", None] * 6)
    bare = Corpus(
        name="x",
        kind="table",
        train=Examples(inputs=frame, targets=None),
        fingerprint="0",
        facts=table.facts,
    )
    with pytest.raises(DataError, match="row 2 has no label"):
        Audio.claim(bare, {})


def test_a_run_of_a_folder_does_not_take_a_table(table):
    with pytest.raises(DataError, match="folder of sounds, not on a table"):
        _task().encode(Examples(inputs=table.train.inputs, targets=None))


def test_the_length_is_that_of_nearly_all_training_sounds():
    lengths = [800] * 199 + [5000]
    task = _task(_sounds(lengths))
    assert task.length == 800
    assert "1 of 200 sounds are longer than 0.1 seconds" in task.notes()[0]
    assert _task(seconds=0.05).length == 400
    assert _task(_sounds([200_000] * 3)).length == 80_000
    assert not _task().notes()


@pytest.mark.parametrize(
    "settings",
    [{"seconds": 0}, {"seconds": 31}, {"shift": 2}, {"speed": 0.9}, {"gain": -1}, {"bands": 3}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        _task(**settings)


def test_loudness_and_bands_are_in_the_signature():
    field = _task().signature().inputs[0]
    assert field.scale[0] == pytest.approx(0.1 / np.sqrt(2), rel=1e-2)
    assert len(field.bins[0]) == 42
    assert field.bins[0][-1] == 4000
    assert len(_task(bands=16).signature().inputs[0].bins[0]) == 18


def test_silent_sounds_have_a_signature_and_features_too():
    corpus = _sounds(loudness=0.0)
    task = _task(corpus)
    assert task.signature().inputs[0].scale[0] > 0
    assert np.isfinite(task.features(corpus.train)).all()


def test_features_tell_tones_apart():
    corpus = _sounds([800] * 8)
    features = _task(corpus).features(corpus.train)
    assert features.shape == (8, 121)
    np.testing.assert_allclose(features[0], features[2], atol=1e-4)
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_waveforms_of_another_form_are_refused():
    with pytest.raises(DataError, match="sound 1 is no waveform"):
        fitted([np.zeros((2, 3))], 4)


@pytest.mark.parametrize(
    ("setting", "value"), [("shift", 40.0), ("speed", 0.3), ("gain", 6.0), ("noise", 0.5)]
)
def test_each_kind_of_change_changes_waveforms(setting, value):
    waveforms = torch.from_numpy(fitted(_sounds().train.inputs, 900))
    off = {"shift": 0.0, "speed": 0.0, "gain": 0.0, "noise": 0.0}
    same = varied(waveforms, torch.Generator().manual_seed(0), **off)
    assert torch.allclose(same, waveforms)
    other = varied(waveforms, torch.Generator().manual_seed(0), **(off | {setting: value}))
    assert not torch.allclose(other, waveforms)
    again = varied(waveforms, torch.Generator().manual_seed(0), **(off | {setting: value}))
    assert torch.equal(other, again)


def test_a_sound_that_begins_later_is_the_same_sound():
    waveforms = torch.from_numpy(fitted([np.ones(50, np.float32)], 100))
    moved = varied(
        waveforms, torch.Generator().manual_seed(0), shift=30.0, speed=0.0, gain=0.0, noise=0.0
    )
    assert moved.sum().item() == pytest.approx(50, abs=1.5)
    assert moved[0, 0] < 1


def test_sounds_that_cannot_be_read_are_told_of_by_their_row(table, tmp_path):
    (tmp_path / "clips" / "0.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.wav is empty.*take their rows out"):
        Audio.claim(table, {})


def test_progress_is_silent_in_a_claim(table, capsys):
    Audio.claim(table, {})
    assert capsys.readouterr().out == ""
    Silence().say("nothing")
