"""What the policies share whose memory is a table of the worth of a few moves."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment, RoundReading
from paceline.learners.base import Learner
from paceline.policies.base.grid import MOVES, slowest
from paceline.policies.base.guided import Guided, Lesson
from paceline.policies.base.policy import Terms
from paceline.policies.base.transfers import TRANSFERS, transferred

# Exploration begins at this and gets less by this factor with every lesson.
_FIRST_EXPLORATION, _LESS = 0.3, 0.99
_MEMORY = 0.95
_IMBALANCE = (1.05, 1.12, 1.3, 1.7, 2.5)
_TREND = (-0.01, 0.01)
_ACTIVE = (0.4, 0.8)
_MOST_BUCKETS = 7


class Tabular(Guided):
    """Moves to a neighbouring choice, or moves shares, as a table of their worths says.

    With several choices the moves are: stay, half or twice the sync interval, half or twice
    the batch. The table's state is the choice and how long a synchronisation takes, in
    micro-batches. With one choice the moves are transfers from the slowest agents to the
    fastest, taking the worst agents out, and bringing one back; the state is how uneven the
    agents' seconds are, whether the reward rises, and the share of the agents that work. This
    is there to be compared with: the guide works out better shares than it can learn. The
    reward is the logarithm of what a second brought, less its running mean.

    Args:
        terms: What it works for.
        step_size: How far a lesson moves a worth, over 0 and at most 1.
        discount: What a reward one round later counts, from 0 to 1.
        exploration: Share of the moves that are drawn at random in the long run, 0 to 1.
        guide: The policy that shares out where there is something to choose.
        gated: Whether the guide takes over when it is the better one.

    Attributes:
        learner: The name of the learner that keeps the table.

    Raises:
        SettingError: A setting is out of its range.
    """

    learner: ClassVar[str]
    shared_first = 100

    def __init__(
        self,
        terms: Terms,
        *,
        step_size: float = 0.3,
        discount: float = 0.6,
        exploration: float = 0.05,
        guide: str = "model",
        gated: bool = True,
    ) -> None:
        super().__init__(terms, guide=guide, gated=gated)
        if not 0 <= exploration <= 1:
            raise SettingError(f"exploration must be from 0 to 1, got {exploration:g}")
        self.step_size, self.discount = float(step_size), float(discount)
        self.exploration = float(exploration)
        self._choices, self._transfers = self._made(len(MOVES)), self._made(len(TRANSFERS))
        self._mean: float | None = None
        self._last: float | None = None
        self._lessons = 0
        self._pending: tuple[str, int, float] | None = None

    def _made(self, actions: int) -> Learner:
        given = {"step_size": self.step_size, "discount": self.discount}
        made: Learner = catalog.build(catalog.find("learners", self.learner), given, actions)
        return made

    def _choose(self, seen: RoundReading) -> int:
        move = self._move(self._choices, self._place(seen), seen)
        return self._grid.neighbours(seen.chosen)[move]

    def _took(self, lesson: Lesson) -> None:
        seen = lesson.seen
        if not lesson.own or self._choose(seen) != lesson.number:
            self._pending = None
            return
        state = self._place(seen)
        self._learn(self._choices, state, self._move(self._choices, state, seen), lesson.reward)

    def _renew(self) -> None:
        self._choices = self._made(len(MOVES))
        self._pending = self._mean = None

    def _share(self, seen: RoundReading, planned: Assignment) -> Assignment:
        move = self._move(self._transfers, self._balance(seen), seen)
        samples = transferred(seen, move, self._generator(seen, 1))
        if samples is None:
            return planned
        return Assignment(samples=samples, reason=TRANSFERS[move])

    def _shared(self, seen: RoundReading, taken: Assignment, outcome: RoundReading) -> None:
        if not (math.isfinite(outcome.reward) and outcome.reward > 0):
            self._pending = None
            return
        state, reward = self._balance(seen), math.log(outcome.reward)
        self._learn(self._transfers, state, self._move(self._transfers, state, seen), reward)
        self._last = reward

    def _learn(self, learner: Learner, state: str, move: int, reward: float) -> None:
        """Finishes the lesson before, now that is known what followed it."""
        if self._pending is not None:
            learner.learn(*self._pending, state, move)
        mean = reward if self._mean is None else self._mean
        self._pending = (state, move, reward - mean)
        self._mean = _MEMORY * mean + (1 - _MEMORY) * reward
        self._lessons += 1

    def _move(self, learner: Learner, state: str, seen: RoundReading) -> int:
        """The best move by the table, or one that is drawn."""
        draw = self._generator(seen, 0)
        share = max(self.exploration, _FIRST_EXPLORATION * _LESS**self._lessons)
        if draw.random() < min(share, 10 * self.exploration):
            return int(draw.integers(learner.actions))
        values = learner.values(state)
        best = max(values)
        return int(draw.choice([at for at, value in enumerate(values) if value == best]))

    def _generator(self, seen: RoundReading, use: int) -> np.random.Generator:
        return np.random.default_rng([self.terms.seed, seen.round, use])

    def _place(self, seen: RoundReading) -> str:
        seconds = max(slowest(seen.agents), 1e-9)
        ratio = max(seen.communication_seconds, 1e-9) / seconds
        return f"{seen.chosen}c{min(max(int(math.log2(ratio)) + 2, 0), _MOST_BUCKETS)}"

    def _balance(self, seen: RoundReading) -> str:
        worked = [each.seconds for each in seen.agents if each.is_up and each.samples > 0]
        mean = math.fsum(worked) / len(worked) if worked else 0.0
        imbalance = max(worked) / mean if mean > 0 else 1.0
        trend = 0.0
        if self._last is not None and self._mean is not None:
            trend = self._last - self._mean
        active = len(worked) / max(len(seen.agents), 1)
        return f"i{bisect(_IMBALANCE, imbalance)}t{bisect(_TREND, trend)}a{bisect(_ACTIVE, active)}"

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "table": self._choices.state_dict(),
            "transfers": self._transfers.state_dict(),
            "mean": self._mean,
            "last": self._last,
            "lessons": self._lessons,
            "pending": None if self._pending is None else list(self._pending),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._choices.load_state_dict(state["table"])
        self._transfers.load_state_dict(state["transfers"])
        self._mean, self._last = _maybe(state["mean"]), _maybe(state["last"])
        self._lessons = int(state["lessons"])
        self._pending = _lesson(state["pending"])


def _maybe(given: Any) -> float | None:
    return None if given is None else float(given)


def _lesson(given: Sequence[Any] | None) -> tuple[str, int, float] | None:
    return None if given is None else (str(given[0]), int(given[1]), float(given[2]))
