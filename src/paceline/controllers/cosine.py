"""Half a cosine down."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class Cosine(Schedule):
    """Falls along half a cosine from the learning rate to ``end`` times it.

    Args:
        learning_rate: At the top.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        end: Share of the learning rate at the end, 0 to 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = Cosine(1.0)
    >>> round(schedule.decide(Reading(step=50, progress=0.5, total_steps=100)).learning_rate, 3)
    0.541

    Reference: Loshchilov & Hutter 2017, "SGDR", equation 5, one period.
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.05, end: float = 0.0) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 <= end <= 1:
            raise SettingError(f"end must be at least 0 and at most 1, got {end:g}")
        self.end = end

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return CosineAnnealingLR(optimizer, T_max=steps, eta_min=self.end * self.learning_rate)
