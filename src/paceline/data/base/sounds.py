"""Sounds: the waveform of a file, one channel of it, at the rate that is wanted."""

from __future__ import annotations

import io
import math
import os
import wave
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError, MissingExtra
from paceline.core.extras import need
from paceline.core.progress import Progress
from paceline.data.base.memory import refuse_too_large

Array = np.ndarray[Any, Any]
SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff")
LONGEST_SECONDS = 30.0
_RATES = (1_000, 400_000)
_MOST_CHANNELS = 16
_FASTEST_CHOSEN = 16_000
_SILENT = 1e-4
_FULL = 0.999
_CLIPPED_IN_A_ROW = 4
_ZEROS = 12
_LARGEST_RATIO = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """A waveform, and what was found on the way to it.

    Attributes:
        samples: float32 [n], from -1 to 1, one channel.
        rate: Samples a second.
        channels: That the file has; they were mixed down to one.
        cut: Whether the file goes on after ``samples``.
    """

    samples: Array
    rate: int
    channels: int
    cut: bool


def is_sound(path: Path) -> bool:
    """Whether a name ends like a sound's.

    >>> is_sound(Path("bark.WAV")), is_sound(Path("bark.csv"))
    (True, False)
    """
    return path.suffix.lower() in SUFFIXES


