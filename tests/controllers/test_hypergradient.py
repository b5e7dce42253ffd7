"""The hypergradient: its factor beside a slow twin, and what it does in a training."""

from __future__ import annotations

import math
import random

import pytest
import torch

from paceline.controllers.hypergradient import Hypergradient
from paceline.core.errors import SettingError
from paceline.core.readings import Reading
from paceline.train.pacer import Pacer


def rates(controller: Hypergradient, cosines: list[float], *, end: int = 0) -> list[float]:
    """The rates under a loss that falls evenly."""
    found = []
    for step, cosine in enumerate(cosines):
        values = {"loss": 1000.0 - step, "gradient_alignment": cosine}
        progress = step / end if end else 0.0
        heard = Reading(step=step, progress=progress, total_steps=end or None, values=values)
        choice = controller.decide(heard)
        controller.learn(heard, choice, heard)
        assert choice.learning_rate is not None
        found.append(choice.learning_rate)
    return found


def test_the_rate_is_the_product_of_the_factors_of_each_step():
    draw = random.Random(0)
    cosines = [draw.uniform(-1, 1) for _ in range(200)]
    found = rates(Hypergradient(0.1, strength=0.15, decay=False), cosines)
    rate = 0.1
    for action in range(9, 200, 9):
        for step in range(action - 8, action):
            rate *= 1 + 0.15 * cosines[step]
        assert found[action] == pytest.approx(rate)


def test_the_rate_is_left_alone_where_no_alignment_is_known():
    assert set(rates(Hypergradient(0.1, decay=False), [math.nan] * 50)) == {0.1}


def test_an_alignment_beyond_one_counts_as_one():
    found = rates(Hypergradient(0.1, strength=0.9, decay=False), [-1.0000001] * 12)
    assert found[-1] == pytest.approx(0.1 / 5)


def test_after_its_share_of_the_budget_the_rate_is_left_alone():
    found = rates(Hypergradient(0.1, until=0.3, decay=False), [0.5] * 200, end=200)
    assert found[53] < found[54] == found[-1]


@pytest.mark.parametrize(
    ("setting", "value"), [("strength", 0.0), ("strength", 1.0), ("until", 0.0), ("until", 1.1)]
)
def test_a_setting_out_of_range_is_named(setting, value):
    with pytest.raises(SettingError, match=setting):
        Hypergradient(0.1, **{setting: value})


@pytest.mark.parametrize("rate", [1e-5, 100.0])
def test_a_rate_far_off_becomes_a_good_one_in_a_users_own_loop(rate):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(20))
    optimizer = torch.optim.SGD([weight], lr=rate)
    before = float(weight.detach().square().mean())
    pacer = Pacer(optimizer, total_steps=200, controller=Hypergradient(rate), beside=())
    while not pacer.done:
        optimizer.zero_grad()
        loss = weight.square().mean()
        loss.backward()
        pacer.step(loss)
    assert float(weight.detach().square().mean()) < 1e-2 * before
