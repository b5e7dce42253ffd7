"""Shares by measured speed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment, RoundReading
from paceline.policies.base import Policy, Terms
from paceline.policies.base.shares import caps, proportional, up


@final
class Proportional(Policy):
    """Shares out in proportion to the examples that each agent did in a second lately.

    ``v ← v + weight · (n / t − v)`` after every round in which the agent worked; its share is
    ``total · v / Σ v``. It takes an agent's seconds for proportional to its examples: what
    an agent needs before the first one counts as slowness. An agent that was never measured
    counts as the mean of the others.

    Args:
        terms: What it works for; it looks at the time alone.
        weight: Of the newest speed, over 0 and at most 1.

    Raises:
        SettingError: The weight is out of its range.

    >>> from paceline.core.rounds import AgentReading
    >>> policy = Proportional(Terms())
    >>> seen = RoundReading(round=0, total=8, agents=(AgentReading(), AgentReading()))
    >>> done = (AgentReading(samples=4, seconds=1.0), AgentReading(samples=4, seconds=3.0))
    >>> policy.learn(seen, policy.decide(seen), RoundReading(round=1, total=8, agents=done))
    >>> policy.decide(RoundReading(round=1, total=8, agents=done)).samples
    (6, 2)

    Reference:
        Chen et al., Semi-dynamic load balancing: efficient distributed learning in
        non-dedicated environments, SoCC 2020, section 4 (LB-BSP).
    """

    def __init__(self, terms: Terms, *, weight: float = 0.3) -> None:
        super().__init__(terms)
        if not 0 < weight <= 1:
            raise SettingError(f"weight must be over 0 and at most 1, got {weight}")
        self.weight = float(weight)
        self._speeds: list[float] = []

    def decide(self, seen: RoundReading) -> Assignment:
        speeds = np.zeros(len(seen.agents))
        known = self._speeds[: len(speeds)]
        speeds[: len(known)] = known
        there = up(seen)
        measured = there & (speeds > 0)
        mean = float(speeds[measured].mean()) if measured.any() else 1.0
        weights = np.where(there, np.where(speeds > 0, speeds, mean), 0.0)
        shares = proportional(weights, seen.total, caps(seen))
        expected = np.where(measured, shares / np.where(measured, speeds, 1.0), np.nan)
        return Assignment(
            samples=tuple(shares.tolist()),
            expected_seconds=tuple(expected.tolist()) if measured.any() else (),
            reason="shares by speed" if measured.any() else "no speed is known yet",
        )

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        self._speeds += [0.0] * (len(outcome.agents) - len(self._speeds))
        for number, agent in enumerate(outcome.agents):
            if agent.samples and agent.seconds > 0 and agent.seconds < math.inf:
                speed, was = agent.samples / agent.seconds, self._speeds[number]
                self._speeds[number] = was + self.weight * (speed - was) if was else speed

    def state_dict(self) -> dict[str, Any]:
        return {"speeds": list(self._speeds)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        speeds = state.get("speeds")
        if not isinstance(speeds, list) or not all(0 <= each < math.inf for each in speeds):
            raise SettingError("this is no state of such a policy: it has no list of 'speeds'")
        self._speeds = [float(each) for each in speeds]
