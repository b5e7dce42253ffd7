"""Sounds: which class is it, or what number does it tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples
from paceline.data.base.sounds import is_sound, read_sounds
from paceline.data.base.spectra import band_edges, log_mel
from paceline.tasks.base import Claim, Encoded, Goal, Task, goal_from_json
from paceline.tasks.base.file_columns import converted, files_of, named_files
from paceline.tasks.base.waveforms import fitted, varied

_LONGEST_SECONDS = 10.0
_USUAL = 0.99
_CEPSTRA = 20
_QUARTERS = 4
_TELEPHONE = 8000


@final
class Audio(Task):
    """Sounds of one channel and one rate, brought to one length.

    The length is that of the training sounds, but for the longest hundredth; shorter ones
    are filled up with silence, of longer ones the middle is kept. The model is given
    waveforms. Training sounds begin later, play a little faster or slower, are made louder or
    softer, and get some noise, by batches on the device.

    Args:
        length: Samples of each example, at least 1.
        sample_rate: Samples a second, at least 1.
        loudness: Root mean square of the training sounds, over 0.
        column: Of a table, that names the files; empty where there was no table.
        folder: What these names start from.
        bands: Of pitch, that a model looks at: 4 to 256; left out, 64, but 40 where there
            are 8,000 samples a second or fewer.
        seconds: The length in seconds, over 0 to 30; left out, found as told above.
        shift: Latest start in seconds, 0 to 1.
        speed: Largest change of the speed as a share, 0 to 0.5.
        gain: Largest change of the loudness in decibels, 0 to 30.
        noise: Largest loudness of the noise as a share of the sound's, 0 to 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("audio",)
    default_model: ClassVar[str] = "audio_conv"
    hints: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(
        self,
        goal: Goal,
        length: int,
        sample_rate: int,
        loudness: float,
        *,
        column: str = "",
        folder: str = "",
        notes: tuple[str, ...] = (),
        bands: int | None = None,
        seconds: float | None = None,
        shift: float = 0.1,
        speed: float = 0.15,
        gain: float = 6.0,
        noise: float = 0.1,
    ) -> None:
        tops = {"shift": (shift, 1), "speed": (speed, 0.5), "gain": (gain, 30), "noise": (noise, 1)}
        for name, (value, top) in tops.items():
            if not 0 <= value <= top:
                raise SettingError(f"audio: {name} must lie between 0 and {top:g}, got {value:g}")
        bands = (64 if sample_rate > _TELEPHONE else 40) if bands is None else bands
        if not 4 <= bands <= 256:
            raise SettingError(f"audio: bands must lie between 4 and 256, got {bands}")
        self.goal, self.length, self.sample_rate = goal, length, sample_rate
        self.loudness, self.bands, self.seconds = loudness, bands, seconds
        self.column, self.folder, self._notes = column, folder, tuple(notes)
        self.shift, self.speed, self.gain, self.noise = shift, speed, gain, noise

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        if corpus.kind in cls.kinds:
            return Claim(strength=0.6, reason="the data are sounds", corpus=corpus)
        named = named_files(corpus, hints.get("audio"), is_sound)
        if named is None:
            return None
        if named.corpus.train.targets is None:
            return Claim(strength=0.9, reason=named.reason, corpus=named.corpus)
        notes, rate = list(named.remarks), None

        def read(files: list[Path], part: str) -> Any:
            nonlocal rate
            what = "sounds" if part == "train" else f"{part} sounds"
            _, waveforms, rate, remarks = read_sounds(
                files, rate, Silence(), skip_bad=None, what=what
            )
            notes.extend(remarks)
            return waveforms

        made = converted(named, "audio", read)
        made = replace(made, notes=tuple(notes), facts=made.facts | {"sample_rate": rate})
        return Claim(strength=0.9, reason=named.reason, corpus=made)

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Audio:
        rate = int(corpus.facts["sample_rate"])
        settings.pop("audio", None)
        lengths = np.array([len(each) for each in train.inputs])
        seconds = settings.get("seconds")
        if seconds is None:
            length = min(int(np.quantile(lengths, _USUAL, method="higher")), _longest(rate))
        elif 0 < seconds <= 30:
            length = max(1, round(seconds * rate))
        else:
            raise SettingError(f"audio: seconds must be over 0 and at most 30, got {seconds:g}")
        power = [float(np.square(each, dtype=np.float64).mean()) for each in train.inputs]
        cut = int((lengths > length).sum())
        notes = (
            f"{cut} of {len(lengths)} sounds are longer than {length / rate:.3g} seconds; of"
            " these the middle is used",
        )
        return cls(
            goal,
            length,
            rate,
            max(float(np.sqrt(np.mean(power))), 1e-4),
            column=str(corpus.facts.get("column", "")),
            folder=str(corpus.facts.get("folder", "")),
            notes=notes if cut else (),
            **settings,
        )

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        random, rest = np.random.default_rng(0), np.random.default_rng(held_out)
        waveforms = np.empty(36, dtype=object)
        for row in range(36):
            chance = random if row < 27 else rest
            time = np.arange(int(chance.integers(700, 1000))) / 2000
            tone = np.sin(2 * np.pi * (200 + 150 * (row % 3)) * time)
            waveforms[row] = (0.3 * tone + 0.02 * chance.normal(size=len(time))).astype(np.float32)
        for targets in (
            np.array(["low", "middle", "high"], dtype=object)[np.arange(36) % 3],
            200.5 + 150.0 * (np.arange(36) % 3),
        ):
            everything = Examples(inputs=waveforms, targets=targets)
            corpus = Corpus(
                name="tones",
                kind="audio",
                train=everything,
                fingerprint="0",
                facts={"sample_rate": 2000},
            )
            yield corpus, everything.take(np.arange(27))

    def encode(self, examples: Examples) -> Encoded:
        waveforms = torch.from_numpy(fitted(self._waveforms(examples.inputs), self.length))
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=(waveforms,), targets=targets)

    def _waveforms(self, inputs: Any) -> Any:
        """Object array of waveforms, read from files where a table names these."""
        if hasattr(inputs, "columns"):
            if not self.column:
                raise DataError("the run was trained on a folder of sounds, not on a table")
            files = files_of(inputs, self.column, self.folder)
            return read_sounds(files, self.sample_rate, Silence(), skip_bad=None)[1]
        if not isinstance(inputs, np.ndarray) or inputs.dtype != object:
            raise DataError(
                "sounds must be an object array of waveforms, each float32 [samples] at"
                f" {self.sample_rate} a second; these are {type(inputs).__name__}"
            )
        return inputs

    def signature(self) -> Signature:
        field = Field(
            name="waveform",
            shape=(self.length,),
            dtype="float32",
            mean=(0.0,),
            scale=(self.loudness,),
            bins=(band_edges(self.bands, self.sample_rate),),
        )
        return Signature(kind="audio", inputs=(field,), outputs=self.goal.outputs)

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        """Means and deviations of cepstra, and their means in each quarter of the sound."""
        edges = band_edges(self.bands, self.sample_rate)
        waveforms = self._waveforms(examples.inputs)
        columns = _CEPSTRA * (2 + _QUARTERS) + 1
        rows = [_described(each, self.sample_rate, edges) for each in waveforms]
        return np.array(rows, dtype=np.float32).reshape(-1, columns)

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        changed = varied(
            inputs[0],
            generator,
            shift=self.shift * self.sample_rate,
            speed=self.speed,
            gain=self.gain,
            noise=self.noise,
        )
        return (changed, *inputs[1:])

    def defaults(self, examples: int) -> dict[str, Any]:
        return {
            "batch_size": int(min(64, max(8, 2 ** round(np.log2(max(examples, 16) / 16))))),
            "epochs": float(np.clip(5e4 / max(examples, 1), 8, 60)),
            "optimizer": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.02},
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.to_json(),
            "length": self.length,
            "sample_rate": self.sample_rate,
            "loudness": self.loudness,
            "column": self.column,
            "folder": self.folder,
            "bands": self.bands,
            "seconds": self.seconds,
            "shift": self.shift,
            "speed": self.speed,
            "gain": self.gain,
            "noise": self.noise,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Audio:
        return cls(
            goal_from_json(state["goal"]),
            **{name: value for name, value in state.items() if name != "goal"},
        )

    def notes(self) -> tuple[str, ...]:
        return self._notes


def _longest(rate: int) -> int:
    return int(_LONGEST_SECONDS * rate)


def _described(waveform: Any, rate: int, edges: tuple[float, ...]) -> Any:
    """What a plain method is told of a sound: float [features]."""
    loud = log_mel(waveform, rate, edges)
    bands = np.arange(loud.shape[1])
    turns = np.cos(np.pi / loud.shape[1] * (bands[:, None] + 0.5) * np.arange(_CEPSTRA))
    cepstra = loud @ (turns / loud.shape[1])
    parts = np.array_split(cepstra, _QUARTERS)
    quarters = [part.mean(0) if len(part) else cepstra.mean(0) for part in parts]
    return np.concatenate([cepstra.mean(0), cepstra.std(0), *quarters, [len(waveform) / rate]])
