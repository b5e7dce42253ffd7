"""Choices as a grid of sync intervals and batch factors, and the moves between neighbours."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from paceline.core.rounds import AgentReading, Choice, RoundReading

Array = NDArray[np.float64]

MOVES: Final = ("stay", "H/2", "H*2", "m/2", "m*2")
_LEAST_SECONDS = 1e-9
_STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


class Grid:
    """The choices of a reading, laid out by sync interval H and batch factor m.

    Args:
        choices: As the reading has them, at least one; they need not fill the grid.

    >>> pairs = [(1, 1.0), (1, 2.0), (8, 1.0), (8, 2.0)]
    >>> grid = Grid(tuple(Choice(sync_interval=h, batch_factor=m) for h, m in pairs))
    >>> grid.neighbours(0)  # stay, H/2, H*2, m/2, m*2
    (0, 0, 2, 0, 1)
    """

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices
        self.intervals = sorted({each.sync_interval for each in choices})
        self.factors = sorted({each.batch_factor for each in choices})
        self.places = [
            (self.intervals.index(each.sync_interval), self.factors.index(each.batch_factor))
            for each in choices
        ]
        self._at = {place: number for number, place in reversed([*enumerate(self.places)])}

    def neighbours(self, choice: int) -> tuple[int, ...]:
        """Where each of ``MOVES`` leads [5]; to the same place over an edge or a gap."""
        row, column = self.places[choice]
        return tuple(self._at.get((row + up, column + on), choice) for up, on in _STEPS)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The number of each choice's interval [choices]."""
        return np.array([row for row, _ in self.places])

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The number of each choice's batch factor [choices]."""
        return np.array([column for _, column in self.places])

    @cached_property
    def batches(self) -> Array:
        """Micro-batches between two synchronisations, ``H · m`` [choices]."""
        return np.array([each.sync_interval * each.batch_factor for each in self.choices])

    def speeds(self, seconds: float, communication: float) -> Array:
        """Micro-batches a second with each choice, ``H·m / (H·m·seconds + communication)``.

        Args:
            seconds: Of one micro-batch on the slowest agent, over 0.
            communication: Seconds of one synchronisation, at least 0.

        Returns:
            [choices].

        >>> choices = Choice(), Choice(sync_interval=4)
        >>> Grid(choices).speeds(0.1, 0.4).tolist()
        [2.0, 5.0]
        """
        each = self.batches * max(seconds, _LEAST_SECONDS) + max(communication, 0.0)
        return np.asarray(self.batches / each, dtype=float)

    def to_json(self) -> list[list[float]]:
        """What a state remembers of the choices."""
        return [[each.sync_interval, each.batch_factor] for each in self.choices]

    @classmethod
    def from_json(cls, given: Any) -> Grid:
        """The grid of ``to_json``."""
        return cls(tuple(Choice(sync_interval=int(h), batch_factor=float(m)) for h, m in given))


def slowest(agents: tuple[AgentReading, ...]) -> float:
    """Seconds of the slowest agent that worked; 0 where none did."""
    return max((each.seconds for each in agents if each.is_up), default=0.0)


def log_efficiency(outcome: RoundReading, choice: Choice, examples: int) -> float:
    """What an example brought, as a logarithm; nan where it was not measured.

    Args:
        outcome: The reading after the round, for its progress.
        choice: What the round was done with.
        examples: In one micro-batch.

    >>> done = RoundReading(round=1, total=10, agents=(), progress=20.0)
    >>> log_efficiency(done, Choice(sync_interval=4), 10) == math.log(0.5)
    True
    """
    all_examples = choice.sync_interval * choice.batch_factor * examples
    if not (0 < outcome.progress < math.inf) or all_examples <= 0:
        return math.nan
    return math.log(outcome.progress / all_examples)
