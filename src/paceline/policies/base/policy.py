"""What a scheduling policy is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from paceline.core.decider import Decider
from paceline.core.rounds import Assignment, RoundReading


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a policy works for.

    Attributes:
        alpha: What the time counts in the reward, at least 0.
        beta: What the resources count, at least 0.
        slack: A plan may take this many times the shortest time and no more, at least 1.
        seed: Of all that the policy draws.
    """

    alpha: float = 1.0
    beta: float = 0.0
    slack: float = 1.25
    seed: int = 0


class Policy(Decider[RoundReading, RoundReading, Assignment]):
    """Shares out a round's examples; asked before every round.

    ``decide`` changes nothing and draws its chance from ``terms.seed`` and the round's
    number, so that it answers the same when asked twice.

    Args:
        terms: What it works for.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    def observe(self, reading: RoundReading) -> RoundReading:
        """Passes the reading on as it is."""
        return reading
