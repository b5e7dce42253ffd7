"""What a source is, and what comes out of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from paceline.core.progress import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """Some examples, not yet turned into tensors.

    Attributes:
        inputs: By kind: ``image`` uint8 array [n, channels, height, width], or a
            ``LazyImages`` where they are read one by one; ``table`` a pandas DataFrame;
            ``tensors`` a tuple of arrays, first axis the example; ``text``, ``tagging``,
            ``audio`` an object array [n] of strings, of lists of words, of waveforms.
        targets: Array [n] of labels or numbers as they stand in the source (strings,
            integers, floats; for sequences an object array of lists); None where there is
            nothing to compare with.
    """

    inputs: Any
    targets: np.ndarray[Any, Any] | None

    def __len__(self) -> int:
        first = self.inputs[0] if isinstance(self.inputs, tuple) else self.inputs
        return len(first)

    def take(self, rows: np.ndarray[Any, Any]) -> Examples:
        """The examples at ``rows``, an integer array."""
        inputs = self.inputs
        if isinstance(inputs, tuple):
            inputs = tuple(part[rows] for part in inputs)
        elif hasattr(inputs, "iloc"):
            inputs = inputs.iloc[rows].reset_index(drop=True)
        else:
            inputs = inputs[rows]
        return Examples(inputs=inputs, targets=None if self.targets is None else self.targets[rows])


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Everything a source gives.

    Attributes:
        name: Short, fit for a folder's name.
        kind: ``image``, ``table``, ``tensors``, ``text`` …; finds the task.
        train: All examples that are not in a part of their own.
        validation: A validation part that the source brings along, or None.
        test: A test part that the source brings along, or None.
        fingerprint: Hexadecimal digest that changes when the data change.
        notes: Warnings for a person, one line each.
        facts: What was found, for the ledger: files, encodings, sizes.
        groups: To which group each of the training examples belongs [n]: those of a group
            are never divided between parts; None where each stands for itself.
    """

    name: str
    kind: str
    train: Examples
    validation: Examples | None = None
    test: Examples | None = None
    fingerprint: str
    notes: tuple[str, ...] = ()
    facts: dict[str, Any]
    groups: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What a person said about the data.

    Attributes:
        target: Name of the column to predict; only tables have one.
        skip_bad: Leave out what cannot be read, and say so, instead of stopping.
        progress: Told how far a long read has come.
        image_shape: (channels, height, width) that images are brought to; None lets the
            source choose. A trained run asks for the shape that it was trained with.
        sample_rate: Of sounds, in samples a second; likewise.
        group: Name of a column whose equal values are never divided between parts.
    """

    target: str | None
    skip_bad: bool
    progress: Progress
    image_shape: tuple[int, int, int] | None = None
    sample_rate: int | None = None
    group: str | None = None


class Source(ABC):
    """A kind of data that can be read as it is.

    Class attributes:
        promise: What it reads, in a few words, for error messages and ``paceline parts``.
    """

    promise: ClassVar[str]

    @staticmethod
    @abstractmethod
    def recognises(place: Any) -> bool:
        """Whether ``place``, a path or a word or a Python object, is of this kind; cheap."""

    @abstractmethod
    def read(self, place: Any, opening: Opening) -> Corpus:
        """Reads examples for training.

        Raises:
            DataError: They cannot be used; says what, where and what would be right.
        """

    @abstractmethod
    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        """Reads examples to predict; targets are given where the source has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some examples as tensors on the device; the first axis is the example.

    Attributes:
        inputs: What the model's ``forward`` takes, in order.
        targets: Class indices int64 [n], numbers float32 [n], or whatever a loss of the
            user's own takes.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


class LazyImages:
    """Images that are decoded when asked for; a ``Sequence`` of uint8 [channels, height, width].

    Args:
        files: One path an image.
        decode: Gives the array of one path, always of ``shape``.
        shape: (channels, height, width).
    """

    def __init__(self, files: Sequence[Path], decode: Any, shape: tuple[int, int, int]) -> None:
        self.files = list(files)
        self.decode = decode
        self.shape = shape

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Any) -> Any:
        """One image for an integer, a ``LazyImages`` for an array of rows."""
        if isinstance(rows, (int, np.integer)):
            return self.decode(self.files[int(rows)])
        return LazyImages([self.files[int(row)] for row in rows], self.decode, self.shape)

    def load(self) -> np.ndarray[Any, Any]:
        """All of them, decoded: uint8 [n, channels, height, width]."""
        return np.stack([self[row] for row in range(len(self))])
