"""What a loss was, is, and may be, in its own unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import final

from paceline.core.readings import NAN

SMOOTHING, CALM_STEPS, START_STEPS = 0.9, 10, 5
TRIPLED = 2.0


@final
@dataclass(kw_only=True, slots=True)
class LossWatch:
    """Follows a loss, and tells a loss that is lost from one that is noisy.

    With ``m`` the moving average of the loss (0.9), ``b`` the lowest ``m``, ``a`` the loss at
    the start and ``d`` the clipped mean deviation from ``m``, the loss is lost where

        m - b > frac * (a - b) + deviations * d.

    One loss, however wild, moves ``m`` by half of that at most. All of it is a number in the
    loss's own unit: nothing changes where the loss is scaled or shifted.

    Attributes:
        seen: Finite losses since the average began.
        average: ``m``, nan before the first.
        best: ``b``, nan before the tenth.
        start: The first five losses.
        deviation: ``d``.

    >>> watch = LossWatch()
    >>> for loss in [2.0] * 10 + [1.0] * 99:
    ...     watch.hear(loss, frac=0.15, deviations=3.0)
    >>> round(watch.gain, 2), watch.is_lost(frac=0.15, deviations=3.0)
    (1.0, False)
    >>> for loss in [2.0] * 6:
    ...     watch.hear(loss, frac=0.15, deviations=3.0)
    >>> watch.is_lost(frac=0.15, deviations=3.0)
    True
    """

    seen: int = 0
    average: float = NAN
    best: float = NAN
    start: list[float] = field(default_factory=list)
    deviation: float = 0.0

    @property
    def began(self) -> float:
        """``a``: one bad step at the start does not raise it."""
        return min(self.start[0], median(self.start)) if self.start else NAN

    @property
    def gain(self) -> float:
        """``a - b``, not negative; nan before there is a best, so that nothing exceeds it."""
        return 0.0 if self.best > self.began else self.began - self.best

    @property
    def rise(self) -> float:
        """``m - b``."""
        return self.average - self.best

    def bearable(self, *, frac: float, deviations: float) -> float:
        """How far ``m`` may stand over ``b``."""
        return frac * self.gain + deviations * self.deviation

    def is_lost(self, *, frac: float, deviations: float) -> bool:
        """Whether it stands farther; or has tripled since the start."""
        if self.seen < START_STEPS:
            return False
        wild = TRIPLED * abs(self.began) + deviations * self.deviation
        far = self.rise > self.bearable(frac=frac, deviations=deviations)
        return far or self.average - self.began > wild

    def hear(self, loss: float, *, frac: float, deviations: float) -> None:
        """Takes in a finite loss."""
        if len(self.start) < START_STEPS:
            self.start.append(loss)
        mean = loss if self.seen == 0 else self.average
        away = abs(loss - mean)
        if self.seen < CALM_STEPS:
            self.deviation = (self.seen * self.deviation + away) / (self.seen + 1)
        else:
            clipped = min(away, 3 * self.deviation) if self.deviation > 0 else away
            self.deviation = 0.95 * self.deviation + 0.05 * clipped
        most = self.bearable(frac=frac, deviations=deviations)
        if math.isnan(most):
            most = max(abs(mean), abs(self.began), self.deviation)
        self.average = SMOOTHING * mean + (1 - SMOOTHING) * min(loss, mean + 5 * most)
        self.seen += 1
        if self.seen >= CALM_STEPS and not self.average >= self.best:
            self.best = self.average

    def settle(self) -> float:
        """Takes the average back to the best, or the start where there is none; gives it."""
        self.average = self.began if math.isnan(self.best) else self.best
        return self.average

    def rebase(self) -> None:
        """Another state was put in place: average and best begin anew there."""
        self.seen, self.average, self.best = 0, NAN, NAN

    def forget(self) -> None:
        """Begins to measure progress anew."""
        self.seen, self.average, self.best = 0, NAN, NAN
        self.start, self.deviation = [], 0.0
