"""Up and down between two values."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class Cyclic(Schedule):
    """Triangles between ``low`` times the learning rate and the learning rate itself.

    Args:
        learning_rate: At the peaks.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        cycles: Triangles in the whole budget, at least 1.
        low: Share of the learning rate at the bottom, 0 to under 1.
        halving: Each triangle is half as high as the one before.

    >>> from paceline.core.readings import Reading
    >>> schedule = Cyclic(1.0, cycles=1, low=0.0)
    >>> [round(schedule.decide(Reading(step=s, progress=s / 8, total_steps=8)).learning_rate, 2)
    ...     for s in (0, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5]

    Reference: Smith 2017, "Cyclical Learning Rates for Training Neural Networks".
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        warmup: float = 0.0,
        cycles: int = 4,
        low: float = 0.1,
        halving: bool = False,
    ) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if cycles < 1:
            raise SettingError(f"cycles must be at least 1, got {cycles}")
        if not 0 <= low < 1:
            raise SettingError(f"low must be at least 0 and under 1, got {low:g}")
        self.cycles, self.low, self.halving = cycles, low, halving

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return CyclicLR(
            optimizer,
            base_lr=self.low * self.learning_rate,
            max_lr=self.learning_rate,
            step_size_up=max(1, round(steps / self.cycles / 2)),
            mode="triangular2" if self.halving else "triangular",
            cycle_momentum=False,
        )
