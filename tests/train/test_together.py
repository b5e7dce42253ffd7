"""In calm stretches several steps are decided and told together, and nothing else changes."""

from __future__ import annotations

import copy
import itertools
import json
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from paceline import Pacer
from paceline.core.clock import ManualClock
from paceline.core.errors import BudgetError, SettingError
from paceline.train import pace as pace_module

STEPS = 300


@pytest.fixture
def singly(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each step is decided and told by itself."""

    def switch(on: bool) -> None:
        monkeypatch.setattr(pace_module, "MOST_TOGETHER", 1 if on else 16)

    return switch


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    chance = torch.Generator().manual_seed(1)
    drawn = torch.randn(40, 32, 8, generator=chance)
    noise = 0.1 * torch.randn(40, 32, 1, generator=chance)
    for at in itertools.count():
        x = drawn[at % 40]
        yield x, x[:, :1] - x[:, 1:2] + noise[at % 40]


def made(controller: str = "linear", **given: Any) -> tuple[nn.Module, Pacer]:
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    budget = {} if {"deadline", "total_steps"} & given.keys() else {"total_steps": STEPS}
    return network, Pacer(optimizer, modules=network, controller=controller, **budget, **given)


def step(network: nn.Module, pacer: Pacer, batch: Any, spoil: float = 1.0) -> None:
    pacer.optimizer.zero_grad()
    loss = mse_loss(network(batch[0]), batch[1]) * spoil
    loss.backward()
    pacer.step(loss)


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in network.parameters()])


def run(network: nn.Module, pacer: Pacer, steps: int = STEPS, first: int = 0) -> list[float]:
    rates = []
    for batch in itertools.islice(batches(), first, first + steps):
        rates.append(pacer.learning_rate)
        step(network, pacer, batch)
    return rates


def told(pacer: Pacer) -> int:
    """Counts how often the controllers learn."""
    count = 0
    learn = pacer._pace.learn

    def counting(outcome: Any) -> None:
        nonlocal count
        count += 1
        learn(outcome)
        pacer.learnt = count  # type: ignore[attr-defined]

    pacer._pace.learn = counting  # type: ignore[method-assign]
    return count


@pytest.mark.parametrize("controller", ["linear", "cosine", "probe", "one_cycle", "constant"])
def test_rates_and_weights_are_those_of_steps_that_are_told_singly(
    controller: str, singly: Any
) -> None:
    ends = []
    for alone in (True, False):
        singly(alone)
        network, pacer = made(controller)
        ends.append((run(network, pacer), weights(network)))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-12)
    assert torch.allclose(ends[0][1], ends[1][1], rtol=1e-9, atol=1e-12)


def test_a_calm_run_is_told_a_tenth_as_often() -> None:
    network, pacer = made()
    told(pacer)
    run(network, pacer)
    assert pacer.learnt < STEPS / 3  # type: ignore[attr-defined]
    assert pacer._pace.values["loss_smooth"] < 1


def test_at_the_end_of_the_budget_all_is_told() -> None:
    network, pacer = made()
    run(network, pacer)
    assert pacer.done and not pacer._pace.goes_on
    with pytest.raises(BudgetError):
        run(network, pacer, 1)


@pytest.mark.parametrize("at", range(120, 140, 3))
@pytest.mark.parametrize("controller", ["linear", "probe"])
def test_a_run_resumed_in_the_midst_of_such_steps_ends_with_the_same_bits(
    at: int, controller: str
) -> None:
    whole, alone = made(controller)
    run(whole, alone)
    network, pacer = made(controller)
    run(network, pacer, at)
    kept = copy.deepcopy((network.state_dict(), pacer.optimizer.state_dict(), pacer.state_dict()))
    kept[2]["pace"]["losses"] = json.loads(json.dumps(kept[2]["pace"]["losses"]))
    network, pacer = made(controller)
    network.load_state_dict(kept[0])
    pacer.optimizer.load_state_dict(kept[1])
    pacer.load_state_dict(kept[2])
    assert pacer._pace.left == kept[2]["pace"]["left"]
    run(network, pacer, STEPS - at, at)
    assert torch.equal(weights(whole), weights(network))
    assert pacer._pace.values["loss_smooth"] == alone._pace.values["loss_smooth"]


def test_some_of_those_places_are_in_the_midst() -> None:
    network, pacer = made()
    midst = []
    for batch in itertools.islice(batches(), STEPS):
        step(network, pacer, batch)
        midst.append(pacer._pace.goes_on)
    assert sum(midst[120:140:3]) >= 4


@pytest.mark.parametrize("spoil", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_told_at_once_and_not_applied(spoil: float) -> None:
    network, pacer = made()
    run(network, pacer, 125)
    assert pacer._pace.goes_on
    before = weights(network)
    step(network, pacer, next(batches()), spoil)
    assert torch.equal(weights(network), before)
    assert not pacer._pace.goes_on
    assert pacer._pace.values["skipped_steps"] == 1.0


def test_a_small_gradient_that_is_not_finite_is_not_applied_either() -> None:
    network, pacer = made()
    run(network, pacer, 125)
    before = weights(network)
    x, y = next(batches())
    pacer.optimizer.zero_grad()
    loss = mse_loss(network(x), y)
    loss.backward()
    network[0].bias.grad[3] = math.nan
    pacer.step(loss)
    assert torch.equal(weights(network), before)
    assert pacer._pace.values["skipped_steps"] == 1.0


def test_a_loss_that_stands_out_is_told_at_once() -> None:
    network, pacer = made()
    run(network, pacer, 125)
    assert pacer._pace.goes_on
    step(network, pacer, next(batches()), 1e4)
    assert not pacer._pace.goes_on
    assert pacer._pace.values["loss"] > 1


def test_misuse_is_refused_in_the_midst_too() -> None:
    network, pacer = made()
    run(network, pacer, 125)
    loss = mse_loss(network(torch.ones(3, 8)), torch.ones(3, 1))
    loss.backward()
    pacer.step(loss)
    with pytest.raises(SettingError, match="called twice"):
        pacer.step(loss)
    with pytest.raises(SettingError, match="got float"):
        pacer.step(1.0)  # type: ignore[arg-type]
    pacer.optimizer.zero_grad()
    with pytest.raises(SettingError, match=r"call loss\.backward"):
        pacer.step(network(torch.ones(3, 8)).mean())
    assert pacer.step_count == 126


def test_a_rate_that_someone_else_sets_in_the_midst_is_followed() -> None:
    network, pacer = made("constant")
    run(network, pacer, 125)
    pacer.optimizer.param_groups[0]["lr"] = 0.002
    with pytest.warns(UserWarning, match="by someone else at step 125"):
        run(network, pacer, 1)
    assert pacer.learning_rate == pytest.approx(0.002)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(network, pacer, 100)


def test_a_validation_is_heard_by_the_next_step_but_one() -> None:
    network, pacer = made(beside=("guard", "early_stopping"))
    run(network, pacer, 125)
    pacer.validated(0.5)
    run(network, pacer, 1)
    assert not pacer._pace.goes_on
    stopping = pacer._pace._controllers[-1]
    assert stopping.state_dict()["heard"] == 1


def test_watching_or_another_budget_tells_what_waited() -> None:
    for change in (lambda p: p.watch(), lambda p: p.extend(total_steps=400)):
        network, pacer = made()
        run(network, pacer, 125)
        heard = pacer._pace._controllers[-1].state_dict()["watch"]["seen"]
        change(pacer)
        assert pacer._pace._controllers[-1].state_dict()["watch"]["seen"] > heard
        run(network, pacer, 20, 125)
        assert pacer.step_count == 145


def test_a_deadline_is_kept_in_the_midst_of_such_steps() -> None:
    clock = ManualClock()
    network, pacer = made(deadline=10.0, clock=clock)
    rates = []
    for batch in batches():
        clock.advance(0.01)
        rates.append(pacer.learning_rate)
        step(network, pacer, batch)
        if pacer.done:
            break
    assert 998 <= pacer.step_count <= 1001
    assert rates[500] == pytest.approx(0.01 * 0.5 / 0.95, rel=0.05)
    with pytest.raises(BudgetError):
        step(network, pacer, next(batches()))


def test_a_monitor_that_reads_step_by_step_is_shown_each() -> None:
    network, pacer = made()
    pacer._pace._together = False
    told(pacer)
    run(network, pacer, 200)
    assert pacer.learnt == 200  # type: ignore[attr-defined]
