"""Whole shares in proportion to weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, AgentReading, RoundReading
from paceline.policies.base.shares import caps, proportional, up

WEIGHTS = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(WEIGHTS, st.integers(0, 500), st.integers(0, 2**32 - 1))
def test_shares_sum_and_no_cap_is_broken(weights: list[float], total: int, seed: int) -> None:
    most = np.random.default_rng(seed).choice([0, 3, 50, np.inf], len(weights))
    if most.sum() < total:
        with pytest.raises(SettingError, match="do not fit"):
            proportional(weights, total, most)
        return
    shares = proportional(weights, total, most)
    assert shares.sum() == total and (shares >= 0).all() and (shares <= most).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=12), st.integers(1, 500))
def test_without_caps_each_share_is_less_than_one_away(weights: list[float], total: int) -> None:
    exact = total * np.array(weights) / sum(weights)
    assert (np.abs(proportional(weights, total) - exact) < 1 + 1e-9).all()


def test_agents_without_a_weight_get_what_no_other_can_hold() -> None:
    assert proportional([1.0, 0.0, 0.0], 9, [3, np.inf, np.inf]).tolist() == [3, 3, 3]


def test_the_dead_can_be_given_nothing() -> None:
    agents = (AgentReading(most_samples=5), AgentReading(seconds=NAN, most_samples=7))
    seen = RoundReading(round=0, total=1, agents=agents)
    assert up(seen).tolist() == [True, False] and caps(seen).tolist() == [5.0, 0.0]


def test_a_round_of_the_dead_is_refused() -> None:
    seen = RoundReading(round=0, total=1, agents=(AgentReading(seconds=NAN),))
    with pytest.raises(SettingError, match="all 1 agents are dead"):
        up(seen)
