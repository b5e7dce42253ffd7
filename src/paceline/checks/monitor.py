"""What every monitor promises."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from paceline.checks.base import (
    Part,
    chance,
    expect,
    expect_named_settings,
    expect_unknown_refused,
    expect_unreal_refused,
    same,
    through_json,
)
from paceline.core.readings import Glimpse

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_BROKEN = (float("nan"), float("inf"), float("-inf"))


def is_made_without_arguments(part: Part) -> None:
    part()


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 0)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part)


def gives_floats(part: Part) -> None:
    for values in _read(part(), _glimpses(20)):
        for name, value in values.items():
            expect(
                isinstance(value, float),
                f"{name} must be a float, got {value!r} ({type(value).__name__})",
            )


def gives_its_numbers_names_in_snake_case(part: Part) -> None:
    for values in _read(part(), _glimpses(20)):
        for name in values:
            expect(_NAME.fullmatch(name) is not None, f"{name!r} is not written in snake_case")


def leaves_the_glimpse_as_it_is(part: Part) -> None:
    monitor = part()
    for glimpse in _glimpses(5):
        before = asdict(glimpse)
        monitor.read(glimpse)
        expect(before == asdict(glimpse), f"the glimpse was changed: {before}, now {glimpse}")


def hands_out_values_of_its_own(part: Part) -> None:
    monitor, twin = part(), part()
    for glimpse in _glimpses(10):
        values, expected = monitor.read(glimpse), dict(twin.read(glimpse))
        expect(same(values, expected), f"what was done to earlier values came back: {values}")
        values.clear()
        values["someone_elses"] = 1.0


def goes_on_after_losses_that_are_not_finite(part: Part) -> None:
    for broken in _BROKEN:
        monitor = part()
        for glimpse in _glimpses(12):
            hurt = glimpse.step in (1, 5, 6)
            monitor.read(replace(glimpse, loss=broken) if hurt else glimpse)
        for glimpse in _glimpses(5, begin=13):
            for name, value in monitor.read(glimpse).items():
                expect(
                    math.isfinite(value),
                    f"{name} is still {value} {glimpse.step - 6} steps after a loss of {broken}",
                )


def goes_on_identically_from_a_state_that_went_through_json(part: Part) -> None:
    monitor, other = part(), part()
    for glimpse in _glimpses(30):
        if glimpse.step in (1, 2, 13):
            other = part()
            other.load_state_dict(through_json(monitor.state_dict(), part.__name__))
        expected, found = monitor.read(glimpse), other.read(glimpse)
        expect(
            same(expected, found),
            f"at step {glimpse.step} it reads {expected}, but {found} after a resume",
        )


def reads_the_same_from_the_same_glimpses(part: Part) -> None:
    with chance(1):
        first = [dict(values) for values in _read(part(), _glimpses(20))]
    with chance(2):
        second = [dict(values) for values in _read(part(), _glimpses(20))]
    expect(same(first, second), "two runs over the same glimpses differ")


def _read(monitor: Any, glimpses: Iterator[Glimpse]) -> Iterator[dict[str, float]]:
    for glimpse in glimpses:
        yield monitor.read(glimpse)


def _glimpses(steps: int, *, begin: int = 1) -> Iterator[Glimpse]:
    for step in range(begin, begin + steps):
        yield Glimpse(
            step=step,
            loss=2.0 + math.cos(step / 6),
            examples=32,
            elapsed_seconds=0.01 * step + 0.001 * math.sin(step),
            gradient_norm=1.0 + 0.1 * math.sin(step),
            learning_rate=0.1,
            gradient_alignment=0.5,
            gradient_product=0.5 + 0.05 * math.sin(step),
        )
