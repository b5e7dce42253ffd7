from __future__ import annotations

import json
import math
import random

import pytest

from paceline.controllers.early_stopping import EarlyStopping, mann_kendall
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer


def _hear(
    stopping: EarlyStopping, count: int, loss: float, total: int | None = None, shifts: int = 0
) -> Steer:
    heard = Reading(
        step=10 * count,
        progress=0.0 if total is None else count / total,
        total_steps=None if total is None else 10 * total,
        values={"validation_loss": loss, "validations": float(count), "shifts": float(shifts)},
    )
    stopping.learn(heard, stopping.decide(heard), heard)
    return stopping.decide(heard)


def _stopped_at(stopping: EarlyStopping, losses: list[float], **given: int) -> int | None:
    for count, loss in enumerate(losses, start=1):
        if _hear(stopping, count, loss, **given).stop:
            return count
    return None


def _noisy(curve, count: int, noise: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [curve(at) + chance.gauss(0, noise) for at in range(count)]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_a_flat_loss_is_stopped_soon_after_it_became_flat(seed, scale):
    losses = _noisy(lambda at: 2 * math.exp(-at / 4), 80, 0.01, seed)
    stopped = _stopped_at(EarlyStopping(0.1), [scale * (loss - 5) for loss in losses])
    assert stopped is not None
    assert 20 <= stopped <= 60


@pytest.mark.parametrize("seed", range(5))
def test_a_rising_loss_is_stopped(seed):
    losses = _noisy(lambda at: abs(at - 20) / 20, 80, 0.01, seed)
    assert 28 <= (_stopped_at(EarlyStopping(0.1), losses) or 0) <= 34


@pytest.mark.parametrize("seed", range(5))
def test_a_slow_descent_under_its_noise_is_not_stopped(seed):
    losses = _noisy(lambda at: 1 - at / 100, 100, 0.012, seed)
    assert _stopped_at(EarlyStopping(0.1), losses) is None


def test_a_single_lucky_validation_does_not_hide_a_plateau():
    losses = _noisy(lambda at: 1.0, 30, 0.01, 3)
    losses[12] = 0.97
    assert (_stopped_at(EarlyStopping(0.1), losses) or 99) <= 25


def test_the_reason_gives_numbers():
    stopping = EarlyStopping(0.1, patience=3)
    for count, loss in enumerate([3.0, 2.0, 1.5, 1.52, 1.49, 1.51, 1.5], start=1):
        steer = _hear(stopping, count, loss)
    assert steer.stop
    assert steer.reason.startswith("plateau: for 4 validations none was under 1.5 by more than")
    assert steer.reason.endswith("the best was 1.49")


def test_in_the_first_half_of_a_budget_it_never_stops():
    losses = [1.0] * 100
    assert _stopped_at(EarlyStopping(0.1), losses, total=100) == 50
    assert _stopped_at(EarlyStopping(0.1, after=0.0), losses, total=100) == 9
    assert _stopped_at(EarlyStopping(0.1), losses) == 9


def test_whatever_the_trend_says_it_stops_after_the_most():
    losses = [1.0] + [3.0 - at / 1000 for at in range(200)]
    assert _stopped_at(EarlyStopping(0.1, most=60), losses) == 61


def test_losses_that_are_not_finite_are_no_improvement():
    losses = [2.0, 1.0, 0.5, *([math.nan, math.inf] * 10)]
    assert _stopped_at(EarlyStopping(0.1), losses) == 11
    assert _stopped_at(EarlyStopping(0.1), [math.nan] * 30) is not None


def test_a_validation_is_heard_once():
    stopping = EarlyStopping(0.1, patience=3)
    for _ in range(50):
        steer = _hear(stopping, 1, 1.0)
    assert not steer.stop
    assert stopping.state_dict()["losses"] == [1.0]


def test_changed_data_begin_a_new_count():
    stopping = EarlyStopping(0.1, patience=5)
    for count in range(1, 6):
        _hear(stopping, count, 1.0)
    for count in range(6, 11):
        assert not _hear(stopping, count, 4.0, shifts=1).stop
    assert _hear(stopping, 11, 4.0, shifts=1).stop


def test_it_sets_no_rate():
    steer = _hear(EarlyStopping(0.1), 1, 1.0)
    assert steer.learning_rate is None and steer.factor == 1.0 and steer.moves == ()


def test_it_goes_on_alike_from_a_state_that_went_through_json():
    losses = _noisy(lambda at: 2 * math.exp(-at / 4), 80, 0.01, 1)
    one, other = EarlyStopping(0.1), EarlyStopping(0.1)
    for count, loss in enumerate(losses, start=1):
        if count == 15:
            state = json.loads(json.dumps(other.state_dict()))
            other = EarlyStopping(0.1)
            other.load_state_dict(state)
        assert _hear(one, count, loss) == _hear(other, count, loss)


def _slow_mann_kendall(values: list[float]) -> float:
    score = 0
    for first in range(len(values)):
        for second in range(first + 1, len(values)):
            difference = values[second] - values[first]
            score += 0 if difference == 0 else int(math.copysign(1, difference))
    n = len(values)
    variance = n * (n - 1) * (2 * n + 5) / 18
    if score == 0 or variance == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)


@pytest.mark.parametrize("seed", range(20))
def test_the_trend_test_is_its_slow_twin(seed):
    chance = random.Random(seed)
    values = [chance.randint(0, 9) for _ in range(seed)]
    assert mann_kendall(values) == pytest.approx(_slow_mann_kendall(values))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"after": 1.5}, "after must be from 0 to 1, got 1.5"),
        ({"confidence": 0.5}, "confidence must be over 0.5 and under 1, got 0.5"),
        ({"most": 3}, "most must be at least the patience of 8, got 3"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(settings, message):
    with pytest.raises(SettingError, match=f"^{message}$"):
        EarlyStopping(0.1, **settings)
