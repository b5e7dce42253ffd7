"""Warm up, hold, and fall at the end."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class WarmupStableDecay(Schedule):
    """Holds the learning rate after the warm-up and falls to zero over the last part.

    The rate is lr · min(1, (T − t) / (decay · T)), t and T counted from the warm-up's end.

    Args:
        learning_rate: On the plateau.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        decay: Share of what follows in which the rate falls to zero, over 0 and at most 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = WarmupStableDecay(1.0, warmup=0.0, decay=0.2)
    >>> [schedule.decide(Reading(step=s, progress=s / 100, total_steps=100)).learning_rate
    ...     for s in (10, 80, 90)]
    [1.0, 1.0, 0.5]

    Reference: Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations", section 3.
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.05, decay: float = 0.2) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 < decay <= 1:
            raise SettingError(f"decay must be over 0 and at most 1, got {decay:g}")
        self.decay = decay

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: min(1.0, (steps - step) / (self.decay * steps)))
