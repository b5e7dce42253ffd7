"""A straight line down."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class Linear(Schedule):
    """Falls in a straight line from the learning rate to ``end`` times it.

    The plain schedule that is hardest to beat once the peak is right (Defazio et al.
    2023, "When, Why and How Much? Adaptive Learning Rate Scheduling by Refinement").

    Args:
        learning_rate: At the top.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        end: Share of the learning rate at the end, 0 to 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = Linear(1.0, warmup=0.0)
    >>> round(schedule.decide(Reading(step=50, progress=0.5, total_steps=100)).learning_rate, 6)
    0.5
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.05, end: float = 0.0) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 <= end <= 1:
            raise SettingError(f"end must be at least 0 and at most 1, got {end:g}")
        self.end = end

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return LinearLR(optimizer, start_factor=1.0, end_factor=self.end, total_iters=steps)
