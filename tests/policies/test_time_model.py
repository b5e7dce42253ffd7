"""The time model: it finds levels, changes, bends and noise that are known here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from paceline.core.errors import SettingError
from paceline.policies.base.hedge import hedge, tail_quantile
from paceline.policies.base.time_model import TimeModel


def taught(seconds, loads, *, noise: float = 0.03, model: TimeModel | None = None) -> TimeModel:
    model, random = model or TimeModel(), np.random.default_rng(1)
    for load in loads:
        chance = np.exp(random.normal(0, noise))
        model.learn(np.array([load]), np.array([seconds(load) * chance]), reference=100.0)
    return model


def at(model: TimeModel, load: float) -> float:
    return float(model.curves().seconds(np.array([load]))[0])


def test_many_rounds_at_one_load_give_its_seconds_closely() -> None:
    model = taught(lambda n: 0.02 + 0.001 * n, [100] * 200)
    assert at(model, 100) == pytest.approx(0.12, rel=0.01)
    assert float(model.spread[0]) < 0.01


def test_different_loads_give_the_share_that_does_not_depend_on_them() -> None:
    model = taught(lambda n: 0.05 + 0.001 * n, [100, 50, 200, 80, 150] * 20)
    for load in (60, 100, 180):
        assert at(model, load) == pytest.approx(0.05 + 0.001 * load, rel=0.1)


def test_a_switch_is_learnt_within_two_rounds() -> None:
    model = taught(lambda n: 0.001 * n, [100] * 50)
    model = taught(lambda n: 0.003 * n, [100, 40], model=model)
    assert at(model, 40) == pytest.approx(0.12, rel=0.06)


def test_a_bend_is_found_and_a_switch_is_not_taken_for_one() -> None:
    def bent(load: float) -> float:
        return 0.001 * load + 0.003 * max(0.0, load - 130)

    model = taught(bent, [100, 300, 200, 150, 170, 120, 160] * 3)
    assert at(model, 250) == pytest.approx(bent(250), rel=0.15)
    assert at(model, 90) == pytest.approx(bent(90), rel=0.1)
    straight = taught(lambda n: 0.001 * n, [100] * 10)
    straight = taught(lambda n: 0.003 * n, [100] * 10, model=straight)
    assert not np.isfinite(straight.curves().bend[0])


def test_a_great_and_a_small_load_do_not_take_turns_where_the_shape_was_wrong() -> None:
    """Each would look like a switch beside the other, and the shape would stay as it is."""
    model = taught(lambda n: 0.012 + 0.0067 * n, [100] * 20)
    state = model.state_dict()
    state["odds"] = [[0.0, *[-10.0] * (len(state["odds"][0]) - 1)]]
    model.load_state_dict(state)

    def slower(load: float) -> float:
        return 0.01 + 0.02 * load

    model, late = taught(slower, [24], model=model), 0
    for _ in range(12):
        load = max(1, int(model.curves().samples(0.15)[0]))
        model = taught(slower, [load], model=model)
        late += slower(load) > 1.3 * 0.15
    assert late <= 2


def test_the_noise_is_learnt_from_all_agents_together() -> None:
    random = np.random.default_rng(0)
    for noise in (0.01, 0.15):
        model = TimeModel()
        for _ in range(150):
            seconds = 0.1 * np.exp(random.normal(0, noise, 8))
            model.learn(np.full(8, 100), seconds, reference=100.0)
        assert model.noise == pytest.approx(noise, rel=0.25)


def test_those_that_were_not_measured_stay_unknown_and_doubt_grows() -> None:
    model = TimeModel()
    model.learn([10, 10, 0], [1.0, np.nan, 0.0], reference=10.0)
    assert model.known.tolist() == [True, False, False]
    before = float(model.spread[0])
    model.learn([0, 0, 0], [0.0, 0.0, 0.0], reference=10.0)
    assert float(model.spread[0]) > before


def test_a_state_with_other_shapes_is_refused() -> None:
    model = taught(lambda n: 0.001 * n, [100] * 3)
    state = json.loads(json.dumps(model.state_dict()))
    TimeModel().load_state_dict(state)
    state["level"] = [each[:-1] for each in state["level"]]
    with pytest.raises(SettingError, match="level must have"):
        TimeModel().load_state_dict(state)


def test_the_hedge_lets_the_unsure_do_less_and_nothing_change_between_equals() -> None:
    factors = hedge(np.full(10, 0.1), np.array([0.1] + [0.02] * 9))
    assert factors[0] > factors[1] and np.ptp(factors[1:]) == 0
    assert float(tail_quantile(0.5)) == pytest.approx(0.0, abs=1e-3)


def test_the_hedge_makes_the_expected_end_earlier() -> None:
    random = np.random.default_rng(0)
    spread = np.array([0.2] * 4 + [0.02] * 12)
    chance = np.exp(random.normal(0, 1, (4000, 16)) * spread)
    shares = 1 / hedge(np.full(16, 1 / 16), spread)
    plain, hedged = np.ones(16), 16 * shares / shares.sum()
    assert (chance * hedged).max(axis=1).mean() < 0.97 * (chance * plain).max(axis=1).mean()
