"""The same for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.rounds import Assignment, RoundReading
from paceline.policies.base import Policy
from paceline.policies.base.shares import caps, proportional


@final
class Equal(Policy):
    """Gives every agent that is up the same number of examples, give or take one.

    What does not fit into an agent's memory goes to the others. This is what PyTorch's
    DistributedDataParallel does: the slowest agent sets the pace.

    Args:
        terms: What it works for; they do not change anything here.

    >>> from paceline.core.rounds import AgentReading
    >>> from paceline.policies.base import Terms
    >>> agents = (AgentReading(), AgentReading(seconds=float("nan")), AgentReading())
    >>> Equal(Terms()).decide(RoundReading(round=0, total=7, agents=agents)).samples
    (4, 0, 3)
    """

    def decide(self, seen: RoundReading) -> Assignment:
        shares = proportional(np.ones(len(seen.agents)), seen.total, caps(seen))
        return Assignment(samples=tuple(shares.tolist()), reason="equal shares")

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        """Nothing is learnt."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is nothing to put back."""