def read_sound(path: Path) -> Sound:
    """The waveform of a file; at most its first 30 seconds.

    ``.wav`` is read without any further package; the other kinds need soundfile.

    Raises:
        DataError: It is empty, no sound, damaged, or holds no numbers.
        MissingExtra: It is another kind than wav, and soundfile is missing.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not content:
        raise DataError(f"{path} is empty: it has 0 bytes")
    frames, rate, cut = _frames(path, content)
    if not len(frames):
        raise DataError(f"{path} is a sound of no length")
    if not np.isfinite(frames).all():
        raise DataError(f"{path} has samples that are no finite numbers")
    samples = np.ascontiguousarray(frames.mean(1, dtype=np.float32))
    return Sound(samples=samples, rate=rate, channels=frames.shape[1], cut=cut)


def _frames(path: Path, content: bytes) -> tuple[Array, int, bool]:
    """Float32 [frames, channels], the rate, and whether there are more."""
    try:
        library = need("soundfile", extra="audio", purpose=f"reading {path.name}")
    except MissingExtra:
        if path.suffix.lower() != ".wav":
            raise
        return _plain_wave(path, content)
    try:
        with library.SoundFile(io.BytesIO(content)) as file:
            _refuse_odd(path, file.samplerate, file.channels)
            most = int(LONGEST_SECONDS * file.samplerate)
            frames = file.read(min(most, file.frames), dtype="float32", always_2d=True)
            return np.asarray(frames), int(file.samplerate), bool(file.frames > most)
    except DataError:
        raise
    # Decoders of damaged files raise whatever their bytes lead them into.
    except Exception as error:
        reason = " ".join(str(error).split()).partition(": ")[2] or type(error).__name__
        raise DataError(f"{path} cannot be read as a sound: {reason.rstrip('.')}") from None


def _plain_wave(path: Path, content: bytes) -> tuple[Array, int, bool]:
    """What the standard library reads: whole numbers of 8 to 32 bits."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            _refuse_odd(path, rate, channels)
            most = int(LONGEST_SECONDS * rate)
            raw, cut = file.readframes(most), file.getnframes() > most
    except (wave.Error, EOFError, ValueError, RuntimeError) as error:
        reason = f"{error}" or "it ends too soon"
        raise DataError(f"{path} cannot be read as a sound: {reason}") from None
    numbers = _numbers(raw[: len(raw) // (width * channels) * width * channels], width)
    return numbers.reshape(-1, channels), rate, cut


def _numbers(raw: bytes, width: int) -> Array:
    """Samples of some bytes each as float32 from -1 to 1; single bytes have no sign."""
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    padded = np.zeros((len(raw) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(raw, np.uint8).reshape(-1, width)
    return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


def _refuse_odd(path: Path, rate: int, channels: int) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise DataError(
            f"{path} says that it has {rate} samples a second; it must be {_RATES[0]} to"
            f" {_RATES[1]}"
        )
    if not 1 <= channels <= _MOST_CHANNELS:
        raise DataError(f"{path} has {channels} channels; it must be 1 to {_MOST_CHANNELS}")


def resampled(samples: Array, rate: int, wanted: int) -> Array:
    """A waveform at another rate, without what the lower of both cannot hold.

    Each new sample is the sum of those around it under a windowed sinc.

    Args:
        samples: float32 [n].
        rate: Samples a second, over 0.
        wanted: Samples a second, over 0.

    Returns:
        float32 [about n · wanted / rate].

    Reference:
        Smith, Digital Audio Resampling Home Page, section "Windowed sinc interpolation".

    >>> tone = np.sin(2 * np.pi * 50 * np.arange(2000) / 2000).astype(np.float32)
    >>> half = resampled(tone, 2000, 1000)
    >>> bool(np.abs(half - tone[::2])[100:-100].max() < 1e-3)
    True
    """
    if rate == wanted or not len(samples):
        return samples
    ratio = Fraction(wanted, rate).limit_denominator(_LARGEST_RATIO)
    ratio = max(ratio, Fraction(1, _LARGEST_RATIO))
    kernel, width = _kernel(ratio.denominator, ratio.numerator)
    padded = functional.pad(torch.from_numpy(samples)[None, None], (width, width + len(kernel[0])))
    found = functional.conv1d(padded, kernel[:, None], stride=ratio.denominator)
    flat = found[0].T.reshape(-1)[: math.ceil(len(samples) * ratio)]
    return np.ascontiguousarray(flat.numpy())


@lru_cache(maxsize=8)
def _kernel(old: int, new: int) -> tuple[Tensor, int]:
    """One row of weights for each of the ``new`` samples that stand for ``old`` ones."""
    cut_off = 0.97 * min(1.0, new / old)
    width = math.ceil(_ZEROS / cut_off)
    at = torch.arange(-width, old + width, dtype=torch.float64)
    away = at[None] - torch.arange(new, dtype=torch.float64)[:, None] * old / new
    inside = (away * cut_off / _ZEROS).clamp(-1, 1)
    weights = cut_off * torch.sinc(away * cut_off) * torch.cos(inside * math.pi / 2) ** 2
    return weights.float(), width


def chosen_rate(rates: Sequence[int]) -> int:
    """The commonest rate, but not over 16,000: speech and most other sounds need no more.

    >>> chosen_rate([8000, 8000, 44100]), chosen_rate([44100])
    (8000, 16000)
    """
    if not rates:
        return _FASTEST_CHOSEN
    counts = Counter(rates)
    return min(max(counts, key=lambda rate: (counts[rate], rate)), _FASTEST_CHOSEN)


def read_sounds(
    paths: Sequence[Path],
    rate: int | None,
    progress: Progress,
    *,
    skip_bad: bool | None = False,
    what: str = "sounds",
) -> tuple[list[int], Array, int, list[str]]:
    """The waveforms of files, all at one rate.

    Args:
        paths: Of the files; where there are none, nothing is read.
        rate: Samples a second; None chooses by the files.
        progress: Told how far it has come.
        skip_bad: Leave out what cannot be read; None where a person has no such choice.
        what: What they are called in notes.

    Returns:
        Which of the files could be read, their waveforms (object array of float32), the
        rate, and what a person should know about them.

    Raises:
        DataError: A file cannot be read, and ``skip_bad`` is off; or none can.
    """
    found = _in_threads(paths, progress)
    notes: list[str] = []
    good = _good(found, notes, skip_bad=skip_bad)
    rate = chosen_rate([found[at].rate for at in good]) if rate is None else rate
    _refuse_too_many([found[at] for at in good], rate)
    notes += _remarks([(paths[at], found[at]) for at in good], rate, what)
    waveforms = np.empty(len(good), dtype=object)
    for row, at in enumerate(good):
        waveforms[row] = resampled(found[at].samples, found[at].rate, rate)
    return good, waveforms, rate, notes


def _in_threads(paths: Sequence[Path], progress: Progress) -> list[Any]:
    """A sound for each file, or the error."""

    def tried(path: Path) -> Sound | DataError:
        try:
            return read_sound(path)
        except DataError as error:
            return error

    results: list[Sound | DataError] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for result in pool.map(tried, paths):
            results.append(result)
            if len(results) % 64 == 0 or len(results) == len(paths):
                progress.advance("reading sounds", len(results) / len(paths))
    return results


def _good(found: list[Any], notes: list[str], *, skip_bad: bool | None) -> list[int]:
    bad = [each for each in found if isinstance(each, DataError)]
    if bad and not skip_bad:
        advice = "leave them out with --skip-bad" if skip_bad is False else "take their rows out"
        raise DataError(
            f"{bad[0]}; {len(bad)} of {len(found)} sounds are bad; mend them, or {advice}"
        )
    if bad and len(bad) == len(found):
        raise DataError(f"none of the {len(found)} sounds can be read; the first: {bad[0]}")
    if bad:
        notes.append(f"{len(bad)} of {len(found)} sounds were left out; the first: {bad[0]}")
    return [at for at, each in enumerate(found) if not isinstance(each, DataError)]


def _refuse_too_many(sounds: list[Sound], rate: int) -> None:
    seconds = sum(len(sound.samples) / sound.rate for sound in sounds)
    refuse_too_large(f"{len(sounds)} sounds of {seconds / 3600:.1f} hours", int(4 * seconds * rate))


def _remarks(sounds: list[tuple[Path, Sound]], rate: int, what: str) -> list[str]:
    """What is odd about some of the sounds, one line for each kind of it."""
    seen: dict[str, list[Path]] = {}
    for path, sound in sounds:
        for remark in _odd(sound, rate):
            seen.setdefault(remark, []).append(path)
    return [
        f"{len(paths)} of {len(sounds)} {what} {remark} (the first: {paths[0]})"
        for remark, paths in seen.items()
    ]


def _odd(sound: Sound, rate: int) -> list[str]:
    size = np.abs(sound.samples)
    found = []
    if size.max() < _SILENT:
        found.append("are silent")
    if _is_clipped(size):
        found.append("are clipped: they reach full scale and stay there")
    if sound.channels > 1:
        found.append("have several channels, which were mixed to one")
    if sound.rate != rate:
        found.append(f"have another rate and were brought to {rate} samples a second")
    if sound.cut:
        found.append(f"are longer than {LONGEST_SECONDS:g} seconds; the rest was not read")
    return found


def _is_clipped(size: Array) -> bool:
    full = size >= _FULL
    if full.sum() < _CLIPPED_IN_A_ROW:
        return False
    row = np.ones(_CLIPPED_IN_A_ROW, dtype=np.int64)
    return bool((np.convolve(full.astype(np.int64), row) == _CLIPPED_IN_A_ROW).any())
