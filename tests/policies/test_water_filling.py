"""Water filling beside slow twins: bisection for the level, every plan for whole shares."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paceline.core.errors import SettingError
from paceline.policies.base.water_filling import Curves, level, whole


@st.composite
def curves(draw: st.DrawFn, most_agents: int = 6) -> Curves:
    agents = draw(st.integers(1, most_agents))
    numbers = st.lists(st.floats(0.01, 5.0), min_size=agents, max_size=agents)
    slope = np.array(draw(numbers))
    bends = st.lists(st.sampled_from([np.inf, 1.0, 2.5, 6.0]), min_size=agents, max_size=agents)
    caps = st.lists(st.sampled_from([np.inf, 0.0, 1.0, 4.0, 9.0]), min_size=agents, max_size=agents)
    steeper = np.array(draw(st.lists(st.floats(1.0, 8.0), min_size=agents, max_size=agents)))
    return Curves(
        start=np.array(draw(numbers)),
        slope=slope,
        bend=np.array(draw(bends)),
        steep=slope * steeper,
        most=np.array(draw(caps)),
    )


def bisected(given: Curves, total: float) -> float:
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if given.samples(middle).sum() < total else (low, middle)
    return high


def best_makespan(given: Curves, total: int) -> float:
    most = np.minimum(given.most, total).astype(int)
    plans = itertools.product(*(range(each + 1) for each in most))
    return min(float(given.seconds(plan).max()) for plan in plans if sum(plan) == total)


@settings(max_examples=200, deadline=None)
@example(Curves.of([2.0, 3.0], [0.01, 1.0], most=[1.0, np.inf]), 1)
@given(curves(), st.integers(1, 40))
def test_the_level_is_the_one_that_bisection_finds(given: Curves, total: int) -> None:
    if given.most.sum() < total:
        with pytest.raises(SettingError, match=f"{total} examples do not fit"):
            level(given, total)
    else:
        assert level(given, total) == pytest.approx(bisected(given, total), rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(curves(most_agents=4), st.integers(1, 7))
def test_no_whole_shares_end_earlier(given: Curves, total: int) -> None:
    if given.most.sum() < total:
        return
    shares = whole(given, total)
    assert shares.sum() == total and (shares >= 0).all() and (shares <= given.most).all()
    assert given.seconds(shares).max() == pytest.approx(best_makespan(given, total), rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_whole_shares_of_many_agents_sum_and_stay_near_the_level(
    agents: int, total: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    start, slope = random.uniform(0, 0.1, agents), random.uniform(0.001, 0.1, agents)
    straight = Curves.of(start, slope)
    shares = whole(straight, total)
    assert shares.sum() == total
    least = level(straight, total)
    assert least * (1 - 1e-9) <= straight.seconds(shares).max() <= least + slope.max() + 1e-9


def test_a_very_fast_agent_takes_all_that_is_left_over() -> None:
    slow = np.ones(50)
    shares = whole(Curves.of(np.zeros(51), np.append(slow, 1e-3)), 60)
    assert shares[:50].sum() == 0 and shares[50] == 60


def test_caps_that_are_full_just_so_are_filled() -> None:
    full = Curves.of([0.1, 0.2, 0.3], [1.0, 2.0, 3.0], [5, 0, 4])
    assert whole(full, 9).tolist() == [5, 0, 4]


def test_a_cap_between_two_numbers_counts_as_the_lower_one() -> None:
    assert whole(Curves.of([0.0, 0.0], [1.0, 9.0], [2.9, 9.0]), 4).tolist() == [2, 2]


def test_agents_that_are_not_used_get_nothing() -> None:
    free = Curves.of([0.0, 0.0], [1.0, 1.0])
    assert whole(free.only(np.array([False, True])), 7).tolist() == [0, 7]


def test_slower_agents_need_their_factor_at_every_share() -> None:
    bent = replace(Curves.of([0.5], [1.0]), bend=np.array([2.0]), steep=np.array([4.0]))
    for samples in ([1], [2], [5]):
        assert bent.times(3.0).seconds(samples) == pytest.approx(3 * bent.seconds(samples))
