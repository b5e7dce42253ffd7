"""Down by the same factor at every step."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class Exponential(Schedule):
    """Falls geometrically from the learning rate to ``end`` times it.

    Args:
        learning_rate: At the start.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        end: Share of the learning rate that is left at the end, over 0 and at most 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = Exponential(1.0, end=0.01)
    >>> round(schedule.decide(Reading(step=5, progress=0.5, total_steps=10)).learning_rate, 4)
    0.1
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.0, end: float = 0.01) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 < end <= 1:
            raise SettingError(f"end must be over 0 and at most 1, got {end:g}")
        self.end = end

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return ExponentialLR(optimizer, gamma=self.end ** (1 / steps))
