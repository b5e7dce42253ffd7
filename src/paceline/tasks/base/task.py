"""What a task does: turns examples into tensors and says what good means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paceline.core.signature import Signature
from paceline.data.base import Corpus, Examples
from paceline.tasks.base.goal import Goal


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Examples as tensors, on the CPU.

    Attributes:
        inputs: In the order of the signature; instead of a tensor there may be a
            ``LazyImages``, which is streamed.
        targets: int64 [n] or float32 [n]; None where there is nothing to compare with.
    """

    inputs: tuple[Any, ...]
    targets: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs[0])


class Task(ABC):
    """One kind of examples with one goal.

    ``from_corpus`` looks at the training examples only. All it learns from them is in
    ``to_json``, so that a saved run encodes new examples exactly as it did in training.

    Class attributes:
        kinds: The kinds of corpus it can learn from.
        default_model: Name of the part on the models shelf.
        default_epochs: Passes over the data when no budget is given.
    """

    kinds: ClassVar[tuple[str, ...]]
    goal: Goal
    default_model: ClassVar[str]

    @classmethod
    @abstractmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Task:
        """Learns the encoding from the training examples."""

    @abstractmethod
    def encode(self, examples: Examples) -> Encoded:
        """Examples as tensors.

        Raises:
            DataError: They do not look like the training examples; says how.
        """

    @abstractmethod
    def signature(self) -> Signature:
        """What a model must take and give."""

    @abstractmethod
    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        """Plain numbers for plain baselines: float32 [n, columns], nan for missing."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that was learnt, the goal included, as JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, state: Mapping[str, Any]) -> Task:
        """Back from what ``to_json`` gave."""

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Varies a batch of training inputs on its device; the same for the same generator."""
        return inputs

    def defaults(self, examples: int) -> dict[str, Any]:
        """Plain defaults by number of training examples.

        Gives ``batch_size``, ``epochs``, and the settings of the default ``optimizer``.
        """
        return {
            "batch_size": int(min(256, max(16, 2 ** round(np.log2(max(examples, 16) / 20))))),
            "epochs": float(np.clip(1e6 / max(examples, 1), 10, 100)),
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 1e-2},
        }

    def categorical_features(self) -> tuple[int, ...]:
        """Which columns of ``features`` hold codes of categories."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Warnings about the data, one line each."""
        return ()
