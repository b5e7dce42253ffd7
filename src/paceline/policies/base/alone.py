"""One agent alone needs no synchronisation: when that is the better plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from paceline.core.rounds import AgentReading, Assignment, RoundReading
from paceline.policies.base.policy import Terms

_MEMORY = 0.5
# After so many rounds alone one is shared again, to see what has become of the link and of
# the others.
_LONGEST = 16
# The plan alone must be better by this factor.
_MARGIN = 1.03


class Alone:
    """Remembers how fast each agent is and what the last shared round took.

    Args:
        terms: What plans are worth.
        first: Rounds that are shared before one agent may do all, at least 1.

    >>> done = tuple(AgentReading(samples=10, seconds=seconds) for seconds in (1.0, 2.0))
    >>> outcome = RoundReading(round=1, total=20, agents=done, communication_seconds=5.0)
    >>> alone = Alone(Terms())
    >>> alone.learn(outcome, (10, 10))
    True
    >>> alone.plan(outcome), alone.seconds, alone.communication
    ((0, 2.0), 2.0, 5.0)
    """

    def __init__(self, terms: Terms, *, first: int = 12) -> None:
        self.terms, self.first = terms, first
        self.seconds = self.communication = 0.0
        self._paces: list[float] = []
        self._shared = self._rounds = 0

    def learn(self, outcome: RoundReading, samples: tuple[int, ...]) -> bool:
        """Takes in a round; whether it was shared by several agents."""
        agents = outcome.agents
        self._paces += [0.0] * (len(agents) - len(self._paces))
        for at, (agent, count) in enumerate(zip(agents, samples, strict=False)):
            if agent.is_up and count > 0 and agent.seconds > 0:
                pace, before = agent.seconds / count, self._paces[at]
                self._paces[at] = pace if not before else before + _MEMORY * (pace - before)
        shared = sum(count > 0 for count in samples) > 1
        if not shared:
            self._rounds += 1
            return sum(each.is_up for each in agents) < 2
        self._rounds, self._shared = 0, min(self._shared + 1, self.first)
        self.seconds = max((each.seconds for each in agents if each.is_up), default=0.0)
        self.communication = outcome.communication_seconds
        return True

    def plan(self, seen: RoundReading) -> tuple[int, float] | None:
        """The fastest that can hold all, with its seconds; None where there is none."""
        best = None
        for at, (agent, pace) in enumerate(zip(seen.agents, self._paces, strict=False)):
            holds = agent.most_samples is None or agent.most_samples >= seen.total
            if agent.is_up and holds and pace > 0 and (best is None or pace < best[1]):
                best = at, pace
        return None if best is None else (best[0], best[1] * seen.total)

    def assignment(
        self, seen: RoundReading, samples: tuple[int, ...], speed: float
    ) -> Assignment | None:
        """The plan with one agent, where it is the better one.

        Args:
            seen: The reading before the round.
            samples: Of the plan that is shared.
            speed: What a second of that brings, in micro-batches.
        """
        if self._shared < self.first or self._rounds >= _LONGEST:
            return None
        found = self.plan(seen)
        if found is None or sum(count > 0 for count in samples) < 2 or not speed > 0:
            return None
        at, seconds = found
        if not self._is_better(seen.agents, samples, at, seconds * speed):
            return None
        everything = tuple(seen.total if each == at else 0 for each in range(len(samples)))
        expected = tuple(seconds if each == at else 0.0 for each in range(len(samples)))
        why = f"agent {at} alone: the others bring less than a synchronisation costs"
        return Assignment(samples=everything, expected_seconds=expected, reason=why)

    def _is_better(
        self, agents: tuple[AgentReading, ...], samples: tuple[int, ...], at: int, slower: float
    ) -> bool:
        """Whether a plan with one agent that takes so many times as long is worth more."""
        alpha, beta = self.terms.alpha, self.terms.beta
        if slower > self.terms.slack:
            return False
        everything = math.fsum(each.price for each in agents if each.is_up)
        paired = zip(agents, samples, strict=True)
        price = math.fsum(each.price for each, count in paired if count > 0)
        together = alpha + beta * (everything / price if price > 0 else 1.0)
        own = agents[at].price
        by_itself = alpha + beta * (everything / own if own > 0 else 1.0)
        return by_itself > _MARGIN * together * slower

    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""
        return {
            "seconds": self.seconds,
            "communication": self.communication,
            "paces": list(self._paces),
            "shared": self._shared,
            "rounds": self._rounds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.seconds = float(state["seconds"])
        self.communication = float(state["communication"])
        self._paces = [float(each) for each in state["paces"]]
        self._shared, self._rounds = int(state["shared"]), int(state["rounds"])
