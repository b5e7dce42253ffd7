"""Shares by measured speed."""

from __future__ import annotations

import pytest

from paceline.agents.scheduler import Scheduler
from paceline.core.errors import SettingError
from paceline.policies.base import Terms
from paceline.policies.proportional import Proportional


def test_shares_come_to_the_proportion_of_the_speeds() -> None:
    scheduler = Scheduler(agents=3, policy="proportional")
    for _ in range(4):
        shares = scheduler.allocate_tasks(700)
        scheduler.observe([pace * n for pace, n in zip((0.4, 0.2, 0.1), shares, strict=True)])
    assert scheduler.allocate_tasks(700) == (100, 200, 400)


def test_a_new_speed_counts_by_its_weight() -> None:
    scheduler = Scheduler(agents=2, policy="proportional", settings={"weight": 0.5})
    for seconds in ([50.0, 50.0], [25.0, 50.0]):  # speeds 1 and 1, then 2 and 1
        assert scheduler.allocate_tasks(100) == (50, 50)
        scheduler.observe(seconds)
    assert scheduler.allocate_tasks(100) == (60, 40)


@pytest.mark.parametrize("weight", [0.0, 1.1, float("nan")])
def test_a_weight_out_of_range_is_named(weight: float) -> None:
    with pytest.raises(SettingError, match="weight must be over 0"):
        Proportional(Terms(), weight=weight)


def test_the_state_of_something_else_is_refused() -> None:
    with pytest.raises(SettingError, match="no list of 'speeds'"):
        Proportional(Terms()).load_state_dict({"speeds": 3})
