"""Down by a factor every so often."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class Step(Schedule):
    """Multiplies the learning rate by ``factor`` at ``drops`` even intervals.

    Args:
        learning_rate: Before the first drop.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        drops: How often in the whole budget, at least 1.
        factor: Over 0 and under 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = Step(1.0, drops=2, factor=0.1)
    >>> [schedule.decide(Reading(step=s, progress=s / 9, total_steps=9)).learning_rate
    ...     for s in (0, 2, 3, 5)]
    [1.0, 1.0, 0.1, 0.1]
    """

    def __init__(
        self, learning_rate: float, *, warmup: float = 0.0, drops: int = 2, factor: float = 0.1
    ) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if drops < 1:
            raise SettingError(f"drops must be at least 1, got {drops}")
        if not 0 < factor < 1:
            raise SettingError(f"factor must be over 0 and under 1, got {factor:g}")
        self.drops, self.factor = drops, factor

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        every = max(1, round(steps / (self.drops + 1)))
        return StepLR(optimizer, step_size=every, gamma=self.factor)
