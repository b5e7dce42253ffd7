from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.controllers.base.guard_memory import GuardMemory
from paceline.controllers.base.loss_watch import LossWatch
from paceline.controllers.base.skips import Skips
from paceline.controllers.base.stall import Stall

GIVEN = {"frac": 0.15, "deviations": 3.0}


def _losses(seed: int, count: int) -> list[float]:
    chance = random.Random(seed)
    return [2 * math.exp(-at / 30) + chance.gauss(0, 0.05) for at in range(count)]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("offset", [-50.0, 0.0, 50.0])
def test_a_loss_is_lost_at_the_same_step_whatever_its_unit(scale, offset):
    losses = [*_losses(0, 120), *[1.5] * 20]
    found = []
    for change in (lambda loss: loss, lambda loss: scale * (loss + offset)):
        watch = LossWatch()
        lost = []
        for step, loss in enumerate(losses):
            watch.hear(change(loss), **GIVEN)
            if watch.is_lost(**GIVEN):
                lost.append(step)
        found.append(lost[0])
    assert found[0] == found[1]
    assert 120 <= found[0] <= 128


@pytest.mark.parametrize("seed", range(5))
def test_average_and_deviation_of_a_calm_loss_are_those_of_a_slow_twin(seed):
    losses, watch = _losses(seed, 200), LossWatch()
    average = losses[0]
    for at, loss in enumerate(losses):
        watch.hear(loss, **GIVEN)
        average = average if at == 0 else 0.9 * average + 0.1 * loss
    assert watch.average == pytest.approx(average)
    assert watch.deviation == pytest.approx(0.04, abs=0.025)
    assert watch.gain == pytest.approx(2.0, abs=0.3)


def test_one_wild_loss_does_not_make_a_loss_lost_and_three_do():
    watch = LossWatch()
    for loss in _losses(1, 150):
        watch.hear(loss, **GIVEN)
    watch.hear(1e9, **GIVEN)
    assert not watch.is_lost(**GIVEN)
    for _ in range(3):
        watch.hear(1e9, **GIVEN)
    assert watch.is_lost(**GIVEN)


def test_a_loss_that_triples_at_once_is_lost_before_there_is_any_progress():
    watch = LossWatch()
    for loss in [1.0, 1.0, 1.0, *[200.0] * 60]:
        watch.hear(loss, **GIVEN)
    assert watch.is_lost(**GIVEN)


def test_after_another_state_came_nothing_is_lost_until_it_is_known():
    watch = LossWatch()
    for loss in _losses(2, 100):
        watch.hear(loss, **GIVEN)
    watch.rebase()
    for _ in range(30):
        watch.hear(1.9, **GIVEN)
        assert not watch.is_lost(**GIVEN)


def test_settled_it_stands_at_its_best_or_where_it_began():
    watch = LossWatch()
    watch.hear(3.0, **GIVEN)
    assert watch.settle() == 3.0
    for loss in _losses(3, 100):
        watch.hear(loss, **GIVEN)
    assert watch.settle() == watch.average == watch.best


def test_a_stall_is_ten_zeros_or_a_long_faint_gradient():
    zero, faint = Stall(), Stall()
    heard = [zero.hear(norm, horizon=1000) for norm in [1.0, *[0.0] * 12, 1.0]]
    assert heard.index(True) == 10 and sum(heard) == 1 and not zero.stalled
    heard = [faint.hear(norm, horizon=1000) for norm in [1.0, *[1e-9] * 60]]
    assert heard.index(True) == 50
    unknown = Stall()
    assert not any(unknown.hear(norm, horizon=10) for norm in [math.nan, math.inf] * 20)


def test_skips_without_counts_are_nobodys():
    skips = Skips()
    assert skips.hear({}) == (False, False)
    assert skips.hear({"skipped_steps": 3.0}) == (True, False)
    assert skips.hear({"skipped_steps": 3.0}) == (False, False)
    assert skips.hear({"skipped_steps": 3.0, "scaler_skips": 1.0}) == (False, True)


def test_a_memory_falls_back_once_and_goes_through_json():
    memory = GuardMemory()
    assert not memory.fall_back()
    memory.kept(step=1, loss=0.5)
    memory.kept(step=2, loss=0.4)
    first = memory.restore
    assert memory.fall_back()
    assert (memory.kept_at, memory.kept_loss) == (1, 0.5)
    assert memory.restore != first and not memory.fall_back()
    memory.watch.hear(1.0, **GIVEN)
    again = GuardMemory.of(json.loads(json.dumps(memory.state_dict())))
    assert again.watch.average == 1.0 and again.restore == memory.restore


def _slowly(watch: LossWatch, loss: float) -> None:
    """One loss after the tenth, by the equations."""
    away = abs(loss - watch.average)
    clipped = min(away, 3 * watch.deviation) if watch.deviation > 0 else away
    watch.deviation = 0.95 * watch.deviation + 0.05 * clipped
    most = watch.bearable(**GIVEN)
    watch.average = 0.9 * watch.average + (1 - 0.9) * min(loss, watch.average + 5 * most)
    watch.best = min(watch.best, watch.average)
    watch.seen += 1


def test_losses_heard_together_count_as_if_heard_one_by_one():
    together, slow = LossWatch(), LossWatch()
    losses = [*_losses(0, 60), 9.0, *_losses(1, 40)]
    for watch in (together, slow):
        for loss in losses[:12]:
            watch.hear(loss, **GIVEN)
    together.hear_more(losses[12:], **GIVEN)
    for loss in losses[12:]:
        _slowly(slow, loss)
    assert together == slow


@given(st.integers(0, 999), st.integers(20, 200), st.floats(0.0, 1.0), st.floats(0.01, 1.0))
def test_under_the_quiet_loss_fifteen_more_never_lose_it(seed, count, share, noise):
    chance = random.Random(seed)
    watch = LossWatch()
    for at in range(count):
        watch.hear(2 * math.exp(-at / 30) + chance.gauss(0, noise), **GIVEN)
    quiet = watch.quiet_under(**GIVEN)
    if math.isnan(quiet):
        return
    for _ in range(15):
        low = watch.average - noise
        watch.hear(quiet if chance.random() < share else chance.uniform(low, quiet), **GIVEN)
        assert not watch.is_lost(**GIVEN)


def test_at_the_start_and_near_a_lost_loss_it_is_restless():
    watch = LossWatch()
    for at, loss in enumerate(_losses(0, 150)):
        assert at >= 20 or math.isnan(watch.quiet_under(**GIVEN))
        watch.hear(loss, **GIVEN)
    assert watch.quiet_under(**GIVEN) > watch.average
    watch.average = watch.best + watch.bearable(**GIVEN)
    assert math.isnan(watch.quiet_under(**GIVEN))
