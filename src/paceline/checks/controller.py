"""What every controller promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from paceline.checks.base import (
    Part,
    chance,
    expect,
    expect_named_settings,
    expect_refusal,
    expect_unknown_refused,
    expect_unreal_refused,
    same,
    through_json,
)
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

_RATE = 0.1
_BUDGETS = (1, 2, 3, 10, 97)
_BROKEN = (float("nan"), float("inf"), float("-inf"))
_VALIDATE_EVERY = 5


def is_made_with_a_learning_rate_alone(part: Part) -> None:
    part(_RATE)


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 1)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, _RATE)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, _RATE)


def refuses_learning_rates_that_are_not_positive(part: Part) -> None:
    for rate in (0.0, -0.1, *_BROKEN):
        expect_refusal(partial(part, rate), SettingError, f"a learning rate of {rate}")


def observes_and_decides_without_changing_anything(part: Part) -> None:
    controller = part(_RATE)
    for reading in _readings(40):
        state, values = through_json(controller.state_dict(), part.__name__), dict(reading.values)
        seen = controller.observe(reading)
        choice = controller.decide(seen)
        again = controller.decide(controller.observe(reading))
        expect(choice == again, f"asked twice at step {reading.step}: {choice}, then {again}")
        expect(
            same(state, through_json(controller.state_dict(), part.__name__)),
            f"observe or decide changed the state at step {reading.step}",
        )
        expect(same(values, dict(reading.values)), "the reading was changed")
        controller.learn(seen, choice, reading)


def gives_a_steer_with_a_reason_in_one_line(part: Part) -> None:
    for choice in _choices(part(_RATE), _readings(20)):
        expect(isinstance(choice, Steer), f"decide gave a {type(choice).__name__}, not a Steer")
        reason = choice.reason
        expect(
            isinstance(reason, str) and "\n" not in reason,
            f"the reason is not one line of text: {reason!r}",
        )


def keeps_rates_finite_and_not_negative_over_a_budget_of_steps(part: Part) -> None:
    for steps in _BUDGETS:
        _expect_sound_rates(part, _readings(steps, beyond=5))


def keeps_rates_finite_and_not_negative_over_a_budget_of_time(part: Part) -> None:
    for steps in _BUDGETS:
        _expect_sound_rates(part, _readings(steps, beyond=5, by_time=True))


def decides_before_any_monitor_has_spoken(part: Part) -> None:
    controller = part(_RATE)
    silent = Reading(step=0, progress=0.0, total_steps=10)
    seen = controller.observe(silent)
    controller.learn(seen, controller.decide(seen), silent)


def goes_on_after_losses_that_are_not_finite(part: Part) -> None:
    controller = part(_RATE)
    for reading in _readings(30):
        broken = _BROKEN[reading.step % 3]
        heard = replace(
            reading,
            values={
                name: broken if "loss" in name or "norm" in name else value
                for name, value in reading.values.items()
            },
        )
        _expect_sound(_step(controller, heard), heard)


def goes_on_identically_from_a_state_that_went_through_json(part: Part) -> None:
    controller, other = part(_RATE), part(_RATE)
    for reading in _readings(60):
        if reading.step in (0, 17, 41):
            other = part(_RATE)
            other.load_state_dict(through_json(controller.state_dict(), part.__name__))
        expected, found = _step(controller, reading), _step(other, reading)
        expect(
            expected == found,
            f"at step {reading.step} it decides {expected}, but {found} after a resume",
        )


def decides_the_same_for_the_same_readings(part: Part) -> None:
    with chance(1):
        first = list(_choices(part(_RATE), _readings(40)))
    with chance(2):
        second = list(_choices(part(_RATE), _readings(40)))
    for step, (one, other) in enumerate(zip(first, second, strict=True)):
        expect(one == other, f"two runs differ at step {step}: {one}, then {other}")


def _expect_sound_rates(part: Part, readings: Iterator[Reading]) -> None:
    controller = part(_RATE)
    for reading in readings:
        _expect_sound(_step(controller, reading), reading)


def _expect_sound(choice: Any, reading: Reading) -> None:
    rate = choice.learning_rate
    of = f"step {reading.step} of {reading.total_steps or 'a budget of time'}"
    expect(
        rate is None or (math.isfinite(rate) and rate >= 0),
        f"the learning rate is {rate} at {of}",
    )
    size = choice.batch_size
    expect(size is None or size >= 1, f"the batch size is {size} at {of}")


def _choices(controller: Any, readings: Iterator[Reading]) -> Iterator[Any]:
    for reading in readings:
        yield _step(controller, reading)


def _step(controller: Any, reading: Reading) -> Any:
    seen = controller.observe(reading)
    choice = controller.decide(seen)
    controller.learn(seen, choice, reading)
    return choice


def _readings(steps: int, *, beyond: int = 0, by_time: bool = False) -> Iterator[Reading]:
    """A run whose loss falls, rises and lies still, with a validation now and then."""
    for step in range(steps + beyond):
        loss = 2.0 + math.cos(step / 6) if step < 30 else 1.0
        yield Reading(
            step=step,
            progress=min(step / steps, 1.0),
            total_steps=None if by_time else steps,
            values={
                "loss": loss,
                "loss_smooth": loss,
                "loss_trend": -0.01 * math.sin(step / 6),
                "broken_steps": 0.0,
                "validation_loss": loss,
                "validations": float(step // _VALIDATE_EVERY),
                "gradient_norm": 1.0,
                "step_seconds": 0.01,
                "examples_per_second": 6400.0,
            },
        )
