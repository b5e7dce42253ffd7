"""Agents that slow down when hot are told from those that are slower for good."""

from __future__ import annotations

import numpy as np
import pytest

from paceline.core.errors import SettingError
from paceline.policies.base.throttling import Throttling

YES, NO = np.array([True, True]), np.array([False, False])


def played(changes: list[float], *, grown: bool = False, bent: bool = False) -> Throttling:
    """One agent's changes beside another that has none."""
    heat = Throttling()
    heat.resize(2)
    for change in changes:
        both = np.array([change, 0.0])
        heat.learn(both, YES, np.array([0.3, 0.7]), YES & grown, YES & bent)
    return heat


def test_an_agent_that_a_rest_helps_works_less_from_then_on() -> None:
    heat = played([1.1] + [0.0] * 11 + [-1.1])
    assert heat.load.tolist() == [0.77, 1.0] and not heat.resting.any()


def test_an_agent_that_no_rest_helps_is_slower_for_good() -> None:
    heat = played([1.1] + [0.0] * 80)
    assert heat.load.tolist() == [1.0, 1.0] and not heat.resting.any()
    assert played([1.1] + [0.0] * 5).resting.tolist() == [True, False]


def test_more_work_may_show_a_bend_and_then_nobody_rests() -> None:
    bends = played([1.1] + [0.0] * 9, grown=True, bent=True)
    assert not bends.resting.any()
    assert played([1.1] + [0.0] * 9, grown=True).resting.tolist() == [True, False]


def test_after_long_without_heat_a_little_more_is_tried() -> None:
    heat = played([1.1] + [0.0] * 11 + [-1.1] + [0.0] * 70)
    assert heat.load[0] == pytest.approx(0.78)


def test_a_load_that_was_too_much_is_not_tried_again() -> None:
    hot = [1.1] + [0.0] * 11 + [-1.1]
    sooner = [1.1] + [0.0] * 9 + [-1.1]  # because a rest has helped before
    heat = played(hot + sooner + [0.0] * 700)
    assert heat.load[0] <= 0.79


def test_what_is_planned_makes_it_as_busy_as_it_may_be() -> None:
    heat = played([1.1] + [0.0] * 11 + [-1.1])
    for _ in range(60):  # the others are a little late each time
        heat.watch(np.array([0.9 * heat.planned[0], 0.9]))
    assert 0.9 * heat.planned == pytest.approx([0.77, 0.9], abs=0.002)
    for _ in range(60):
        heat.watch(np.array([np.nan, np.nan]))
    assert heat.planned[0] == pytest.approx(0.77 / 0.9, abs=0.002)
    for _ in range(60):  # but never more than the whole round, nor less than without them
        heat.watch(np.array([0.3, 0.9]))
    assert heat.planned.tolist() == [1.0, 1.0]
    for _ in range(200):
        heat.watch(np.array([1.0, 0.9]))
    assert heat.planned[0] == 0.77


def test_until_a_rest_has_helped_a_few_rest_in_the_place_of_all() -> None:
    heat, agents, resting = Throttling(), 60, []
    heat.resize(agents)
    for number in range(90):
        change = np.full(agents, 1.1 if number == 0 else 0.0)
        worked, speeds = ~heat.resting, np.full(agents, 1 / agents)
        heat.learn(change, worked, speeds, change > 9, change > 9)
        resting.append(int(heat.resting.sum()))
    assert max(resting[:45]) == 4 and max(resting[50:]) == 1


def test_small_changes_are_no_heat() -> None:
    assert not played([0.1] * 30).resting.any()


def test_the_state_of_something_else_is_refused() -> None:
    with pytest.raises(SettingError, match="no state of throttling"):
        Throttling().load_state_dict({})
