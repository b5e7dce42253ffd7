"""The Scheduler: shares from seconds, and refusals in one line."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import paceline
from paceline.agents.scheduler import Scheduler
from paceline.core.errors import SettingError
from paceline.core.rounds import Choice

NAN = math.nan


def rounds(scheduler: Scheduler, paces: list[float], count: int, total: int = 400) -> list[int]:
    """Lets agents of these paces work; gives the last shares."""
    for _ in range(count):
        shares = scheduler.allocate_tasks(total)
        scheduler.observe(
            [
                pace if pace != pace else (0.01 + pace * share if share else 0.0)
                for pace, share in zip(paces, shares, strict=True)
            ]
        )
    return list(scheduler.allocate_tasks(total))


def test_it_is_there_by_its_public_name() -> None:
    assert paceline.Scheduler is Scheduler


@pytest.mark.parametrize("policy", ["equal", "proportional", "model"])
def test_shares_sum_to_the_total_and_asking_twice_gives_the_same(policy: str) -> None:
    scheduler = Scheduler(agents=3, policy=policy)
    first = scheduler.allocate_tasks(100)
    assert sum(first) == 100 and scheduler.allocate_tasks(100) == first
    assert sum(scheduler.allocate_tasks(7)) == 7


def test_the_faster_agent_gets_more() -> None:
    slow, fast = rounds(Scheduler(agents=2), [0.003, 0.001], 5)
    assert fast == pytest.approx(300, abs=8) and slow == pytest.approx(100, abs=8)


def test_after_a_swap_of_speeds_three_rounds_are_enough() -> None:
    scheduler = Scheduler(agents=2)
    rounds(scheduler, [0.003, 0.001], 20)
    assert rounds(scheduler, [0.001, 0.003], 3)[0] == pytest.approx(300, abs=15)


def test_a_dead_agent_gets_nothing_until_it_is_back() -> None:
    scheduler = Scheduler(agents=3)
    assert rounds(scheduler, [0.001, NAN, 0.001], 2)[1] == 0
    assert rounds(scheduler, [0.001, 0.001, 0.001], 1)[1] > 0
    scheduler.leave(2)
    assert scheduler.allocate_tasks(400)[2] == 0
    assert scheduler.join(agent=2) == 2
    assert scheduler.allocate_tasks(400)[2] > 0


def test_a_newcomer_begins_with_a_small_share_and_comes_to_its_own() -> None:
    scheduler = Scheduler(agents=2)
    rounds(scheduler, [0.001, 0.001], 3)
    assert scheduler.join(price=2.0) == 2 and scheduler.agents == 3
    assert 0 < scheduler.allocate_tasks(400)[2] < 60
    assert rounds(scheduler, [0.001] * 3, 3)[2] == pytest.approx(133, abs=8)


def test_no_agent_gets_more_than_its_cap() -> None:
    scheduler = Scheduler(agents=2)
    scheduler.cap(0, 50)
    assert scheduler.allocate_tasks(400) == (50, 350)
    scheduler.observe([0.1, 0.1])
    scheduler.cap(0, None)
    assert scheduler.allocate_tasks(400)[0] < 400
    scheduler.observe([0.1, 0.1])
    for agent in (0, 1):
        scheduler.cap(agent, 100)
    with pytest.raises(SettingError, match="400 examples do not fit"):
        scheduler.allocate_tasks(400)


def test_the_reward_of_equal_shares_in_the_first_round_is_alpha_and_beta() -> None:
    scheduler = Scheduler(agents=2, policy="equal", alpha=2.0, beta=0.5, prices=[1.0, 3.0])
    scheduler.allocate_tasks(10)
    scheduler.observe([1.0, 2.0], communication_seconds=0.5)
    assert scheduler.reading.reward == pytest.approx(2.5)
    scheduler.allocate_tasks(10)
    scheduler.observe([0.5, 1.0], communication_seconds=0.25)
    assert scheduler.reading.reward == pytest.approx(5.0)
    assert scheduler.reading.round == 2 and scheduler.reading.agents[1].seconds == 1.0


def test_the_reference_is_that_of_equal_shares_whatever_the_first_shares_are() -> None:
    scheduler = Scheduler(agents=2, policy="fixed", settings={"shares": [1.0, 3.0]})
    scheduler.allocate_tasks(8)
    scheduler.observe([2.0, 2.0])  # equal shares would take 4
    assert scheduler.reading.reward == pytest.approx(2.0)


def test_progress_counts_in_the_reward() -> None:
    scheduler = Scheduler(agents=1, policy="equal")
    for progress in (100.0, 50.0):
        scheduler.allocate_tasks(100)
        scheduler.observe([1.0], progress=progress)
    assert scheduler.reading.reward == pytest.approx(0.5)


def test_models_are_merged_by_examples_when_the_interval_is_over() -> None:
    scheduler = Scheduler(agents=2, policy="equal", choices=[Choice(sync_interval=2)])
    assert scheduler.synchronize_models() == ()
    scheduler.allocate_tasks(10)
    scheduler.observe([1.0, 1.0])
    assert scheduler.synchronize_models() == ()
    scheduler.allocate_tasks(10)
    scheduler.observe([1.0, NAN])
    assert scheduler.synchronize_models() == (1.0, 0.0)
    scheduler.allocate_tasks(10)
    scheduler.observe([1.0, 0.0])
    assert scheduler.synchronize_models() == ()


@pytest.mark.parametrize("policy", ["equal", "proportional", "model"])
def test_it_goes_on_identically_from_a_state_that_went_through_json(policy: str) -> None:
    one, other = Scheduler(agents=3, policy=policy), Scheduler(agents=3, policy=policy)
    rounds(one, [0.001, 0.002, NAN], 4)
    one.join()
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    paces = [0.001, 0.002, 0.001, 0.004]
    assert rounds(one, paces, 5) == rounds(other, paces, 5)
    assert json.dumps(one.state_dict()) == json.dumps(other.state_dict())


def test_a_state_in_the_middle_of_a_round_is_kept() -> None:
    one, other = Scheduler(agents=2), Scheduler(agents=2)
    rounds(one, [0.001, 0.002], 3)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    one.observe([0.3, 0.3])
    other.observe([0.3, 0.3])
    assert one.allocate_tasks(99) == other.allocate_tasks(99)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"agents": 0}, "agents must be a number from 1"),
        ({"agents": 2.5}, "agents must be a number from 1"),
        ({"agents": [1.0, 2.0]}, "agents must be a number from 1"),
        ({"alpha": -1.0}, "alpha must be at least 0"),
        ({"beta": NAN}, "beta must be at least 0"),
        ({"alpha": 0.0}, "alpha and beta must not both be 0"),
        ({"slack": 0.9}, "slack must be at least 1"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"prices": [1.0]}, "prices must be 4, one for each agent, got 1"),
        ({"prices": [1.0, -1.0, 1.0, 1.0]}, "a price must be at least 0"),
        ({"prices": ["a"] * 4}, "a price must be at least 0"),
        ({"policy": "modell"}, "did you mean 'model'"),
        ({"choices": []}, "choices must not be empty"),
        ({"choices": [Choice(sync_interval=0)]}, "sync_interval of at least 1"),
        ({"settings": {"probe_round": 3}}, "did you mean 'probe_rounds'"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told) as refusal:
        Scheduler(**wrong)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("total", [0, -1, 2.5, True])
def test_a_total_under_one_is_refused(total: Any) -> None:
    with pytest.raises(SettingError, match="at least 1 example"):
        Scheduler().allocate_tasks(total)


@pytest.mark.parametrize(
    ("seconds", "more", "told"),
    [
        ([1.0], {}, "seconds must be 2, one for each agent, got 1"),
        ([1.0, -0.5], {}, r"seconds\[1\] must be at least 0"),
        ([1.0, math.inf], {}, r"seconds\[1\] must be at least 0"),
        ([1.0, 1.0], {"communication_seconds": -1.0}, "communication_seconds must be at least 0"),
        ([1.0, 1.0], {"progress": 0.0}, "progress must be over 0"),
    ],
)
def test_wrong_seconds_are_refused(seconds: list[float], more: dict[str, float], told: str) -> None:
    scheduler = Scheduler(agents=2)
    scheduler.allocate_tasks(10)
    with pytest.raises(SettingError, match=told):
        scheduler.observe(seconds, **more)


def test_seconds_of_nothing_are_refused() -> None:
    with pytest.raises(SettingError, match="nothing is allocated"):
        Scheduler().observe([1.0] * 4)


def test_a_round_of_dead_agents_is_refused() -> None:
    scheduler = Scheduler(agents=2)
    scheduler.allocate_tasks(10)
    scheduler.observe([NAN, NAN])
    with pytest.raises(SettingError, match="all 2 agents are dead"):
        scheduler.allocate_tasks(10)


def test_strangers_and_wrong_caps_are_refused() -> None:
    scheduler = Scheduler(agents=2)
    for act in (scheduler.leave, lambda agent: scheduler.cap(agent, 5)):
        with pytest.raises(SettingError, match="there are the agents 0 to 1, got 2"):
            act(2)
    with pytest.raises(SettingError, match="there are the agents 0 to 1, got -1"):
        scheduler.join(agent=-1)
    with pytest.raises(SettingError, match="most_samples must be at least 0"):
        scheduler.cap(0, -1)
    with pytest.raises(SettingError, match="a price must be at least 0"):
        scheduler.join(-1.0)


def test_the_state_of_another_policy_is_refused() -> None:
    with pytest.raises(SettingError, match="with the policy 'equal', not 'model'"):
        Scheduler().load_state_dict(Scheduler(policy="equal").state_dict())


@pytest.mark.parametrize(
    ("samples", "choice", "told"),
    [
        ((5, 4), 0, "2 shares that sum to 9"),
        ((11, -1), 0, "2 shares that sum to 10"),
        ((10,), 0, "1 shares"),
        ((5, 5), 1, "chose 1 of 1 choices"),
    ],
)
def test_a_policy_that_breaks_its_word_is_named(
    samples: tuple[int, ...], choice: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paceline.core.rounds import Assignment

    scheduler = Scheduler(agents=2, policy="equal")
    wrong = Assignment(samples=samples, choice=choice)
    monkeypatch.setattr(type(scheduler.policy), "decide", lambda self, seen: wrong)
    with pytest.raises(SettingError, match=told):
        scheduler.allocate_tasks(10)


def test_a_policy_that_gives_work_to_the_dead_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from paceline.core.rounds import Assignment

    scheduler = Scheduler(agents=2, policy="equal")
    scheduler.leave(1)
    wrong = Assignment(samples=(5, 5))
    monkeypatch.setattr(type(scheduler.policy), "decide", lambda self, seen: wrong)
    with pytest.raises(SettingError, match="gave agent 1 work; it is dead"):
        scheduler.allocate_tasks(10)
