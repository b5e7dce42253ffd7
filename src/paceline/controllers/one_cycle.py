"""Up once, down once, to almost nothing."""

from __future__ import annotations

from typing import final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from paceline.controllers.base import Schedule
from paceline.core.errors import SettingError


@final
class OneCycle(Schedule):
    """Rises to the learning rate over ``rise`` of the budget and falls by cosine after it.

    Args:
        learning_rate: At the peak.
        rise: Share of the budget before the peak, over 0 and under 1.
        start: Share of the peak at the start, over 0 and at most 1.
        end: Share of the start at the end, over 0 and at most 1.

    >>> from paceline.core.readings import Reading
    >>> schedule = OneCycle(1.0, rise=0.5)
    >>> round(schedule.decide(Reading(step=4, progress=0.4, total_steps=10)).learning_rate, 3)
    1.0

    Reference: Smith & Topin 2018, "Super-Convergence".
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        rise: float = 0.3,
        start: float = 0.04,
        end: float = 1e-4,
    ) -> None:
        super().__init__(learning_rate)
        if not 0 < rise < 1:
            raise SettingError(f"rise must be over 0 and under 1, got {rise:g}")
        for name, value in (("start", start), ("end", end)):
            if not 0 < value <= 1:
                raise SettingError(f"{name} must be over 0 and at most 1, got {value:g}")
        self.rise, self.start, self.end = rise, start, end

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        return OneCycleLR(
            optimizer,
            max_lr=self.learning_rate,
            total_steps=max(steps, 2),
            pct_start=self.rise,
            div_factor=1 / self.start,
            final_div_factor=1 / self.end,
            cycle_momentum=False,
        )
