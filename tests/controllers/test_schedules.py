"""Each schedule has, step by step, the values of the torch scheduler that it is named after."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from paceline.controllers.base import Schedule
from paceline.controllers.reduce_on_plateau import ReduceOnPlateau
from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.readings import Reading

_RATE = 0.3
_TWINS = {
    "constant": lambda given, o, n: lr_scheduler.ConstantLR(o, factor=1.0),
    "cosine": lambda given, o, n: lr_scheduler.CosineAnnealingLR(
        o, n, eta_min=given["end"] * _RATE
    ),
    "cyclic": lambda given, o, n: lr_scheduler.CyclicLR(
        o,
        given["low"] * _RATE,
        _RATE,
        step_size_up=max(1, round(n / given["cycles"] / 2)),
        mode="triangular2" if given["halving"] else "triangular",
        cycle_momentum=False,
    ),
    "exponential": lambda given, o, n: lr_scheduler.ExponentialLR(o, given["end"] ** (1 / n)),
    "linear": lambda given, o, n: lr_scheduler.LinearLR(o, 1.0, given["end"], n),
    "one_cycle": lambda given, o, n: lr_scheduler.OneCycleLR(
        o,
        _RATE,
        total_steps=n,
        pct_start=given["rise"],
        div_factor=1 / given["start"],
        final_div_factor=1 / given["end"],
        cycle_momentum=False,
    ),
    "step": lambda given, o, n: lr_scheduler.StepLR(
        o, max(1, round(n / (given["drops"] + 1))), given["factor"]
    ),
    "warmup_stable_decay": lambda given, o, n: lr_scheduler.LambdaLR(
        o, lambda t: min(1.0, (n - t) / (given["decay"] * n))
    ),
}
_SETTINGS = {
    "constant": [{}],
    "cosine": [{"end": 0.0}, {"end": 0.2}],
    "cyclic": [
        {"low": 0.1, "cycles": 3, "halving": False},
        {"low": 0.0, "cycles": 2, "halving": True},
    ],
    "exponential": [{"end": 0.01}, {"end": 1.0}],
    "linear": [{"end": 0.0}, {"end": 0.5}],
    "one_cycle": [{"rise": 0.3, "start": 0.04, "end": 1e-4}, {"rise": 0.7, "start": 1, "end": 0.5}],
    "step": [{"drops": 2, "factor": 0.1}, {"drops": 7, "factor": 0.9}],
    "warmup_stable_decay": [{"decay": 0.2}, {"decay": 1.0}],
}
_CASES = [(name, given) for name, all_given in _SETTINGS.items() for given in all_given]


def _twin(name: str, given: dict, steps: int) -> list[float]:
    optimizer = SGD([torch.zeros(1)], lr=_RATE)
    scheduler = _TWINS[name](given, optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < steps:
            scheduler.step()
    return rates


def _rates(schedule: Schedule, steps: int) -> list[float]:
    return [
        schedule.decide(Reading(step=step, progress=step / steps, total_steps=steps)).learning_rate
        for step in range(steps)
    ]


def test_every_schedule_on_the_shelf_has_a_twin():
    found = {name for name, part in catalog.parts("controllers") if issubclass(part, Schedule)}
    assert found == set(_TWINS) == set(_SETTINGS)


@pytest.mark.parametrize("steps", [2, 7, 60, 211])
@pytest.mark.parametrize(("name", "given"), _CASES)
def test_without_warm_up_a_schedule_is_torchs_own_at_every_step(name, given, steps):
    part = catalog.find("controllers", name)
    off = {"warmup": 0.0} if "warmup" in catalog.settings(part) else {}
    assert _rates(part(_RATE, **off, **given), steps) == _twin(name, given, steps)


@pytest.mark.parametrize("warmup", [0.1, 0.37])
@pytest.mark.parametrize(("name", "given"), [case for case in _CASES if case[0] != "one_cycle"])
def test_a_warm_up_rises_in_a_straight_line_and_torchs_curve_follows(name, given, warmup):
    steps = 90
    rates = _rates(catalog.find("controllers", name)(_RATE, warmup=warmup, **given), steps)
    warm = warmup * steps
    rising = math.ceil(warm)
    assert rates[:rising] == [_RATE * (at + 1) / (warm + 1) for at in range(rising)]
    twin = _twin(name, given, steps - round(warm))
    skipped = rising - round(warm)
    assert rates[rising:] == twin[skipped:]


@pytest.mark.parametrize(("name", "given"), _CASES)
def test_by_time_a_schedule_follows_the_curve_that_it_has_by_steps(name, given):
    part, steps = catalog.find("controllers", name), 1000
    by_steps = _rates(part(_RATE, **given), steps)
    schedule = part(_RATE, **given)
    jumps = {at for at in range(1, steps) if abs(by_steps[at] - by_steps[at - 1]) > 0.02 * _RATE}
    for at in range(0, steps, 7):
        rate = schedule.decide(Reading(step=3 * at, progress=at / steps)).learning_rate
        if not jumps & {at, at + 1}:
            assert rate == pytest.approx(by_steps[at], abs=0.01 * _RATE)


@pytest.mark.parametrize(("name", "given"), _CASES)
def test_asked_in_any_order_a_schedule_answers_the_same(name, given):
    part, steps = catalog.find("controllers", name), 50
    schedule, forwards = part(_RATE, **given), _rates(part(_RATE, **given), steps)
    for step in (49, 3, 20, 0):
        reading = Reading(step=step, progress=step / steps, total_steps=steps)
        assert schedule.decide(reading).learning_rate == forwards[step]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("linear", {"warmup": 1.0}, "warmup must be at least 0 and under 1, got 1"),
        ("linear", {"end": 1.5}, "end must be at least 0 and at most 1, got 1.5"),
        ("cosine", {"end": -0.1}, "end must be at least 0 and at most 1, got -0.1"),
        ("exponential", {"end": 0.0}, "end must be over 0 and at most 1, got 0"),
        ("cyclic", {"cycles": 0}, "cycles must be at least 1, got 0"),
        ("cyclic", {"low": 1.0}, "low must be at least 0 and under 1, got 1"),
        ("one_cycle", {"rise": 0.0}, "rise must be over 0 and under 1, got 0"),
        ("one_cycle", {"start": 0.0}, "start must be over 0 and at most 1, got 0"),
        ("one_cycle", {"end": 2.0}, "end must be over 0 and at most 1, got 2"),
        ("step", {"drops": 0}, "drops must be at least 1, got 0"),
        ("step", {"factor": 1.0}, "factor must be over 0 and under 1, got 1"),
        ("warmup_stable_decay", {"decay": 0.0}, "decay must be over 0 and at most 1, got 0"),
        ("reduce_on_plateau", {"factor": 1.0}, "factor must be over 0 and under 1, got 1"),
        ("reduce_on_plateau", {"patience": -1}, "patience must be at least 0, got -1"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_range(name, given, words):
    with pytest.raises(SettingError, match=words):
        catalog.find("controllers", name)(_RATE, **given)


@pytest.mark.parametrize(("factor", "patience"), [(0.1, 0), (0.5, 2), (0.3, 5)])
def test_on_a_plateau_the_rate_falls_as_torchs_own_does(factor, patience):
    optimizer = SGD([torch.zeros(1)], lr=_RATE)
    twin = lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
    plateau = ReduceOnPlateau(_RATE, factor=factor, patience=patience)
    for count in range(1, 60):
        loss = float("nan") if count == 30 else 1 / min(count, 9) + 0.01 * math.sin(count)
        heard = Reading(
            step=count, progress=0.0, values={"validation_loss": loss, "validations": count}
        )
        for _ in range(3):
            plateau.learn(heard, plateau.decide(heard), heard)
        twin.step(loss)
        assert plateau.decide(heard).learning_rate == optimizer.param_groups[0]["lr"]
