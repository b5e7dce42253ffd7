"""What a user thinks of an item, as a number within the scale that was seen."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError, SettingError
from paceline.tasks.base.goal import Goal, Labels
from paceline.tasks.base.regression import numbers_of

KNOWN = ("neither user nor item", "user", "item", "user and item")
SPLITS = ("time", "random")


@final
class Rating(Goal):
    """One rating for each pair; mean squared error of the standardised rating.

    Outputs are [n, 2] or [n, members, 2]: the rating, and who of the pair was known in
    training (1 the user, 2 the item, 3 both).

    Args:
        mean: Of the training ratings.
        scale: Standard deviation of the training ratings.
        low: The lowest rating that was seen; no answer is lower.
        high: The highest one.
        split: How examples are divided: ``time`` holds out each user's last ratings,
            ``random`` any; left out, by time where there is one.

    >>> goal = Rating(mean=3.0, scale=1.0, low=0.5, high=5.0)
    >>> answer = goal.answer(torch.tensor([[9.0, 3.0], [-0.5, 1.0]]))
    >>> goal.says(answer)
    {'prediction': [5.0, 2.5], 'known': ['user and item', 'user']}
    """

    name = "rating"
    primary = "rmse"
    higher_is_better = False
    outputs = 2

    def __init__(
        self, *, mean: float, scale: float, low: float, high: float, split: str | None = None
    ) -> None:
        if split not in (None, *SPLITS):
            raise SettingError(f"split must be time or random, got {split!r}")
        self.mean, self.scale = float(mean), float(scale) or 1.0
        self.low, self.high, self.split = float(low), float(high), split

    @classmethod
    def learn(cls, targets: Labels, split: str | None) -> Rating:
        """The goal of some ratings.

        Raises:
            DataError: They are no numbers, or all the same.
        """
        numbers = numbers_of(targets)
        if not len(numbers):
            raise DataError("there are no ratings to learn from")
        if numbers.min() == numbers.max():
            raise DataError(f"every rating is {numbers[0]:g}; there is nothing to learn")
        return cls(
            mean=float(numbers.mean()),
            scale=float(numbers.std()),
            low=float(numbers.min()),
            high=float(numbers.max()),
            split=split,
        )

    def encode(self, targets: Labels) -> Tensor:
        numbers = torch.from_numpy(numbers_of(targets))
        return ((numbers - self.mean) / self.scale).float()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        guess = output[..., 0]
        if guess.ndim == 2:
            target = target[:, None].expand_as(guess)
        return functional.mse_loss(guess, target)

    def answer(self, output: Tensor) -> Tensor:
        """The rating and who was known, float64 [n, 2]."""
        output = output.double()
        output = output.mean(1) if output.ndim == 3 else output
        rating = (output[:, 0] * self.scale + self.mean).clamp(self.low, self.high)
        return torch.stack([rating, output[:, 1]], 1)

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        error = answer[:, 0].double() - (target.double() * self.scale + self.mean)
        squared = error.square().mean().item()
        return {
            "rmse": squared**0.5,
            "mae": error.abs().mean().item(),
            "loss": squared / self.scale**2,
        }

    def says(self, answer: Tensor) -> dict[str, list[Any]]:
        known = answer[:, 1].round().long().clamp(0, 3).tolist()
        return {
            "prediction": self.decode(answer).tolist(),
            "known": [KNOWN[each] for each in known],
        }

    def decode(self, answer: Tensor) -> Labels:
        values: Labels = answer[:, 0].double().cpu().numpy()
        return values

    def to_json(self) -> dict[str, Any]:
        names = ("name", "mean", "scale", "low", "high")
        return {name: getattr(self, name) for name in names}

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Rating:
        """Back from what ``to_json`` gave."""
        return Rating(**{name: value for name, value in state.items() if name != "name"})


def last_of_each(users: Any, times: Any, validation: float, test: float) -> list[Any]:
    """Rows for training, validation and test: the last ratings of each user are held out.

    A user keeps at least one rating for training; those of equal times stand in the order of
    the rows.

    >>> last_of_each(np.array([1, 1, 2, 1]), np.array([3.0, 1.0, 0.0, 2.0]), 0.3, 0.3)
    [array([1, 2]), array([3]), array([0])]
    """
    order = np.lexsort((np.arange(len(users)), times, users))
    _, begins, counts = np.unique(users[order], return_index=True, return_counts=True)
    tested = np.minimum(np.rint(counts * test), counts - 1).astype(int)
    validated = np.minimum(np.rint(counts * validation), counts - 1 - tested).astype(int)
    from_end = np.repeat(begins + counts, counts) - 1 - np.arange(len(users))
    of = np.repeat(np.arange(len(counts)), counts)
    in_test = from_end < tested[of]
    in_validation = ~in_test & (from_end < (tested + validated)[of])
    return [np.sort(order[part]) for part in (~in_test & ~in_validation, in_validation, in_test)]


def packed(codes: Any) -> str:
    """Codes as text that JSON can hold.

    >>> unpacked(packed(np.array([3, 0]))).tolist()
    [3, 0]
    """
    return base64.b64encode(zlib.compress(codes.astype("<i4").tobytes(), 9)).decode("ascii")


def unpacked(text: str) -> Any:
    """Back from ``packed``: int64 [n]."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i4").astype(np.int64)
