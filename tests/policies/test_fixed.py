"""Fixed shares."""

from __future__ import annotations

import pytest

from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, AgentReading, RoundReading
from paceline.policies.base import Terms
from paceline.policies.fixed import Fixed


def decided(shares: list[float], agents: list[AgentReading], total: int = 12) -> tuple[int, ...]:
    seen = RoundReading(round=0, total=total, agents=tuple(agents))
    return Fixed(Terms(), shares=shares).decide(seen).samples


def test_only_the_proportions_count() -> None:
    for scale in (1.0, 0.01, 100.0):
        shares = [scale * each for each in (1.0, 2.0, 3.0)]
        assert decided(shares, [AgentReading()] * 3) == (2, 4, 6)


def test_a_newcomer_has_the_mean_share_and_the_dead_have_none() -> None:
    assert decided([1.0, 3.0], [AgentReading()] * 3) == (2, 6, 4)
    assert decided([1.0, 3.0], [AgentReading(), AgentReading(seconds=NAN)]) == (12, 0)


def test_somebody_works_even_when_all_that_are_up_have_a_share_of_zero() -> None:
    assert decided([0.0, 3.0], [AgentReading(), AgentReading(seconds=NAN)]) == (12, 0)


def test_without_shares_all_have_the_same() -> None:
    assert decided([], [AgentReading()] * 4) == (3, 3, 3, 3)


@pytest.mark.parametrize("shares", [[-1.0, 2.0], [NAN], [float("inf")]])
def test_a_share_out_of_range_is_named(shares: list[float]) -> None:
    with pytest.raises(SettingError, match=r"shares\[0\] must be at least 0"):
        Fixed(Terms(), shares=shares)


def test_shares_of_nothing_are_refused() -> None:
    with pytest.raises(SettingError, match="must not all be 0"):
        Fixed(Terms(), shares=[0.0, 0.0])
