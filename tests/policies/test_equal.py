"""Equal shares, and what does not fit."""

from __future__ import annotations

from paceline.core.rounds import NAN, AgentReading, RoundReading
from paceline.policies.base import Terms
from paceline.policies.equal import Equal


def test_shares_differ_by_one_at_most_and_skip_the_dead() -> None:
    agents = (AgentReading(), AgentReading(seconds=NAN), *(AgentReading(),) * 3)
    seen = RoundReading(round=0, total=10, agents=agents)
    assert Equal(Terms()).decide(seen).samples == (3, 0, 3, 2, 2)


def test_what_one_cannot_hold_goes_to_the_others() -> None:
    agents = (AgentReading(most_samples=1), AgentReading(), AgentReading())
    seen = RoundReading(round=0, total=9, agents=agents)
    assert Equal(Terms()).decide(seen).samples == (1, 4, 4)
