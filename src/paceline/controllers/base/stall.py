"""Tells a gradient that is as good as none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

FAINT, FAINT_SHARE, ZERO_STEPS = 1e-7, 0.05, 10


@final
@dataclass(kw_only=True, slots=True)
class Stall:
    """Counts steps whose gradient is faint: at most 1e-7 of the largest norm so far.

    A stall is ten steps in a row with a norm of exactly zero, or a twentieth of the run with
    a faint one.

    Attributes:
        peak: The largest norm so far.
        faint: Steps in a row with a faint gradient.
        stalled: Whether it is one.

    >>> stall = Stall()
    >>> [stall.hear(norm, horizon=100) for norm in [1.0] + [0.0] * 10][-2:]
    [False, True]
    """

    peak: float = 0.0
    faint: int = 0
    stalled: bool = False

    def hear(self, norm: float, *, horizon: float, steps: int = 1) -> bool:
        """Takes in a norm of some steps, nan if not known; whether a stall begins with it."""
        self.peak = max(self.peak, norm) if norm < math.inf else self.peak
        self.faint = self.faint + steps if norm <= FAINT * self.peak else 0
        before = self.stalled
        long = ZERO_STEPS if norm == 0 else max(FAINT_SHARE * horizon, ZERO_STEPS)
        self.stalled = self.faint > 0 and (before or self.faint >= long)
        return self.stalled and not before
