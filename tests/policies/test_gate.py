"""The gate: a learned policy decides while it does no harm."""

from __future__ import annotations

import json
import random

import pytest

from paceline.core.errors import SettingError
from paceline.policies.base.gate import Gate


def test_noise_alone_does_not_close_it():
    gate, draw = Gate(), random.Random(0)
    for _ in range(1000):
        gate.learn(draw.gauss(0.05, 0.3))
        assert gate.is_open


def test_it_closes_within_a_window_of_clear_harm_and_says_why():
    gate, draw = Gate(window=16), random.Random(1)
    for _ in range(16):
        gate.learn(draw.gauss(-0.5, 0.2))
    assert not gate.is_open
    assert "the model decides: the learned policy brought" in gate.reason
    assert "less over 16 rounds" in gate.reason


def test_it_opens_after_the_cool_down_and_waits_twice_as_long_the_next_time():
    gate = Gate(window=4, cool_down=5)
    waited = []
    for _ in range(6):
        while gate.is_open:
            gate.learn(-1.0)
        rounds = 0
        while not gate.is_open:
            gate.learn(0.0)
            rounds += 1
        waited.append(rounds)
    assert waited == [5, 10, 20, 40, 80, 80]
    assert gate.reason == ""


def test_rounds_without_a_measurement_say_nothing_but_count_for_the_cool_down():
    gate = Gate(window=2, cool_down=2)
    for gap in (float("nan"), -1.0, float("nan")):
        gate.learn(gap)
    assert gate.is_open
    gate.learn(-1.0)
    assert not gate.is_open
    gate.learn(float("nan"))
    gate.learn(float("nan"))
    assert gate.is_open


def test_what_the_guide_itself_falls_short_of_its_promise_is_taken_off():
    gate = Gate(window=4, cool_down=30)
    while gate.is_open:
        gate.learn(-0.3)
    while not gate.is_open:
        gate.learn(-0.3)  # the guide does not keep its promise either
    for _ in range(50):
        gate.learn(-0.3)
    assert gate.is_open


def test_its_state_goes_through_json_and_goes_on_identically():
    draw = random.Random(2)
    gate, copy = Gate(window=4, cool_down=3), Gate(window=4, cool_down=3)
    for _ in range(60):
        copy.load_state_dict(json.loads(json.dumps(gate.state_dict())))
        gap = draw.gauss(-0.2, 0.3)
        for each in (gate, copy):
            each.learn(gap)
        assert (gate.is_open, gate.reason) == (copy.is_open, copy.reason)
        assert gate.state_dict() == copy.state_dict()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("window", 1), ("margin", -0.1), ("tolerance", float("nan")), ("cool_down", 0)],
)
def test_settings_out_of_their_range_are_refused(setting, value):
    with pytest.raises(SettingError, match=f"{setting} must be at least"):
        Gate(**{setting: value})


@pytest.mark.parametrize("name", ["q_learning", "thompson"])
def test_a_policy_that_does_harm_is_taken_over_by_its_guide(law, name):
    policy = law.made(name, guide="equal")
    cluster = law.Cluster(k=3.0, phi=0.05, link=0.0001, noise=0.02)  # only the plain choice is good
    policy._choose = lambda seen: len(law.CHOICES) - 1
    shares, seen = law.drive(policy, cluster, 30)
    assert "the model decides: the learned policy brought" in policy.decide(seen).reason
    assert shares[-1] == 1.0
    free = law.made(name, guide="equal", gated=False)
    free._choose = policy._choose
    assert law.drive(free, cluster, 30)[0][-1] < 0.1
