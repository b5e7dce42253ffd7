"""The true speeds of simulated agents, and the shortest time in which they do so much work."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedCurves:
    """Seconds for n examples: ``a + b · n``, and ``f · b`` for each beyond the knee.

    Attributes:
        start: a in seconds, at least 0; shape (agents,), like the others.
        slope: b in seconds for an example, over 0.
        knee: Examples up to which the slope holds; inf where it always does.
        beyond: f, at least 1.
        most: Examples that fit into the memory; inf where all do.

    >>> curves = SpeedCurves.of(start=[0.0, 0.1], slope=[0.01, 0.02], knee=[50, np.inf])
    >>> curves.seconds(np.array([60, 10])).round(3).tolist()
    [0.9, 0.3]
    """

    start: Floats
    slope: Floats
    knee: Floats
    beyond: Floats
    most: Floats

    @classmethod
    def of(
        cls, start: Any, slope: Any, knee: Any = np.inf, beyond: Any = 4.0, most: Any = np.inf
    ) -> SpeedCurves:
        """Curves from numbers or sequences, broadcast against each other."""
        given = [np.asarray(each, dtype=float) for each in (start, slope, knee, beyond, most)]
        filled = [np.array(each) for each in np.broadcast_arrays(*given)]
        names = ("start", "slope", "knee", "beyond", "most")
        return cls(**dict(zip(names, filled, strict=True)))

    def seconds(self, samples: Counts | Floats) -> Floats:
        """What each needs for so many examples; 0 for none.

        Args:
            samples: Shape (agents,), at least 0.
        """
        work = samples + (self.beyond - 1) * np.maximum(samples - self.knee, 0.0)
        return np.where(samples > 0, self.start + self.slope * work, 0.0)

    def examples(self, seconds: float) -> Floats:
        """What each can do in so many seconds, fractions included; shape (agents,)."""
        free = np.maximum(seconds - self.start, 0.0) / self.slope
        beyond = np.maximum(free - self.knee, 0.0) / self.beyond
        return np.minimum(np.minimum(free, self.knee) + beyond, self.most)

    def shortest(self, total: float, use: Mask) -> float:
        """The shortest time in which those in use do ``total`` examples, inf where they cannot.

        The examples done by a time T grow in straight lines between the times at which an
        agent begins, comes to its knee or to its memory's end: the lines are added up in the
        order of these times, and the one on which ``total`` lies is solved for T.

        Args:
            total: At least 0.
            use: Which agents work; shape (agents,).

        >>> two = SpeedCurves.of(start=[0.0, 0.1], slope=[0.01, 0.02])
        >>> round(two.shortest(25, np.array([True, True])), 6)
        0.2
        """
        start, slope, most = self.start[use], self.slope[use], self.most[use]
        knee = np.minimum(self.knee[use], most)
        rate, late = 1 / slope, 1 / (slope * self.beyond[use])
        bend = start + slope * knee
        room = np.where(np.isfinite(most), most, 0.0) - np.where(np.isfinite(most), knee, 0.0)
        end = np.where(np.isfinite(most), bend + room / late, np.inf)
        times = np.concatenate([start, bend, end])
        change = np.concatenate([rate, late - rate, -late])
        real = np.isfinite(times)
        times, change = times[real], change[real]
        order = np.argsort(times)
        times, rates = times[order], np.cumsum(change[order])
        done = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(times))])
        # Where memories hold the total just so, rounding must not lead onto the next line.
        at = max(int(np.searchsorted(done, total * (1 - 1e-12))) - 1, 0)
        if rates[at] <= 1e-9 * rate.max():  # all memories are full
            return float(times[at]) if done[at] >= total * (1 - 1e-12) else float("inf")
        return float(times[at] + (total - done[at]) / rates[at])

    def fill(self, total: int, use: Mask) -> Counts:
        """Whole examples for each, so that the last is done as early as can be.

        No other whole shares among those in use are done earlier: from the shares of the
        shortest time rounded down, the examples that are left go one by one to the agent that
        would be done with it first.

        Args:
            total: At least 0.
            use: Which agents may work; shape (agents,).

        Returns:
            Shape (agents,), summing to ``total`` where the memories hold as much.

        >>> two = SpeedCurves.of(start=[0.0, 0.1], slope=[0.01, 0.02])
        >>> two.fill(25, np.array([True, True])).tolist()
        [20, 5]
        """
        shortest = self.shortest(total, use)
        if not np.isfinite(shortest):
            return np.where(use, self.most, 0.0).astype(np.int64)
        shares = np.where(use, np.floor(self.examples(shortest) * (1 - 1e-12)), 0.0).astype(
            np.int64
        )
        left = total - int(shares.sum())
        more = shares + 1
        fits = use & (more <= self.most)
        after = np.where(fits, self.seconds(more), np.inf)
        queue = [(float(after[agent]), int(agent)) for agent in np.flatnonzero(fits)]
        heapq.heapify(queue)
        for _ in range(left):
            _, agent = heapq.heappop(queue)
            shares[agent] += 1
            if shares[agent] + 1 <= self.most[agent]:
                heapq.heappush(queue, (self._one(agent, int(shares[agent]) + 1), agent))
        return shares

    def _one(self, agent: int, samples: int) -> float:
        over = max(samples - float(self.knee[agent]), 0.0)
        work = samples + (float(self.beyond[agent]) - 1) * over
        return float(self.start[agent]) + float(self.slope[agent]) * work
