"""Shares that somebody set."""

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
class Fixed(Policy):
    """Shares out in proportions that never change.

    An agent beyond the end of the list, one that joined later, has the mean of the list. Dead
    agents' shares go to the others in the same proportions. When nobody who is up has a
    share, all of them have the same.

    Args:
        terms: What it works for; they do not change anything here.
        shares: One for each agent, at least 0 and not all 0; only their proportions count.
            Equal ones when empty.

    Raises:
        SettingError: A share is negative or not finite, or all are 0.

    >>> from paceline.core.rounds import AgentReading
    >>> policy = Fixed(Terms(), shares=[1.0, 3.0])
    >>> agents = (AgentReading(), AgentReading())
    >>> policy.decide(RoundReading(round=0, total=8, agents=agents)).samples
    (2, 6)
    """

    def __init__(self, terms: Terms, *, shares: list[float] | None = None) -> None:
        super().__init__(terms)
        shares = [float(each) for each in shares or ()]
        for number, share in enumerate(shares):
            if not 0 <= share < math.inf:
                raise SettingError(f"shares[{number}] must be at least 0 and finite, got {share}")
        if shares and not sum(shares):
            raise SettingError(f"shares must not all be 0, got {shares}")
        self.shares = shares

    def decide(self, seen: RoundReading) -> Assignment:
        given = self.shares[: len(seen.agents)]
        mean = sum(self.shares) / len(self.shares) if self.shares else 1.0
        weights = np.array(given + [mean] * (len(seen.agents) - len(given)))
        weights = np.where(up(seen), weights, 0.0)
        shares = proportional(weights, seen.total, caps(seen))
        return Assignment(samples=tuple(shares.tolist()), reason="fixed shares")

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is nothing to put back."""
