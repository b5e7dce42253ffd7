"""The probe reads the rate off the weights: from any rate, in any unit, from any moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import paceline
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


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_budget_shorter_than_a_probe_falls_from_the_given_rate_and_says_so(steps: int) -> None:
    engine = Engine(Probe(0.1), steps=steps)
    steers = [engine.one() for _ in range(steps)]
    assert not any(steer.probing or steer.measure for steer in steers)
    assert engine.rates[0] == 0.1
    assert engine.rates == sorted(engine.rates, reverse=True)
    assert steers[0].reason == "too few steps for a trial: falls from the given 0.1"


@dataclass
class Script:
    """Losses and dead layers as they are told, step by step."""

    probe: Probe
    steps: int = 100
    at: int = 0
    values: dict[str, float] = field(default_factory=dict)

    def hear(self, loss: float, dead: float = 0.0) -> Steer:
        reading = self.reading()
        steer = self.probe.decide(reading)
        self.at += 1
        self.values = {"loss": loss, "dead_layers": dead, "learning_rate": steer.learning_rate or 0}
        self.values |= {"parameter_norm": 10.0, "update_norm": 2.0 * self.values["learning_rate"]}
        self.probe.learn(reading, steer, self.reading())
        return steer

    def reading(self) -> Reading:
        return Reading(
            step=self.at,
            progress=self.at / self.steps,
            total_steps=self.steps,
            values=dict(self.values),
        )

    def after(self, steps: int, loss: float = 1.0, dead: float = 0.0) -> Script:
        for _ in range(steps):
            self.hear(loss, dead)
        return self

    def goes_back(self) -> bool:
        return any(move.verb == "restore" for move in self.probe.decide(self.reading()).moves)


def test_a_loss_that_blows_up_in_the_first_steps_is_taken_back_at_once() -> None:
    script = Script(Probe(0.1)).after(2)
    peak = script.probe.peak
    assert not script.goes_back()
    script.hear(4.1)
    assert script.goes_back()
    assert script.probe.peak == pytest.approx(0.2 * peak)
    assert script.hear(1.0).reason == (
        "the loss rose over where it began: first weights, 0.2 of the rate"
    )


def test_the_trial_is_what_the_first_losses_are_held_against() -> None:
    script = Script(Probe(0.1)).after(1)
    script.hear(4.1)
    assert script.goes_back()


def test_it_goes_back_four_times_and_then_leaves_it_to_the_guard() -> None:
    script, times = Script(Probe(0.1), steps=10_000).after(1), 0
    for _ in range(10):
        script.hear(1e6)
        times += script.goes_back()
    assert times == 4


@pytest.mark.parametrize("steps", [5, 10, 20, 40])
@given(curvature=st.floats(-4, 4), size=st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_in_a_budget_of_some_steps_it_ends_no_worse_than_it_began(
    steps: int, curvature: float, size: float
) -> None:
    engine = Engine(Probe(1e-3), steps=steps, curvature=10**curvature, size=10**size)

    def distance() -> float:
        return math.dist(engine.weights, [0.5 * engine.size, engine.size])

    before = distance()
    engine.run()
    assert distance() <= before


def test_layers_that_die_send_it_back_to_the_first_weights_at_a_fifth_of_the_rate() -> None:
    script = Script(Probe(0.1)).after(30)
    peak = script.probe.peak
    script.hear(1.0, dead=2.0)
    assert script.goes_back()
    assert script.probe.peak == pytest.approx(0.2 * peak)
    steer = script.hear(1.0, dead=2.0)  # as long as nobody has looked again
    assert steer.reason == "layers died: first weights, 0.2 of the rate"
    assert not script.goes_back()
    assert script.hear(1.0).measure  # the rate is followed anew


def test_layers_that_die_again_send_it_back_again() -> None:
    script = Script(Probe(0.1), steps=1000).after(30)
    script.hear(1.0, dead=1.0)
    script.after(5, dead=1.0).after(5)
    assert not script.goes_back()
    script.hear(1.0, dead=1.0)
    assert script.goes_back()


def test_layers_that_were_dead_from_the_start_are_left_to_the_guard() -> None:
    script = Script(Probe(0.1)).after(9).after(3, dead=1.0).after(10)
    script.hear(1.0, dead=1.0)
    assert not script.goes_back()


def test_layers_that_die_late_are_left_to_the_guard() -> None:
    script = Script(Probe(0.1)).after(36)
    assert [move.verb for move in script.probe.decide(script.reading()).moves] == ["forget"]
    script.hear(1.0, dead=1.0)
    assert not script.goes_back()


def test_where_the_loss_is_meant_to_rise_it_never_looks_back() -> None:
    script = Script(Probe(0.1, look_back=False)).after(13)
    script.hear(1e6, dead=1.0)
    assert not script.goes_back()


@pytest.mark.parametrize("at", [1, 3, 20, 31, 34, 50])
def test_looks_at_layers_go_on_from_any_moment(at: int) -> None:
    told = [(1.0, 0.0)] * 30 + [(1.0, 2.0)] * 3 + [(1.0, 0.0)] * 30
    whole, half = Script(Probe(0.1)), Script(Probe(0.1))
    for loss, dead in told[:at]:
        whole.hear(loss, dead)
        half.hear(loss, dead)
    half.probe = Probe(0.1)
    half.probe.load_state_dict(whole.probe.state_dict())
    for loss, dead in told[at:]:
        assert half.hear(loss, dead) == whole.hear(loss, dead)


@pytest.mark.parametrize(("steps", "beta2"), [(399, None), (500, 0.98), (10**6, 0.999)])
def test_second_moments_remember_a_tenth_of_the_budget(steps, beta2):
    seen = Reading(step=0, progress=0.0, total_steps=steps)
    found = Probe(1.0).decide(seen).beta2
    assert found == beta2 if beta2 is None else found == pytest.approx(beta2)
    assert Probe(1.0, set_beta2=False).decide(seen).beta2 is None


def test_second_moments_keep_their_memory_through_a_step_that_is_taken_back():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=1e-3)
    pacer = paceline.Pacer(optimizer, total_steps=500)
    for _ in range(4):
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        pacer.step(loss)
        assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)


def test_second_moments_that_somebody_has_set_are_left_alone():
    for own in ({"betas": (0.9, 0.99)}, {}):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.Adam([weight], lr=1e-3, **own)
        if not own:  # it has taken steps of its own
            weight.sum().backward()
            optimizer.step()
        pacer = paceline.Pacer(optimizer, total_steps=500)
        loss = (weight**2).sum()
        loss.backward()
        pacer.step(loss)
        assert optimizer.param_groups[0]["betas"] == own.get("betas", (0.9, 0.999))
