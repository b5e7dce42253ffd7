"""What an example brings with local steps, beside what it brought before, from the losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

# So many rounds tell a slope at all; over so many the losses are not looked at any more.
_LEAST, _MOST = 8, 24
# A loss may fall so many times as fast without being worse.
_ALLOWED = 0.5
_DEVIATIONS = 3.0
_LEAST_EFFICIENCY, _ALIKE = 0.05, 1e-12


@final
class Gain:
    """Tells whether the loss falls clearly more slowly since the sync interval was changed.

    The slope of the loss over the batches is fitted to the rounds with the present interval,
    8 to 24 of them, and to those with the interval before. Let these be a before and b now, and
    s the standard error of their difference. A loss falls ever more slowly anyway: where it
    is ``c + k / t`` after t batches, the slope would be ``a' = a · (t_before / t_now)²`` now. An
    example brings ``b / a'`` times as much where ``b > a' / 2 + 3 s``, and otherwise as much
    as before. With one step an interval an example counts 1.

    Exact steps and local ones are compared by the loss with which a round begins, for agents
    come to know their own examples in the course of it.

    >>> gain = Gain()
    >>> falls = [gain.take(1, 2.0 - 0.1 * round) for round in range(10)]
    >>> rises = [gain.take(4, 1.0 + 0.1 * round) for round in range(8)]
    >>> falls[-1], rises[0], rises[-1]
    (1.0, 1.0, 0.05)
    """

    def __init__(self) -> None:
        self._interval, self._at, self._worth = 1, 0.0, 1.0
        self._before: list[tuple[float, float]] = []
        self._now: list[tuple[float, float]] = []
        self._base = 1.0

    def take(self, interval: int, loss: float) -> float:
        """Takes in a round; gives its examples' efficiency, from 0.05.

        Args:
            interval: Its local steps.
            loss: With which it began; one that is not finite is passed over.
        """
        if interval != self._interval:
            if len(self._now) >= _LEAST:
                self._before, self._base = self._now, self._worth
            self._interval, self._now = interval, []
            self._worth = 1.0 if interval == 1 else self._base
        if math.isfinite(loss):
            self._now = [*self._now[1 - _MOST :], (self._at, loss)]
        self._at += interval
        if interval > 1 and _LEAST <= len(self._now) < _MOST and len(self._before) >= _LEAST:
            self._worth = self._base * self._ratio()
        return max(self._worth, _LEAST_EFFICIENCY)

    def _ratio(self) -> float:
        before, error_before = _slope(self._before)
        now, error_now = _slope(self._now)
        before *= (_middle(self._before) / max(_middle(self._now), 1.0)) ** 2
        if now <= _ALLOWED * before + _DEVIATIONS * math.hypot(error_now, error_before) + _ALIKE:
            return 1.0
        return max(now / before, 0.0) if before < 0 else 1.0

    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""
        return {
            "interval": self._interval,
            "at": self._at,
            "worth": self._worth,
            "base": self._base,
            "before": [list(each) for each in self._before],
            "now": [list(each) for each in self._now],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._interval, self._at = int(state["interval"]), float(state["at"])
        self._worth, self._base = float(state["worth"]), float(state["base"])
        self._before = [(at, loss) for at, loss in state["before"]]
        self._now = [(at, loss) for at, loss in state["now"]]


def _middle(points: list[tuple[float, float]]) -> float:
    return (points[0][0] + points[-1][0]) / 2


def _slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Least-squares slope, and its standard error."""
    at, loss = np.array(points).T
    at = at - at.mean()
    spread = float(at @ at)
    slope = float(at @ loss) / spread
    left = loss - loss.mean() - slope * at
    return slope, math.sqrt(float(left @ left) / (len(at) - 2) / spread)
