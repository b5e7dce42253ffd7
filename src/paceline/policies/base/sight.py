"""What a policy network sees of the rounds so far, as a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from paceline.core.rounds import RoundReading
from paceline.policies.base.grid import MOVES, Grid, log_efficiency, slowest

SIZE: Final = 6 + 5 * (len(MOVES) - 1)
BOUND: Final = 5.0
# What was measured is forgotten at this rate; so many rounds are as good as certain.
_KEEP, _ENOUGH = 0.97, 4.0
# Over so many rounds the beginning is forgotten.
_BEGINNING = 50.0


@final
class Sight:
    """The place on the grid of choices, and what is known of the choices beside it.

    The numbers are: the place by interval and by batch, from 0 to 1; the decimal logarithm of
    a synchronisation over a micro-batch; the logarithm of the efficiency that was measured at
    this place; by how much the last round missed it; what is left of the beginning, from 1 to
    0. Then for each of the four moves: whether it leads anywhere; the logarithm of what it
    does to the micro-batches a second, which is known; how much better the efficiency was
    there, times how sure that is; how sure, from 0 to 1; and what it brings in all.

    Args:
        remembered: ``to_json`` of another one, to go on from.

    >>> from paceline.core.rounds import AgentReading, Choice
    >>> choices = tuple(Choice(sync_interval=h) for h in (1, 4))
    >>> agents = (AgentReading(samples=8, seconds=0.1),)
    >>> done = RoundReading(round=1, total=8, agents=agents, choices=choices, chosen=1,
    ...     communication_seconds=1.0, progress=16.0)
    >>> sight = Sight()
    >>> sight.remember(done)
    >>> [round(each, 2) for each in sight.features(done)[:8].tolist()]  # 32 are worth 16
    [1.0, 0.0, 1.0, -0.69, 0.0, 0.98, 1.0, -1.15]
    """

    def __init__(self, remembered: Mapping[str, Any] | None = None) -> None:
        given = remembered or {"table": {}, "miss": 0.0, "rounds": 0}
        self._table = {str(key): (float(n), float(s)) for key, (n, s) in given["table"].items()}
        self._miss, self._rounds = float(given["miss"]), int(given["rounds"])

    def remember(self, done: RoundReading) -> None:
        """Takes in the reading after a round; nothing where its progress was not measured."""
        measured = log_efficiency(done, done.choices[done.chosen], done.total)
        if math.isfinite(measured):
            self.observe(done.chosen, measured)

    def observe(self, choice: int, measured: float) -> None:
        """Takes in the logarithm of the efficiency that a round with a choice had."""
        count, total = self._table.get(str(choice), (0.0, 0.0))
        if count > 0:
            self._miss = measured - total / count
        self._table = {key: (_KEEP * n, _KEEP * s) for key, (n, s) in self._table.items()}
        self._table[str(choice)] = (_KEEP * count + 1, _KEEP * total + measured)
        self._rounds += 1

    def efficiency(self, choice: int) -> float:
        """What an example brought with a choice lately; 1 where it was never tried."""
        return math.exp(self._mean(choice))

    def features(self, seen: RoundReading) -> NDArray[np.float32]:
        """The numbers, each from -5 to 5 [SIZE].

        Args:
            seen: The reading before a round.
        """
        grid, here = Grid(seen.choices), seen.chosen
        seconds = max(slowest(seen.agents), 1e-9)
        row, column = grid.places[here]
        ratio = math.log10(max(seen.communication_seconds, 1e-9) / seconds)
        logs = np.log(grid.speeds(seconds, seen.communication_seconds))
        told = [
            row / max(len(grid.intervals) - 1, 1),
            column / max(len(grid.factors) - 1, 1),
            ratio,
            self._mean(here),
            self._miss,
            math.exp(-self._rounds / _BEGINNING),
        ]
        for there in grid.neighbours(here)[1:]:
            sure = min(self._table.get(str(there), (0.0, 0.0))[0], _ENOUGH) / _ENOUGH
            gain = float(logs[there] - logs[here])
            better = sure * (self._mean(there) - self._mean(here))
            told += [float(there != here), gain, better, sure, gain + better]
        return np.clip(np.array(told, dtype=np.float32), -BOUND, BOUND)

    def to_json(self) -> dict[str, Any]:
        """What is remembered."""
        table = {key: list(pair) for key, pair in self._table.items()}
        return {"table": table, "miss": self._miss, "rounds": self._rounds}

    def _mean(self, choice: int) -> float:
        count, total = self._table.get(str(choice), (0.0, 0.0))
        return total / count if count > 0 else 0.0
