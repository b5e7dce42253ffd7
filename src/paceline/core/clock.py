"""Where time comes from. Simulated time is the same code with another clock."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Anything that tells seconds since some fixed moment."""

    def now(self) -> float:
        """Seconds, never going back."""


@final
class WallClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.monotonic()


@final
class ManualClock:
    """A clock that moves only when told to.

    >>> clock = ManualClock(); clock.advance(2.5); clock.now()
    2.5
    """

    def __init__(self, start: float = 0.0) -> None:
        self._seconds = start

    def now(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Moves on by ``seconds``."""
        self._seconds += seconds
