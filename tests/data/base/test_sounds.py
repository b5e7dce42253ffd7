from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from paceline.core.errors import DataError, MissingExtra
from paceline.core.progress import Silence
from paceline.data.base import sounds
from paceline.data.base.sounds import read_sound, read_sounds, resampled

RATE = 8000


def tone(seconds: float = 0.2, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, width: int = 2) -> Path:
    frames = samples[:, None] if samples.ndim == 1 else samples
    whole = np.round(frames.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype("<i8")
    raw = (
        (whole + 128).astype(np.uint8).tobytes()
        if width == 1
        else whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    )
    with wave.open(str(path), "wb") as file:
        file.setparams((frames.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(raw)
    return path


@pytest.fixture
def no_soundfile(monkeypatch):
    def missing(*_args, **_rest):
        raise MissingExtra('reading needs soundfile: pip install "paceline[audio]"')

    monkeypatch.setattr(sounds, "need", missing)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_is_read_the_same_with_and_without_soundfile(tmp_path, monkeypatch, width):
    pytest.importorskip("soundfile")
    path = write_wav(tmp_path / "a.wav", tone(), width=width)
    with_it = read_sound(path)

    def missing(*_args, **_rest):
        raise MissingExtra("no soundfile")

    monkeypatch.setattr(sounds, "need", missing)
    without = read_sound(path)
    assert with_it.rate == without.rate == RATE
    np.testing.assert_allclose(with_it.samples, without.samples, atol=1e-6)
    np.testing.assert_allclose(without.samples, tone(), atol=2.0 ** (2 - 8 * width) + 1e-6)


@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_other_kinds_need_soundfile(tmp_path, no_soundfile, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"anything")
    with pytest.raises(MissingExtra, match=r"paceline\[audio\]"):
        read_sound(path)


@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_other_kinds_hold_the_same_sound(tmp_path, ending):
    library = pytest.importorskip("soundfile")
    path = tmp_path / f"a.{ending}"
    library.write(path, tone(), RATE)
    found = read_sound(path)
    assert found.rate == RATE
    assert len(found.samples) == len(tone())
    assert np.corrcoef(found.samples, tone())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 bytes"),
        (b"these are words, not sounds", "cannot be read as a sound"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "cannot be read as a sound"),
    ],
)
@pytest.mark.parametrize("library", [True, False])
def test_what_is_no_sound_is_told_in_one_line(
    tmp_path, monkeypatch, request, content, says, library
):
    if library:
        pytest.importorskip("soundfile")
    else:
        request.getfixturevalue("no_soundfile")
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as raised:
        read_sound(path)
    assert "\n" not in str(raised.value)
    assert "a.wav" in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_sound(tmp_path / "a.wav")


def test_a_sound_of_no_length_is_refused(tmp_path):
    with pytest.raises(DataError, match="no length"):
        read_sound(write_wav(tmp_path / "a.wav", tone()[:0]))


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    library = pytest.importorskip("soundfile")
    samples = tone()
    samples[5] = np.nan
    library.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="no finite numbers"):
        read_sound(tmp_path / "a.wav")


@pytest.mark.parametrize(("rate", "channels", "says"), [(7, 1, "7 samples"), (8000, 99, "99 ch")])
def test_odd_headers_are_refused(tmp_path, no_soundfile, rate, channels, says):
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 44, b"WAVE", b"fmt ", 16, 1, channels, rate,
                       2 * rate * channels, 2 * channels, 16)  # fmt: skip
    (tmp_path / "a.wav").write_bytes(head + struct.pack("<4sI", b"data", 0))
    with pytest.raises(DataError, match=says):
        read_sound(tmp_path / "a.wav")


def test_only_the_first_half_minute_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sounds, "LONGEST_SECONDS", 0.1)
    for _ in range(2):
        found = read_sound(write_wav(tmp_path / "a.wav", tone(0.2)))
        assert found.cut
        assert len(found.samples) == 800
        monkeypatch.setattr(sounds, "need", _no_library)


def _no_library(*_args, **_rest):
    raise MissingExtra("no soundfile")


