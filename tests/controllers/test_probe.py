"""The probe reads the rate off the weights: from any rate, in any unit, from any moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.controllers.probe import Probe
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Reading, Steer


@dataclass
class Engine:
    """Gradient descent on noisy quadratics, with named states: a slow twin of the real engine."""

    probe: Probe
    steps: int = 400
    curvature: float = 4.0
    size: float = 1.0
    budget: str = "steps"
    weights: list[float] = field(default_factory=list)
    step: int = 0
    fresh: int = 0
    values: dict[str, float] = field(default_factory=dict)
    kept: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.weights = self.weights or [self.size, -self.size]

    def reading(self) -> Reading:
        return Reading(
            step=self.step,
            progress=0.0 if self.budget == "open" else self.step / self.steps,
            total_steps=self.steps if self.budget == "steps" else None,
            values=dict(self.values),
            batch=self.fresh,
        )

    def one(self) -> Steer:
        reading = self.reading()
        steer = self.probe.decide(self.probe.observe(reading))
        for move in steer.moves:
            if move.verb == "keep":
                self.kept[move.name] = list(self.weights)
            elif move.verb == "restore":
                self.weights = list(self.kept[move.name])
        self.fresh += 1
        goals = [0.5 * self.size + 0.1 * self.size * math.sin(37.0 * self.fresh), self.size]
        gradient = [self.curvature * (w - g) for w, g in zip(self.weights, goals, strict=True)]
        loss = sum(0.5 * g * g / self.curvature for g in gradient)
        rate = steer.learning_rate
        assert rate is not None and rate >= 0
        before, self.weights = (
            self.weights, [w - rate * g for w, g in zip(self.weights, gradient, strict=True)]
        )  # fmt: skip
        motion = (
            (math.hypot(*before), rate * math.hypot(*gradient)) if steer.measure else (NAN, NAN)
        )
        self.values |= {"loss": loss, "parameter_norm": motion[0], "update_norm": motion[1]}
        self.values["learning_rate"] = rate
        self.step += 1
        self.rates.append(rate)
        self.probe.learn(reading, steer, self.reading())
        return steer

    def run(self, steps: int | None = None) -> None:
        for _ in range(self.steps if steps is None else steps):
            self.one()


@given(st.floats(-4, 4), st.floats(-3, 3), st.floats(-6, 1))
@settings(max_examples=60, deadline=None)
def test_it_learns_in_any_unit_from_any_rate(curvature, size, hint) -> None:
    engine = Engine(Probe(10**hint), curvature=10**curvature, size=10**size)
    engine.run()
    assert engine.weights == pytest.approx([0.5 * engine.size, engine.size], rel=0.2)


@given(st.floats(-4, 4))
@settings(max_examples=30, deadline=None)
def test_the_rates_scale_as_the_loss_does(exponent: float) -> None:
    plain, scaled = Engine(Probe(0.1)), Engine(Probe(0.1), curvature=4.0 * 10**exponent)
    plain.run()
    scaled.run()
    for ours, theirs in zip(plain.rates[3:], scaled.rates[3:], strict=True):
        assert theirs == pytest.approx(ours / 10**exponent, rel=1e-6)


def test_the_hint_changes_nothing() -> None:
    ends = []
    for hint in (1e-6, 1.0, 10.0):
        engine = Engine(Probe(hint))
        engine.run()
        ends.append(engine.rates)
    assert ends[0] == ends[1] == ends[2]


def test_one_trial_is_taken_back() -> None:
    engine = Engine(Probe(0.1))
    begun = list(engine.weights)
    assert engine.one().probing
    assert not engine.one().probing
    assert engine.kept["start"] == begun


def test_a_step_that_is_too_large_to_measure_is_tried_smaller() -> None:
    engine = Engine(Probe(0.1), curvature=1e9)
    steers = [engine.one() for _ in range(3)]
    assert [steer.learning_rate for steer in steers[:2]] == [1.0, 1e-6]
    assert not steers[2].probing


def test_momentum_makes_steps_smaller() -> None:
    plain, heavy = Engine(Probe(0.1)), Engine(Probe(0.1), values={"momentum": 0.9})
    plain.run(2)
    heavy.run(2)
    assert heavy.rates[1] == pytest.approx(plain.rates[1] * math.sqrt(0.1 / 1.9))


def test_it_warms_up_stays_and_falls_to_nothing() -> None:
    engine = Engine(Probe(0.1), steps=1000)
    engine.run()
    assert engine.rates[1] < 0.1 * engine.rates[250]
    assert engine.rates[260] == engine.rates[590]
    assert engine.rates[800] == pytest.approx(0.5 * engine.rates[590], rel=0.01)
    assert engine.rates[-1] < 0.01 * engine.rates[590]


def test_a_long_run_is_measured_now_and_then() -> None:
    probe = Probe(0.1)
    follow = [
        probe._follows(Reading(step=step, progress=step / 10**5, total_steps=10**5))
        for step in range(10**5)
    ]
    assert 150 <= sum(follow) <= 250
    assert not any(follow[25_000:])


def test_without_an_end_the_rate_stays() -> None:
    engine = Engine(Probe(0.1), budget="open")
    engine.run(3000)
    assert engine.rates[-1] == engine.rates[1000]


@pytest.mark.parametrize("at", [0, 1, 2, 3, 50, 120, 300])
def test_it_goes_on_from_any_moment(at: int) -> None:
    whole, half = Engine(Probe(0.1)), Engine(Probe(0.1))
    whole.run()
    half.run(at)
    other = Probe(0.1)
    other.load_state_dict(half.probe.state_dict())
    half.probe = other
    half.run(half.steps - at)
    assert half.rates == whole.rates


def test_a_change_of_data_begins_the_schedule_again() -> None:
    engine = Engine(Probe(0.1))
    engine.run(360)
    before = engine.rates[-1]
    engine.values["shifts"] = 1.0
    engine.run(20)
    assert engine.rates[-1] > 2 * before
    engine.run(20)
    assert engine.rates[-1] < before


def test_without_memory_the_given_rate_is_measured_as_it_runs() -> None:
    probe = Probe(0.1)
    first = Reading(step=0, progress=0.0, total_steps=100, remembers=False)
    steer = probe.decide(first)
    assert not steer.probing and not steer.moves and steer.measure
    assert steer.learning_rate is not None and steer.learning_rate <= 0.1


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"relative_step": 0.0}, "relative_step"),
        ({"hold": 1.0}, "hold"),
        ({"follow": 0.01}, "follow"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float], name: str) -> None:
    with pytest.raises(SettingError, match=name):
        Probe(0.1, **wrong)
