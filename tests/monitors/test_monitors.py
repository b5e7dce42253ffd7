"""What monitors read off a run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from paceline.core.errors import SettingError
from paceline.core.readings import Glimpse
from paceline.monitors.loss_trend import LossTrend
from paceline.monitors.throughput import Throughput


def _glimpse(step: int, loss: float = 1.0, seconds: float = 0.0) -> Glimpse:
    return Glimpse(
        step=step,
        loss=loss,
        examples=10,
        elapsed_seconds=seconds,
        gradient_norm=1.0,
        learning_rate=0.1,
    )


def _slow_average(losses: list[float], keep: float) -> float:
    weights = [keep ** (len(losses) - 1 - at) for at in range(len(losses))]
    total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
    return total / sum(weights)


def test_the_smooth_loss_is_the_weighted_mean_of_all_losses():
    trend, losses = LossTrend(memory=5.0), []
    for step in range(1, 60):
        losses.append(2 + math.sin(step))
        values = trend.read(_glimpse(step, losses[-1]))
        short, long = _slow_average(losses, 0.8), _slow_average(losses, 0.98)
        assert values["loss_smooth"] == pytest.approx(short)
        assert values["loss_trend"] == pytest.approx(short - long)


def test_broken_losses_are_counted_and_left_out():
    trend = LossTrend(memory=5.0)
    assert set(trend.read(_glimpse(1, float("nan")))) == {"loss", "broken_steps"}
    trend.read(_glimpse(2, 3.0))
    values = trend.read(_glimpse(3, float("inf")))
    assert (values["broken_steps"], values["loss_smooth"]) == (2.0, 3.0)


def test_a_steady_run_has_a_steady_speed():
    speed = Throughput(memory=5.0)
    for step in range(1, 30):
        values = speed.read(_glimpse(step, seconds=0.25 * step))
    assert values == {"step_seconds": 0.25, "examples_per_second": 40.0}


def test_a_clock_that_stands_still_gives_a_finite_speed():
    speed = Throughput()
    speed.read(_glimpse(1))
    assert math.isfinite(speed.read(_glimpse(2))["examples_per_second"])


@pytest.mark.parametrize("part", [LossTrend, Throughput])
@pytest.mark.parametrize("memory", [0.5, -1.0, float("nan"), float("inf")])
def test_a_memory_of_less_than_a_step_is_refused(part, memory):
    with pytest.raises(SettingError, match="memory must be at least 1 step"):
        part(memory=memory)


def test_steps_that_are_shown_together_count_as_if_shown_one_by_one():
    losses = [3.0, 2.5, 2.7, 2.0, 2.2]
    one, other = LossTrend(), LossTrend()
    fast, slow = Throughput(memory=5.0), Throughput(memory=5.0)
    for each in (fast, slow):
        each.read(_glimpse(1, seconds=1.0))
        each.read(_glimpse(2, seconds=1.5))
    for at, loss in enumerate(losses, start=3):
        single = one.read(_glimpse(at, loss))
        speed = fast.read(_glimpse(at, loss, seconds=1.5 + 0.1 * (at - 2)))
    last = replace(_glimpse(7, losses[-1], seconds=2.0), earlier=tuple(losses[:-1]))
    assert other.read(last) == pytest.approx(single)
    assert slow.read(last) == pytest.approx(speed)
