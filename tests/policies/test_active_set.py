"""Which agents to use: beside the best of all sets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paceline.core.errors import SettingError
from paceline.policies.base.active_set import Goal, Link, best_set
from paceline.policies.base.water_filling import Curves, Mask, level


def result(curves: Curves, total: int, goal: Goal, used: Mask) -> tuple[float, float]:
    """Seconds and worth of a set."""
    time = level(curves.only(used), total)
    works = used & (curves.samples(time) > 0)
    seconds = time + float(goal.communication(int(works.sum())))
    return seconds, float(goal.worth(seconds, goal.prices[works].sum()))


def best_worth(curves: Curves, total: int, goal: Goal) -> float:
    """Tries every set."""
    found = [
        result(curves, total, goal, np.array(used))
        for used in itertools.product([False, True], repeat=len(curves.start))
        if any(used)
    ]
    limit = goal.slack * min(seconds for seconds, _ in found)
    return max(worth for seconds, worth in found if seconds <= limit * (1 + 1e-9))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("agents", [1, 2, 4, 8])
def test_the_set_is_nearly_as_good_as_the_best_of_all(beta: float, agents: int) -> None:
    shares = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        speed = random.choice([1.0, 2.0, 4.0, 8.0], agents)
        link = random.uniform(0, 0.3)
        goal = Goal(
            alpha=1.0,
            beta=beta,
            slack=random.choice([1.1, 1.25, 10.0]),
            all_prices=float(speed.sum()),
            prices=speed ** random.uniform(0.5, 1.5) * random.uniform(0.8, 1.2, agents),
            communication=lambda k, link=link: link * (1 - 1 / np.maximum(k, 1)),
        )
        curves = Curves.of(random.uniform(0.01, 0.06, agents), 0.05 / speed)
        used = best_set(curves, 100, goal)
        _, worth = result(curves, 100, goal, used)
        shares.append(worth / best_worth(curves, 100, goal))
    assert min(shares) > 0.95 and np.mean(shares) > 0.99, shares


def test_slow_links_make_one_agent_better_than_two() -> None:
    goal = Goal(
        alpha=1.0,
        beta=0.0,
        slack=1.25,
        all_prices=2.0,
        prices=np.ones(2),
        communication=lambda k: 9.0 * (np.asarray(k) > 1),
    )
    assert best_set(Curves.of([0.0, 0.0], [1.0, 0.5]), 8, goal).tolist() == [False, True]


def test_agents_that_cannot_hold_the_total_alone_are_not_chosen_alone() -> None:
    goal = Goal(
        alpha=1.0,
        beta=0.0,
        slack=1.25,
        all_prices=2.0,
        prices=np.ones(2),
        communication=lambda k: 9.0 * (np.asarray(k) > 1),
    )
    assert best_set(Curves.of([0.0, 0.0], [1.0, 0.5], [5, 5]), 8, goal).all()


def test_agents_without_a_price_do_no_harm() -> None:
    goal = Goal(
        alpha=1.0,
        beta=1.0,
        slack=1.25,
        all_prices=0.0,
        prices=np.zeros(2),
        communication=lambda k: 0.0 * np.asarray(k),
    )
    assert best_set(Curves.of([0.0, 0.0], [1.0, 1.0]), 8, goal).all()


def test_a_link_learns_both_of_its_costs() -> None:
    link, random = Link(), np.random.default_rng(0)
    for agents in random.integers(1, 65, 200):
        link.learn(int(agents), 0.004 * np.log2(agents) + 0.2 * (1 - 1 / agents))
    for agents in (1, 2, 9, 64):
        expected = 0.004 * np.log2(agents) + 0.2 * (1 - 1 / agents)
        assert float(link.seconds(agents)) == pytest.approx(expected, rel=0.03)


def test_a_link_never_promises_that_more_agents_talk_less() -> None:
    link = Link()
    for agents, seconds in ((2, 0.5), (64, 0.1), (2, 0.5), (64, 0.1)):
        link.learn(agents, seconds)
    assert (np.diff(link.seconds(np.arange(1, 70))) >= 0).all()


def test_the_state_of_something_else_is_refused() -> None:
    with pytest.raises(SettingError, match="no state of a link"):
        Link().load_state_dict({"squares": [1.0]})
