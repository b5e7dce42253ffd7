"""A number to hit."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError
from paceline.tasks.base.goal import Goal, Labels


@final
class Regression(Goal):
    """One number for each example; mean squared error of the standardised target.

    Args:
        mean: Of the training targets, in their own unit.
        scale: Standard deviation of the training targets.

    >>> goal = Regression(mean=10.0, scale=2.0)
    >>> goal.encode(np.array([12.0])).tolist(), goal.answer(torch.tensor([[1.0]])).tolist()
    ([1.0], [12.0])
    """

    name = "regression"
    primary = "rmse"
    higher_is_better = False
    outputs = 1

    def __init__(self, *, mean: float, scale: float) -> None:
        self.mean, self.scale = float(mean), float(scale) or 1.0

    def encode(self, targets: Labels) -> Tensor:
        numbers = torch.from_numpy(numbers_of(targets))
        return ((numbers - self.mean) / self.scale).float()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        output = output.squeeze(-1)
        if output.ndim == 2:
            target = target[:, None].expand_as(output)
        return functional.mse_loss(output, target)

    def answer(self, output: Tensor) -> Tensor:
        values = output.double().squeeze(-1)
        values = values.mean(1) if values.ndim == 2 else values
        return values * self.scale + self.mean

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        truth = target.double() * self.scale + self.mean
        error = answer.double() - truth
        squared = error.square().mean().item()
        spread = (truth - truth.mean()).square().mean().item()
        return {
            "rmse": squared**0.5,
            "mae": error.abs().mean().item(),
            "r2": 1 - squared / spread if spread > 0 else float("nan"),
            "loss": squared / self.scale**2,
        }

    def decode(self, answer: Tensor) -> Labels:
        values: Labels = answer.double().cpu().numpy()
        return values

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "mean": self.mean, "scale": self.scale}


def numbers_of(targets: Labels) -> Labels:
    """Targets as finite float64, in an array of its own."""
    try:
        numbers = np.array(targets, dtype=np.float64)
    except (TypeError, ValueError):
        wrong = next(label for label in targets.tolist() if not _is_number(label))
        raise DataError(f"regression needs numbers, but there are targets like {wrong!r}") from None
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise missing_targets(targets, bad)
    return numbers


def _is_number(label: Any) -> bool:
    try:
        float(label)
    except (TypeError, ValueError):
        return False
    return True


def missing_targets(targets: Labels, bad: Labels) -> DataError:
    """What to raise where some targets are missing or infinite."""
    return DataError(
        f"{len(bad)} of {len(targets)} targets are missing or infinite, the first in example"
        f" {bad[0] + 1}: {targets[bad[0]]}; remove those examples or fill them in"
    )
