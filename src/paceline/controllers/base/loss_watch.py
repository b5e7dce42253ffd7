"""What a loss was, is, and may be, in its own unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import final

from paceline.core.readings import NAN

SMOOTHING, CALM_STEPS, START_STEPS = 0.9, 10, 5
TRIPLED = 2.0
QUIET_WAY, QUIET_NOISE, COMMON = 0.8, 0.46, 2.0


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

    def quiet_under(self, *, frac: float, deviations: float) -> float:
        """The loss up to which fifteen more steps cannot lose it; nan where it is restless.

        So many losses of ``l`` at most take ``m`` no farther than 0.8 of the way to ``l``, and
        ``d`` not under half. It is restless in its first twenty steps, and where the common
        noise of a loss is over that ``l``.
        """
        if self.seen < 2 * CALM_STEPS:
            return NAN
        began, noise = self.began, deviations * self.deviation
        left = frac * (0.0 if self.best > began else began - self.best) + QUIET_NOISE * noise
        wild = TRIPLED * abs(began) + QUIET_NOISE * noise
        room = min(left - self.rise, wild - (self.average - began)) / QUIET_WAY
        return NAN if room < COMMON * self.deviation else self.average + room

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
        if self.seen >= CALM_STEPS:
            self.hear_more((loss,), frac=frac, deviations=deviations)
            return
        if len(self.start) < START_STEPS:
            self.start.append(loss)
        mean = loss if self.seen == 0 else self.average
        away = abs(loss - mean)
        self.deviation = (self.seen * self.deviation + away) / (self.seen + 1)
        most = self.bearable(frac=frac, deviations=deviations)
        if math.isnan(most):
            most = max(abs(mean), abs(self.began), self.deviation)
        self.average = SMOOTHING * mean + (1 - SMOOTHING) * min(loss, mean + 5 * most)
        self.seen += 1
        if self.seen >= CALM_STEPS and not self.average >= self.best:
            self.best = self.average

    def hear_more(self, losses: Sequence[float], *, frac: float, deviations: float) -> None:
        """Takes in finite losses after the tenth; plain numbers, for it is done all the time."""
        began, best, average, deviation = self.began, self.best, self.average, self.deviation
        for loss in losses:
            away = abs(loss - average)
            clipped = min(away, 3 * deviation) if deviation > 0 else away
            deviation = 0.95 * deviation + 0.05 * clipped
            most = frac * (0.0 if best > began else began - best) + deviations * deviation
            if most != most:
                most = max(abs(average), abs(began), deviation)
            average = SMOOTHING * average + (1 - SMOOTHING) * min(loss, average + 5 * most)
            if not average >= best:
                best = average
        self.best, self.average, self.deviation = best, average, deviation
        self.seen += len(losses)

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
