"""The tabular policies move among choices, and shares, by a table that is learnt on the way."""

from __future__ import annotations

import pytest

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.rounds import AgentReading, RoundReading
from paceline.policies.base import Terms

NAMES = ("q_learning", "sarsa", "double_q")


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_to_better_choices_than_the_plain_one(name, law):
    cluster = law.Cluster(k=0.005, link=3.0, noise=0.05)
    shares, _ = law.drive(law.made(name, guide="equal"), cluster, 400)
    assert law.mean(shares[300:]) > 2 * cluster.speed(law.CHOICES[0]) / cluster.best()


@pytest.mark.parametrize("name", NAMES)
def test_it_explores_less_and_less(name, law):
    policy = law.made(name, guide="equal", exploration=0.0)
    state, seen = "s", law.start()
    policy._choices.learn(state, 3, 1.0, None, 0)
    moves = {policy._move(policy._choices, state, _at(seen, number)) for number in range(50)}
    assert moves == {3}
    bold = law.made(name, guide="equal")
    bold._choices.learn(state, 3, 1.0, None, 0)
    drawn = [bold._move(bold._choices, state, _at(seen, number)) for number in range(400)]
    assert 0.15 < sum(move != 3 for move in drawn) / 400 < 0.35
    bold._lessons = 1000
    drawn = [bold._move(bold._choices, state, _at(seen, number)) for number in range(400)]
    assert 0.01 < sum(move != 3 for move in drawn) / 400 < 0.08


@pytest.mark.parametrize("name", NAMES)
def test_with_one_choice_it_moves_shares_to_the_faster_agent(name):
    policy = catalog.find("policies", name)(Terms(seed=1), guide="equal", gated=False)
    seen = RoundReading(round=0, total=100, agents=(AgentReading(), AgentReading()))
    longest = []
    for number in range(1, 301):
        taken = policy.decide(seen)
        assert sum(taken.samples) == 100 and taken == policy.decide(seen)
        seconds = [0.01 * taken.samples[0], 0.04 * taken.samples[1]]
        agents = tuple(
            AgentReading(samples=count, seconds=took)
            for count, took in zip(taken.samples, seconds, strict=True)
        )
        after = RoundReading(round=number, total=100, agents=agents, reward=2 / max(seconds))
        policy.learn(seen, taken, after)
        longest.append(max(seconds))
        seen = after
    assert longest[0] == 2.0 and sum(longest[200:]) / 100 < 1.6


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_identically_from_a_state_that_went_through_json(name, law):
    assert law.goes_on_identically(name, law.Cluster(), guide="equal")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("setting", "value"), [("exploration", 1.5), ("step_size", 0.0), ("discount", -0.1)]
)
def test_settings_out_of_their_range_are_refused(name, law, setting, value):
    with pytest.raises(SettingError, match=setting):
        law.made(name, **{setting: value})


def _at(seen, number):
    return RoundReading(round=number, total=seen.total, agents=seen.agents, choices=seen.choices)