def test_oddities_are_counted_in_notes(tmp_path):
    loud = np.clip(4 * tone(), -1, 1)
    paths = [
        write_wav(tmp_path / "plain.wav", tone()),
        write_wav(tmp_path / "plain2.wav", tone()),
        write_wav(tmp_path / "silent.wav", 0 * tone()),
        write_wav(tmp_path / "clipped.wav", loud),
        write_wav(tmp_path / "stereo.wav", np.stack([tone(), 0.5 * tone()], 1)),
        write_wav(tmp_path / "fast.wav", tone(rate=44100), rate=44100),
    ]
    kept, waveforms, rate, notes = read_sounds(paths, None, Silence())
    assert kept == list(range(6))
    assert rate == RATE
    told = {note.split("(the first")[0].strip(): note for note in notes}
    assert set(told) == {
        "1 of 6 sounds are silent",
        "1 of 6 sounds are clipped: they reach full scale and stay there",
        "1 of 6 sounds have several channels, which were mixed to one",
        "1 of 6 sounds have another rate and were brought to 8000 samples a second",
    }
    np.testing.assert_allclose(waveforms[4], 0.75 * tone(), atol=1e-4)
    assert abs(len(waveforms[5]) - len(waveforms[0])) <= 1
    np.testing.assert_allclose(waveforms[5][200:1400], tone()[200:1400], atol=2e-3)


def test_bad_sounds_stop_the_reading_or_are_left_out(tmp_path):
    good = write_wav(tmp_path / "good.wav", tone())
    (tmp_path / "bad.wav").write_bytes(b"")
    paths = [tmp_path / "bad.wav", good]
    with pytest.raises(DataError, match=r"bad\.wav.*1 of 2.*--skip-bad"):
        read_sounds(paths, None, Silence())
    with pytest.raises(DataError, match="take their rows out"):
        read_sounds(paths, None, Silence(), skip_bad=None)
    kept, waveforms, _, notes = read_sounds(paths, None, Silence(), skip_bad=True)
    assert kept == [1]
    assert len(waveforms) == 1
    assert "left out" in notes[0]
    with pytest.raises(DataError, match="none of the 1 sounds"):
        read_sounds(paths[:1], None, Silence(), skip_bad=True)


def test_too_many_sounds_are_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", tone())
    monkeypatch.setattr("paceline.data.base.memory.available_bytes", lambda: 100)
    with pytest.raises(DataError, match="would take"):
        read_sounds([path], None, Silence())


@pytest.mark.parametrize(("rate", "wanted"), [(44100, 16000), (8000, 16000), (16000, 11025)])
def test_a_tone_stays_a_tone_at_another_rate(rate, wanted):
    found = resampled(tone(0.3, 500, rate), rate, wanted)
    want = tone(0.3, 500, wanted)
    assert abs(len(found) - len(want)) <= 1
    inner = slice(200, min(len(found), len(want)) - 200)
    np.testing.assert_allclose(found[inner], want[inner], atol=1e-3)


def test_what_a_lower_rate_cannot_hold_is_left_out():
    found = resampled(tone(0.3, 7000, 16000), 16000, 8000)
    assert np.abs(found[100:-100]).max() < 0.01


def test_rates_without_a_simple_ratio_are_brought_close():
    found = resampled(tone(0.3, 500, 44101), 44101, 8000)
    assert abs(len(found) - 2400) <= 2
    assert resampled(tone(0.1, 100, 400_000), 400_000, 8000).shape == (800,)


def test_resampling_agrees_with_scipy():
    signal = pytest.importorskip("scipy.signal")
    noise = np.random.default_rng(0).normal(size=4000)
    low = signal.sosfiltfilt(signal.butter(8, 0.2, output="sos"), noise).astype(np.float32)
    theirs = signal.resample_poly(low, 1, 2, window=("kaiser", 12.0))
    ours = resampled(low, 16000, 8000)
    np.testing.assert_allclose(ours[100:-100], theirs[100:-100], atol=5e-3 * np.abs(low).max())
