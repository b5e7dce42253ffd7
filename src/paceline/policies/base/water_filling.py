"""Shares that end at the same time: exact, for straight time curves with a bend and a cap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from paceline.core.errors import SettingError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
_LEAST_SLOPE = 1e-15


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Seconds of each agent by its examples: ``a + b·n``, and steeper beyond a bend.

    ``t(n) = start + slope · n + (steep − slope) · max(0, n − bend)`` for ``n > 0``.

    Attributes:
        start: Seconds before the first example, at least 0; shape (agents,), like the others.
        slope: Seconds for an example, over 0.
        bend: Examples from which on each needs more; inf where there is no bend.
        steep: Seconds for an example beyond the bend, at least ``slope``.
        most: Examples that it may have at most, at least 0; inf where there is no cap.
    """

    start: Floats
    slope: Floats
    bend: Floats
    steep: Floats
    most: Floats

    @classmethod
    def of(cls, start: Any, slope: Any, most: Any = np.inf) -> Curves:
        """Straight curves.

        >>> Curves.of([0.1, 0.0], [1.0, 2.0]).seconds(np.array([3, 0])).tolist()
        [3.1, 0.0]
        """
        start, slope = np.asarray(start, dtype=float), np.asarray(slope, dtype=float)
        slope = np.maximum(slope, _LEAST_SLOPE)
        endless = np.full(start.shape, np.inf)
        most = np.broadcast_to(np.asarray(most, dtype=float), start.shape)
        return cls(start=start, slope=slope, bend=endless, steep=slope, most=most)

    def seconds(self, samples: Any) -> Floats:
        """What each needs; 0 where it has nothing to do."""
        samples = np.asarray(samples, dtype=float)
        beyond = np.maximum(0.0, samples - self.bend)
        seconds = self.start + self.slope * samples + (self.steep - self.slope) * beyond
        return np.where(samples > 0, seconds, 0.0)

    def samples(self, level: Any) -> Floats:
        """What each can do in ``level`` seconds, fractions of examples too."""
        flat = np.maximum(0.0, (level - self.start) / self.slope)
        beyond = np.maximum(0.0, flat - self.bend)
        below = np.minimum(flat, self.bend)
        return np.asarray(np.minimum(below + beyond * (self.slope / self.steep), self.most))

    def times(self, factor: Any) -> Curves:
        """The curves of agents that need ``factor`` times as long."""
        return replace(
            self,
            start=self.start * factor,
            slope=self.slope * factor,
            steep=self.steep * factor,
        )

    def only(self, used: Mask) -> Curves:
        """The curves with a cap of 0 for those that are not used."""
        return replace(self, most=np.where(used, self.most, 0.0))


def level(curves: Curves, total: float) -> float:
    """The least T with ``Σ n_i(T) = total``, where ``n_i(T)`` is what agent i can do in T.

    ``n_i`` rises from ``start``, less beyond the bend and not any more at the cap. The sum is
    straight between these points: they are sorted and the stretch that holds the total is
    found, in O(N log N).

    Args:
        curves: Of the agents.
        total: Examples, at least 0.

    Raises:
        SettingError: The caps together hold less.

    >>> level(Curves.of([0.0, 1.0], [1.0, 1.0]), 5)
    3.0
    """
    finite = np.flatnonzero(curves.most > 0)
    start, slope = curves.start[finite], curves.slope[finite]
    steep, most = curves.steep[finite], curves.most[finite]
    bend = np.minimum(curves.bend[finite], most)
    expect_room(most, total)
    bent = start + slope * bend
    room = np.where(np.isfinite(most), most, 0.0) - np.where(np.isfinite(most), bend, 0.0)
    full = np.where(np.isfinite(most), bent + steep * room, np.inf)
    at = np.concatenate([start, bent, full])
    rise = np.concatenate([1 / slope, 1 / steep - 1 / slope, -1 / steep])
    there = np.isfinite(at)
    at, rise = at[there], rise[there]
    order = np.argsort(at, kind="stable")
    at, rise = at[order], np.cumsum(rise[order])
    done = np.concatenate([[0.0], np.cumsum(np.maximum(rise[:-1], 0.0) * np.diff(at))])
    # Where the caps hold the total just so, rounding must not lead into the next stretch.
    nearly = total * (1 - 1e-12)
    stretch = max(int(np.searchsorted(done, nearly, side="left")) - 1, 0)
    missing = total - done[stretch]
    return float(at[stretch] + missing / max(float(rise[stretch]), 1e-300))


def whole(curves: Curves, total: int) -> Counts:
    """Whole shares with the least makespan ``max t_i(n_i)`` that sum to ``total``.

    What is left after rounding the exact shares down goes, one by one, to whoever would be
    done with one more first. That is best: every best plan has at least the rounded shares.

    Args:
        curves: Of the agents.
        total: Examples, at least 0.

    Raises:
        SettingError: The caps together hold less.

    >>> whole(Curves.of([0.0, 0.0], [1.0, 2.0]), 10).tolist()
    [7, 3]
    """
    most = np.floor(curves.most)
    curves = replace(curves, most=most)
    time = level(curves, total)
    shares = np.floor(curves.samples(time) * (1 - 1e-12)).astype(np.int64)
    left = int(total - shares.sum())
    return shares if not left else shares + _next(curves, shares, left)


def _next(curves: Curves, shares: Counts, left: int) -> Counts:
    """Who gets the ``left`` examples that remain."""
    room = np.clip(curves.most - shares, 0, left).astype(np.int64)
    once = np.where(room > 0, curves.seconds(shares + 1), np.inf)
    if int((room > 0).sum()) >= left:
        limit = np.partition(once, left - 1)[left - 1]
        fits = np.floor(curves.samples(limit) * (1 + 1e-12)).astype(np.int64) - shares
        room = np.minimum(room, np.maximum(fits, once <= limit))
    who = np.repeat(np.arange(len(shares)), room)
    nth = np.arange(len(who)) - np.repeat(np.cumsum(room) - room, room) + 1
    given = shares[who] + nth
    beyond = np.maximum(0.0, given - curves.bend[who])
    slope, steep = curves.slope[who], curves.steep[who]
    ends = curves.start[who] + slope * given + (steep - slope) * beyond
    first = np.argsort(ends, kind="stable")[:left]
    return np.bincount(who[first], minlength=len(shares)).astype(np.int64)


def expect_room(most: Floats, total: float) -> None:
    """Refuses more examples than all agents together can hold.

    Raises:
        SettingError: With both numbers.
    """
    room = float(most.sum())
    if room < total:
        raise SettingError(
            f"{total:g} examples do not fit: the agents that are up hold {room:g} at most"
        )
