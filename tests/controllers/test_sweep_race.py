"""A sweep and a race find the rate of a quadratic, and go on from any moment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.controllers.base.race import vertex
from paceline.controllers.base.trials import DIVERGED, Script, Trial
from paceline.controllers.sweep_race import SweepRace
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer


@dataclass
class Engine:
    """Gradient descent on a quadratic, with named states: a slow twin of the real engine."""

    probe: SweepRace
    steps: int = 400
    curvature: float = 4.0
    noise: float = 0.0
    position: float = 1.0
    step: int = 0
    fresh: int = 0
    values: dict[str, float] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)
    trials: int = 0
    rates: list[float] = field(default_factory=list)

    def reading(self) -> Reading:
        return Reading(
            step=self.step, progress=self.step / self.steps, total_steps=self.steps,
            values=dict(self.values), batch=self.fresh,
        )  # fmt: skip

    def one(self) -> Steer:
        reading = self.reading()
        steer = self.probe.decide(self.probe.observe(reading))
        for move in steer.moves:
            if move.verb == "keep":
                self.kept[move.name] = self.position
            elif move.verb == "restore":
                self.position = self.kept[move.name]
        number = self.fresh if steer.batch is None else steer.batch
        assert number <= self.fresh
        self.fresh = max(self.fresh, number + 1)
        wave = self.noise * math.sin(37.0 * number)
        loss = 0.5 * self.curvature * (self.position - wave) ** 2
        assert steer.learning_rate is not None
        self.position -= steer.learning_rate * self.curvature * (self.position - wave)
        self.position = max(min(self.position, 1e30), -1e30)
        self.step += 1
        self.trials += steer.probing
        self.rates.append(steer.learning_rate)
        self.values["loss"] = loss
        self.probe.learn(reading, steer, self.reading())
        return steer


@given(st.floats(-4, 4), st.floats(-6, 1))
@settings(max_examples=40, deadline=None)
def test_it_learns_a_quadratic_of_any_curvature_from_any_rate(curvature, hint) -> None:
    engine = Engine(SweepRace(10**hint), curvature=10**curvature, noise=0.01)
    for _ in range(engine.steps):
        engine.one()
    assert abs(engine.position) < 0.1


def test_the_rate_falls_to_nothing_at_the_end() -> None:
    engine = Engine(SweepRace(0.1), noise=0.05)
    for _ in range(engine.steps):
        engine.one()
    assert engine.rates[-1] < 0.02 * max(engine.rates[engine.trials + 60 :])


def test_trials_take_a_small_share_of_a_thousand_steps() -> None:
    engine = Engine(SweepRace(0.1), steps=1000, noise=0.05)
    for _ in range(engine.steps):
        engine.one()
    assert engine.trials <= 300


@pytest.mark.parametrize("at", [0, 1, 9, 25, 40, 60, 90, 200])
def test_it_goes_on_from_any_moment(at: int) -> None:
    whole, half = Engine(SweepRace(0.1), noise=0.05), Engine(SweepRace(0.1), noise=0.05)
    for _ in range(whole.steps):
        whole.one()
    for _ in range(at):
        half.one()
    other = SweepRace(0.1)
    other.load_state_dict(half.probe.state_dict())
    half.probe = other
    for _ in range(half.steps - at):
        half.one()
    assert half.rates == whole.rates
    assert half.position == whole.position


def test_a_budget_that_is_too_short_is_not_spent_on_trials() -> None:
    engine = Engine(SweepRace(0.1), steps=30)
    for _ in range(engine.steps):
        engine.one()
    assert engine.trials == 0
    assert max(engine.rates) <= 0.1


def test_a_change_of_data_starts_the_decay_again() -> None:
    engine = Engine(SweepRace(0.1), noise=0.05)
    for _ in range(300):
        engine.one()
    before = engine.rates[-1]
    engine.values["shifts"] = 1.0
    for _ in range(40):
        engine.one()
    assert engine.rates[-1] > before


def test_settings_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(SettingError, match="ratio must be over 1"):
        SweepRace(0.1, ratio=1.0)


def test_a_script_goes_on_from_what_it_heard() -> None:
    def make(upto: int) -> Trial[list[float]]:
        heard = []
        for at in range(upto):
            heard.append((yield Steer(learning_rate=float(at + sum(heard)), probing=True)))
        return heard

    script: Script[list[float]] = Script(make, {"upto": 4})
    for loss in (1.0, math.nan):
        script.hear(loss)
    other = Script.load(make, script.state_dict())
    assert other.steer == script.steer
    for loss in (3.0, 4.0):
        assert script.hear(loss) == other.hear(loss)
    assert script.result == other.result == [1.0, DIVERGED, 3.0, 4.0]


def parabola(lowest: float) -> Callable[[float], float]:
    return lambda rate: 1.0 + (math.log(rate) / math.log(3) - lowest) ** 2


@given(st.floats(-0.49, 0.49))
def test_the_vertex_of_a_parabola_is_found(lowest: float) -> None:
    score = parabola(lowest)
    found = vertex({rate: score(rate) for rate in (1.0, 3.0, 1 / 3)}, 1.0, 3.0)
    assert found == pytest.approx(lowest, abs=0.3)
    assert found * lowest >= -1e-9
