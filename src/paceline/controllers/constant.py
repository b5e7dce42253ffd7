"""The learning rate that was given."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler

from paceline.controllers.base import Schedule


@final
class Constant(Schedule):
    """Keeps the learning rate, after the warm-up if there is one.

    >>> from paceline.core.readings import Reading
    >>> Constant(0.1).decide(Reading(step=7, progress=0.7, total_steps=10)).learning_rate
    0.1
    """

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return ConstantLR(optimizer, factor=1.0)
