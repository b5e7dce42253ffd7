"""The gradient noise scale against problems whose noise is known."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from paceline.core.errors import SettingError
from paceline.core.readings import Glimpse
from paceline.monitors.noise_scale import NoiseScale


def _read(monitor, gradients, sizes, *, begin=1):
    """Reads successive gradients of so many examples each."""
    values, before = {}, None
    for step, (gradient, size) in enumerate(zip(gradients, sizes, strict=True), start=begin):
        values = monitor.read(
            Glimpse(
                step=step,
                loss=1.0,
                examples=size,
                elapsed_seconds=0.0,
                gradient_norm=float(np.linalg.norm(gradient)),
                learning_rate=0.1,
                gradient_product=math.nan if before is None else float(gradient @ before),
            )
        )
        before = gradient
    return values


def _noisy(mean, spread, sizes, seed=0):
    random = np.random.default_rng(seed)
    return [mean + random.normal(size=len(mean)) * spread / math.sqrt(size) for size in sizes]


@pytest.mark.parametrize("size", [1, 16, 256])
@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_it_finds_the_noise_scale_of_a_problem_where_it_is_known(size, spread):
    mean = np.linspace(-1, 1, 400)
    known = 400 * spread**2 / float(mean @ mean)
    sizes = [size] * 600
    values = _read(NoiseScale(memory=400.0), _noisy(mean, spread, sizes), sizes)
    assert values["noise_scale_examples"] == pytest.approx(known, rel=0.1)


def test_batches_of_changing_sizes_tell_the_same():
    mean = np.linspace(-1, 1, 400)
    sizes = [8 if step % 3 else 64 for step in range(600)]
    values = _read(NoiseScale(memory=400.0), _noisy(mean, 1.0, sizes), sizes)
    assert values["noise_scale_examples"] == pytest.approx(400 / float(mean @ mean), rel=0.1)


def test_a_mean_that_drifts_slowly_hardly_matters():
    random, sizes = np.random.default_rng(0), [32] * 600
    first, second = np.linspace(-1, 1, 400), np.linspace(1, -1, 400) ** 2
    gradients = [
        first * math.cos(step / 600) + second * math.sin(step / 600) + random.normal(size=400) / 5.6
        for step in range(600)
    ]
    last = first * math.cos(0.9) + second * math.sin(0.9)
    values = _read(NoiseScale(memory=50.0), gradients, sizes)
    assert values["noise_scale_examples"] == pytest.approx(400 / float(last @ last), rel=0.2)


def test_the_averages_are_those_of_a_slow_twin():
    sizes = [4, 9, 2, 7, 7, 3, 5, 8, 6, 4]
    gradients = _noisy(np.array([1.0, 2.0, -1.0]), 0.5, sizes)
    noise = [
        float((a - b) @ (a - b)) / (1 / m + 1 / n)
        for a, b, m, n in zip(gradients, gradients[1:], sizes, sizes[1:], strict=False)
    ]
    signal = [float(a @ b) for a, b in itertools.pairwise(gradients)]
    means = [0.0, 0.0]
    for at, pair in enumerate(zip(noise, signal, strict=True)):
        gain = max(1 / (at + 1), 1 / 4)
        means = [mean + gain * (value - mean) for mean, value in zip(means, pair, strict=True)]
    values = _read(NoiseScale(memory=4.0), gradients, sizes)
    assert values["noise_scale_examples"] == pytest.approx(means[0] / means[1])
    assert values["update_examples"] == 4.0


def test_pure_noise_gives_a_scale_that_is_at_least_large():
    sizes = [32] * 300
    values = _read(NoiseScale(memory=50.0), _noisy(np.zeros(400), 1.0, sizes), sizes)
    assert 32 * 5 < values["noise_scale_examples"] < math.inf


def test_it_is_silent_until_it_knows_enough():
    monitor = NoiseScale(memory=10.0)
    sizes = [8] * 11
    gradients = _noisy(np.ones(3), 0.1, sizes)
    assert _read(monitor, gradients[:10], sizes[:10]) == {}
    assert set(_read(NoiseScale(memory=10.0), gradients, sizes)) == {
        "noise_scale_examples",
        "update_examples",
    }


def test_it_is_silent_where_no_product_is_known_and_where_all_is_zero():
    assert _read(NoiseScale(memory=1.0), [np.zeros(2)] * 5, [8] * 5) == {}
    monitor = NoiseScale(memory=1.0)
    for step in range(1, 5):
        glimpse = Glimpse(
            step=step,
            loss=1.0,
            examples=8,
            elapsed_seconds=0.0,
            gradient_norm=1.0,
            learning_rate=0.1,
        )
        assert monitor.read(glimpse) == {}


def test_steps_that_do_not_follow_each_other_are_no_pair():
    monitor, twin = NoiseScale(memory=2.0), NoiseScale(memory=2.0)
    gradients, sizes = [np.array([1.0, 0.5])] * 4, [8] * 4
    expected = _read(twin, gradients, sizes)
    assert _read(monitor, gradients, sizes) == expected
    far = Glimpse(
        step=90,
        loss=1.0,
        examples=8,
        elapsed_seconds=0.0,
        gradient_norm=50.0,
        learning_rate=0.1,
        gradient_product=-7.0,
    )
    assert monitor.read(far) == expected


@pytest.mark.parametrize("broken", [math.nan, math.inf, 1e200])
def test_gradients_that_are_not_finite_are_left_out(broken):
    monitor, sizes = NoiseScale(memory=2.0), [8] * 5
    gradients = [np.array([1.0, 0.5]) + 0.1 * step for step in range(5)]
    _read(monitor, gradients, sizes)
    with np.errstate(all="ignore"):
        hurt = _read(monitor, [gradients[0], gradients[0] * broken, gradients[1]], [8] * 3, begin=6)
    assert all(math.isfinite(value) for value in hurt.values())
    well = _read(monitor, gradients, sizes, begin=9)
    assert math.isfinite(well["noise_scale_examples"])


def test_it_goes_on_the_same_after_json():
    sizes = [8] * 40
    gradients = _noisy(np.ones(5), 1.0, sizes)
    monitor, other = NoiseScale(memory=5.0), NoiseScale(memory=5.0)
    _read(monitor, gradients[:20], sizes[:20])
    other.load_state_dict(json.loads(json.dumps(monitor.state_dict())))
    rest = gradients[20:], sizes[20:]
    assert _read(monitor, *rest, begin=21) == _read(other, *rest, begin=21)


@pytest.mark.parametrize("memory", [0.5, -1.0, float("nan"), float("inf")])
def test_a_memory_of_less_than_a_step_is_refused(memory):
    with pytest.raises(SettingError, match="memory must be at least 1 step"):
        NoiseScale(memory=memory)
