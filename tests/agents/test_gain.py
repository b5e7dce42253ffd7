"""Whether losses fall more slowly with local steps: told where it is clear, and only there."""

from __future__ import annotations

import json
import math
import random

import pytest

from paceline.agents.gain import Gain


def told(gain, interval, losses):
    return [gain.take(interval, loss) for loss in losses]


def noisy(seed, start, slope, rounds, noise):
    chance = random.Random(seed)
    return [start + slope * at + chance.gauss(0, noise) for at in range(rounds)]


@pytest.mark.parametrize("seed", range(20))
def test_noise_and_a_loss_that_falls_more_slowly_with_time_are_no_harm(seed):
    gain = Gain()
    told(gain, 1, [3 / (1 + 0.05 * at) + e for at, e in enumerate(noisy(seed, 0, 0, 24, 0.05))])
    later = [3 / (1 + 0.05 * (24 + 2 * at)) for at in range(24)]
    found = told(gain, 2, [a + b for a, b in zip(later, noisy(-seed, 0, 0, 24, 0.05), strict=True)])
    assert min(found) == 1.0


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_rises_is_harm_in_spite_of_noise(seed):
    gain = Gain()
    told(gain, 1, noisy(seed, 3.0, -0.05, 24, 0.02))
    found = told(gain, 4, noisy(-seed, 1.8, 0.05, 12, 0.02))
    assert found[:7] == [1.0] * 7 and found[-1] == 0.05


def test_what_it_brings_less_is_the_ratio_of_the_slopes():
    gain = Gain()
    told(gain, 1, [9.0] * 1000 + [9.0 - 0.08 * at for at in range(24)])  # late: no flatter soon
    found = told(gain, 4, [6.0 - 0.02 * 4 * at for at in range(10)])  # a quarter, for each batch
    assert found[-1] == pytest.approx(0.25, rel=0.1)


def test_a_further_interval_is_measured_against_the_one_before():
    gain = Gain()
    told(gain, 1, [9.0] * 5000 + [9.0 - 0.08 * at for at in range(24)])
    told(gain, 2, [7.0 - 0.02 * 2 * at for at in range(10)])
    found = told(gain, 4, [6.0 - 0.008 * 4 * at for at in range(10)])
    assert found[0] == pytest.approx(0.25, rel=0.05) and found[-1] == pytest.approx(0.1, rel=0.1)


def test_exact_steps_always_count_fully():
    gain = Gain()
    told(gain, 1, [1.0] * 10)
    told(gain, 2, [1.0 + at for at in range(10)])
    assert told(gain, 1, [20.0 + at for at in range(10)]) == [1.0] * 10


def test_losses_that_are_not_finite_are_passed_over():
    gain = Gain()
    told(gain, 1, [1.0, math.nan, math.inf] * 10)
    assert told(gain, 2, [math.nan] * 30) == [1.0] * 30


def test_it_goes_on_identically_from_a_state_that_went_through_json():
    one, other = Gain(), Gain()
    told(one, 1, noisy(0, 3.0, -0.05, 20, 0.02))
    told(one, 2, noisy(1, 2.0, 0.02, 9, 0.02))
    other.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    more = noisy(2, 2.0, 0.02, 9, 0.02)
    assert told(one, 2, more) == told(other, 2, more)
