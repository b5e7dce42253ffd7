"""Rates are foretold where the budget is a number of steps, and stand still elsewhere."""

from __future__ import annotations

import pytest

from paceline.controllers.base.foretell import foretell
from paceline.core.readings import Reading


def fall(step: int, progress: float) -> float:
    return 1 - progress


def test_in_a_budget_of_steps_the_rates_are_those_of_each_step():
    holds, rates = foretell(Reading(step=5, progress=0.05, total_steps=100), fall, 4)
    assert holds == 4
    assert rates == pytest.approx([0.94, 0.93, 0.92])


def test_steps_that_count_as_more_keep_their_lead():
    _, rates = foretell(Reading(step=5, progress=0.07, total_steps=100), fall, 3)
    assert rates == pytest.approx([0.92, 0.91])


def test_progress_ends_at_one():
    _, rates = foretell(Reading(step=98, progress=0.98, total_steps=100), fall, 5)
    assert rates == pytest.approx([0.01, 0, 0, 0])


@pytest.mark.parametrize(("step", "holds"), [(0, 16), (10, 1), (500, 4), (2000, 16)])
def test_in_a_budget_of_time_it_stands_while_the_rate_hardly_changes(step, holds):
    found = foretell(Reading(step=step, progress=0.5 if step else 0.0), fall)
    assert found == (holds, ())
