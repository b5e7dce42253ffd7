"""What good means: a class to name, a number to hit, or something of a task's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from paceline.core.findings import Finding

Labels = np.ndarray[Any, Any]


class Goal(ABC):
    """Turns raw targets into tensors, outputs into answers, and both into numbers.

    Class attributes:
        name: ``classification``, ``regression``; a task may bring one of its own.
        primary: The metric that chooses the best weights.
        higher_is_better: Its direction.
        stratify: Whether targets are classes, each of which every part gets its share of.
    """

    name: ClassVar[str]
    stratify: ClassVar[bool] = False
    primary: ClassVar[str]
    higher_is_better: ClassVar[bool]
    outputs: int

    @abstractmethod
    def encode(self, targets: Labels) -> Tensor:
        """Raw targets [n] as a tensor [n].

        Raises:
            DataError: A target was not in the training examples, or is no number.
        """

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a batch: output [n, outputs] or [n, members, outputs], target [n]."""

    @abstractmethod
    def answer(self, output: Tensor) -> Tensor:
        """Probabilities [n, classes], or numbers [n] in the target's own unit."""

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """What ``metrics`` needs of a batch's outputs; the first axis is the example.

        It is the answer, unless that is large and little of it is needed.
        """
        return self.answer(output)

    @abstractmethod
    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        """All metrics, one of them ``loss``, of what ``judged`` gave for encoded targets."""

    def findings(self, answer: Tensor, target: Tensor) -> tuple[Finding, ...]:
        """What is worth looking at beside the metrics, of what ``judged`` gave."""
        return ()

    def says(self, answer: Tensor) -> dict[str, list[Any]]:
        """Answers as JSON values, by column: ``prediction`` and what goes with it."""
        return {"prediction": self.decode(answer).tolist()}

    @abstractmethod
    def decode(self, answer: Tensor) -> Labels:
        """Answers in the words of the source: labels, or numbers."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that was learnt."""

    def better(self, new: Mapping[str, float], old: Mapping[str, float] | None) -> bool:
        """Whether ``new`` metrics beat ``old`` ones: by the primary one, ties by the loss."""
        if old is None:
            return True
        return self._rank(new) > self._rank(old)

    def _rank(self, measured: Mapping[str, float]) -> tuple[float, float]:
        # A comparison with nan is false either way: the first nan would stay the best.
        sign = 1.0 if self.higher_is_better else -1.0
        first, second = sign * measured[self.primary], -measured["loss"]
        return (
            -np.inf if np.isnan(first) else first,
            -np.inf if np.isnan(second) else second,
        )
