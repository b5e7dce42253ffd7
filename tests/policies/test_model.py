"""The model policy in small worlds whose best plan is known."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from paceline.agents.scheduler import Scheduler
from paceline.core.errors import SettingError
from paceline.policies.base import Terms
from paceline.policies.base.water_filling import Curves, whole
from paceline.policies.model import Model

Seconds = Callable[[int, np.ndarray], np.ndarray]


def ends(scheduler: Scheduler, seconds: Seconds, rounds: int, total: int) -> list[float]:
    """When the slowest is done, without the noise of 3 %."""
    random, found = np.random.default_rng(0), []
    for number in range(rounds):
        shares = np.array(scheduler.allocate_tasks(total))
        true = np.where(shares > 0, seconds(number, shares), 0.0)
        found.append(float(true.max()))
        scheduler.observe((true * np.exp(random.normal(0, 0.03, len(true)))).tolist())
    return found


@pytest.mark.parametrize("agents", [2, 4, 16, 64])
def test_it_is_nearly_as_fast_as_who_knows_all(agents: int) -> None:
    random = np.random.default_rng(agents)
    start, slope = random.uniform(0.01, 0.03, agents), random.uniform(0.001, 0.008, agents)
    total = 64 * agents
    best = Curves.of(start, slope)
    least = best.seconds(whole(best, total)).max()
    found = ends(Scheduler(agents=agents), lambda _, n: start + slope * n, 60, total)
    assert np.mean(found[1:]) < 1.06 * least


def test_a_swap_of_speeds_is_learnt_within_three_rounds() -> None:
    slope = np.array([0.001, 0.004])
    found = ends(Scheduler(agents=2), lambda r, n: n * (slope if r < 30 else slope[::-1]), 34, 500)
    assert found[33] < 1.1 * 0.4


def test_a_cliff_is_learnt() -> None:
    slope = np.array([0.001, 0.004, 0.004])
    found = ends(
        Scheduler(agents=3),
        lambda _, n: slope * n + 3 * slope * np.maximum(0, n - 150),
        40,
        300,
    )
    best = Curves(
        start=np.zeros(3),
        slope=slope,
        bend=np.full(3, 150.0),
        steep=4 * slope,
        most=np.full(3, np.inf),
    )
    assert np.mean(found[8:]) < 1.05 * best.seconds(whole(best, 300)).max()


def test_a_dear_agent_is_left_out_when_resources_count() -> None:
    dear = Scheduler(agents=3, beta=4.0, prices=[1.0, 1.0, 50.0], slack=2.0)
    ends(dear, lambda _, n: 0.001 * n, 6, 300)
    assert dear.allocate_tasks(300)[2] == 0
    assert dear.decisions is not None and "1 left out" in dear.decisions.reason


def test_an_idle_agent_is_tried_again_now_and_then() -> None:
    scheduler = Scheduler(
        agents=3, beta=4.0, prices=[1.0, 1.0, 50.0], slack=2.0, settings={"probe_rounds": 3}
    )
    tried = []
    for _ in range(40):
        shares = scheduler.allocate_tasks(300)
        tried.append(shares[2])
        scheduler.observe([0.001 * each for each in shares])
    assert 0 < sum(each > 0 for each in tried[3:]) < 10


def test_an_idle_agent_is_tried_with_no_more_than_it_can_do_meanwhile() -> None:
    """The others are done after 0.15 s, in which that one can do one or two examples."""
    scheduler, tried = Scheduler(agents=3, settings={"probe_rounds": 3}), []
    for number in range(80):
        shares = scheduler.allocate_tasks(3000)
        tried.append(shares[2])
        slow = 0.03 * shares[2] + 0.1 * (shares[2] > 0) if number > 2 else 1e-4 * shares[2]
        scheduler.observe([1e-4 * shares[0], 1e-4 * shares[1], slow], communication_seconds=0.0)
    assert 0 < max(tried[10:]) <= 12  # as it is thought to be; a fixed share would be 60


def test_newcomers_must_help_where_the_others_have_no_room() -> None:
    scheduler = Scheduler(agents=1)
    ends(scheduler, lambda _, n: 0.001 * n, 2, 50)
    scheduler.join()
    scheduler.cap(0, 10)
    assert scheduler.allocate_tasks(50) == (10, 40)


def test_a_probe_setting_out_of_range_is_named() -> None:
    with pytest.raises(SettingError, match="probe_rounds must be at least 1"):
        Model(Terms(), probe_rounds=0)


def test_a_round_of_sixty_four_agents_is_decided_in_a_few_milliseconds() -> None:
    scheduler = Scheduler(agents=64)
    slope = np.linspace(0.001, 0.008, 64)
    ends(scheduler, lambda _, n: slope * n, 5, 4096)
    spent = []
    for _ in range(30):
        began = time.process_time()
        shares = np.array(scheduler.allocate_tasks(4096))
        scheduler.observe((slope * shares).tolist())
        spent.append(time.process_time() - began)
    assert min(spent) < 0.02  # ten times what it takes, for slow machines
    print(f"{1e3 * min(spent):.2f} ms")
