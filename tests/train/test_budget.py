"""What a budget comes to, and how much of it is spent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core.recipe import Budget
from paceline.train.budget import Allowance, allowance


def _allowed(budget: Budget) -> Allowance:
    return allowance(budget, examples=100, batch_size=32, default_epochs=3, begun_seconds=2.0)


def test_each_budget_comes_to_steps_or_to_seconds():
    assert _allowed(Budget(steps=7)) == Allowance(steps=7, seconds=None)
    assert _allowed(Budget(epochs=0.001)).steps == 1
    assert _allowed(Budget()).steps == 10
    assert _allowed(Budget(seconds=5)) == Allowance(steps=None, seconds=5, begun_seconds=2.0)


@given(st.integers(1, 1000), st.integers(0, 3000))
def test_progress_by_steps_is_their_share_and_never_over_one(steps, step):
    allowed = Allowance(steps=steps, seconds=None)
    done = allowed.progress(step=step, elapsed_seconds=1e9, reserve_seconds=0.0)
    assert done == min(step / steps, 1.0)


def test_progress_by_time_leaves_the_reserve_and_what_went_before():
    allowed = Allowance(steps=None, seconds=12.0, begun_seconds=2.0)
    shares = [
        allowed.progress(step=0, elapsed_seconds=now, reserve_seconds=2.0)
        for now in (0.0, 2.0, 6.0, 10.0, 50.0)
    ]
    assert shares == [0.0, 0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("reserve", [10.0, 11.0])
def test_where_the_reserve_takes_everything_training_is_done(reserve):
    allowed = Allowance(steps=None, seconds=12.0, begun_seconds=2.0)
    assert allowed.progress(step=0, elapsed_seconds=2.0, reserve_seconds=reserve) == 1.0
