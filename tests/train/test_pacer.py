"""The Pacer in loops of people's own: it finds a rate, resumes exactly, and refuses misuse."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from paceline import Pacer
from paceline.controllers.constant import Constant
from paceline.controllers.guard import Guard
from paceline.core.clock import ManualClock
from paceline.core.errors import BudgetError, SettingError
from paceline.core.ledger import read_ledger

STEPS = 200


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1)
    )


def data(count: int = 50, size: int = 32) -> list[tuple[torch.Tensor, torch.Tensor]]:
    chance = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, size, 8, generator=chance)
    return [(x, x[:, :1] - x[:, 1:2] + x[:, 2:3].abs()) for x in inputs]


def train(
    pacer: Pacer, network: nn.Module, batches: Iterator[Any], upto: int | None = None
) -> list[float]:
    losses = []
    for x, y in batches:
        pacer.optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        loss.backward()
        pacer.step(loss)
        losses.append(loss.item())
        if pacer.done or (upto is not None and pacer.step_count >= upto):
            break
    return losses


def latest(pacer: Pacer) -> str:
    return next(
        each.reason for each in reversed(pacer.decisions) if each.source in ("Probe", "SweepRace")
    )


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [each.detach().clone() for each in network.state_dict().values()]


@pytest.mark.parametrize("rate", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_from_any_rate_it_comes_to_a_good_one(kind: Any, rate: float) -> None:
    network = model()
    pacer = Pacer(kind(network.parameters(), lr=rate), total_steps=STEPS, modules=network)
    losses = train(pacer, network, pacer.batches(data()))
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])
    assert pacer.step_count == len(losses) == STEPS


def test_a_plain_loop_without_batches_works_too() -> None:
    network = model()
    pacer = Pacer(torch.optim.Adam(network.parameters()), total_steps=STEPS, modules=network)
    losses = train(pacer, network, itertools.cycle(data()))
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


@pytest.mark.parametrize("at", [1, 7, 20, 31, 60, 150])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_a_resumed_run_ends_with_the_same_bits(kind: Any, at: int) -> None:
    def begin() -> tuple[nn.Module, torch.optim.Optimizer, Pacer]:
        network = model()
        optimizer = kind(network.parameters(), lr=0.1)
        return network, optimizer, Pacer(optimizer, total_steps=STEPS, modules=network)

    network, optimizer, pacer = begin()
    train(pacer, network, pacer.batches(data()), upto=at)
    saved = copy.deepcopy(
        (network.state_dict(), optimizer.state_dict(), pacer.state_dict(), torch.get_rng_state())
    )
    whole, _, alone = begin()
    train(alone, whole, alone.batches(data()))

    network, optimizer, pacer = begin()
    network.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    pacer.load_state_dict(saved[2])
    torch.set_rng_state(saved[3])
    train(pacer, network, pacer.batches(data()))
    for left, right in zip(weights(whole), weights(network), strict=True):
        assert torch.equal(left, right)


def test_two_runs_are_alike_bit_for_bit() -> None:
    ends = []
    for _ in range(2):
        network = model()
        pacer = Pacer(torch.optim.SGD(network.parameters()), total_steps=100, modules=network)
        train(pacer, network, pacer.batches(data()))
        ends.append(weights(network))
    for left, right in zip(*ends, strict=True):
        assert torch.equal(left, right)


def test_the_ratios_of_parameter_groups_are_kept() -> None:
    network = model()
    optimizer = torch.optim.SGD(
        [
            {"params": network[0].parameters(), "lr": 0.1},
            {"params": network[4].parameters(), "lr": 0.3},
        ]
    )
    pacer = Pacer(optimizer, total_steps=100, modules=network)
    for x, y in pacer.batches(data()):
        optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        loss.backward()
        pacer.step(loss)
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(3 * first)


@pytest.mark.parametrize(
    "options", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"capturable": False}]
)
def test_every_implementation_of_an_optimizer_works(options: dict[str, bool]) -> None:
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), **options)
    pacer = Pacer(optimizer, total_steps=80, modules=network)
    losses = train(pacer, network, pacer.batches(data()))
    assert losses[-1] < losses[0]


def test_a_rate_that_is_a_tensor_is_set_in_place() -> None:
    network = model()
    rate = torch.tensor(0.01)
    pacer = Pacer(torch.optim.Adam(network.parameters(), lr=rate), total_steps=80, modules=network)
    train(pacer, network, pacer.batches(data()), upto=70)
    assert pacer.optimizer.param_groups[0]["lr"] is rate
    assert rate.item() != pytest.approx(0.01)


def test_bfloat16_models_are_paced() -> None:
    network = nn.Linear(8, 1).to(torch.bfloat16)
    pacer = Pacer(torch.optim.SGD(network.parameters()), total_steps=80, modules=network)
    batches = [(x.bfloat16(), y.bfloat16()) for x, y in data()]
    losses = train(pacer, network, pacer.batches(batches))
    assert all(map(math.isfinite, losses))


def test_a_step_that_the_scaler_skips_is_not_counted() -> None:
    network = model()
    optimizer = torch.optim.SGD(network.parameters())
    pacer = Pacer(optimizer, total_steps=60, modules=network)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    calls = 0
    for x, y in pacer.batches(data()):
        optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        scaler.scale(loss).backward()
        pacer.step(loss, scaler)
        calls += 1
    assert pacer.step_count == 60
    assert calls > 60
    assert all(torch.isfinite(each).all() for each in network.parameters())


def test_accumulation_steps_once_an_update_and_replays_whole_updates() -> None:
    network = model()
    optimizer = torch.optim.SGD(network.parameters())
    pacer = Pacer(optimizer, total_steps=100, modules=network, controller="sweep_race")
    seen: dict[str, list[float]] = {}
    losses = []
    for at, (x, y) in enumerate(pacer.batches(data())):
        loss = mse_loss(network(x), y) / 2
        loss.backward()
        seen.setdefault(latest(pacer), []).append(x[0, 0].item())
        if at % 2:
            pacer.step(loss)
            optimizer.zero_grad()
            losses.append(loss.item())
    forks = [each for reason, each in seen.items() if reason.startswith("race")]
    assert len(losses) == 100
    assert len(forks) >= 2
    assert forks[0][:8] == forks[1][:8]
    assert len(set(forks[0][:8])) == 8


def test_trials_are_given_the_same_batches() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()),
        total_steps=STEPS,
        modules=network,
        controller="sweep_race",
    )
    swept = set()
    for x, y in pacer.batches(data()):
        pacer.optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        loss.backward()
        if latest(pacer).startswith("range sweep"):
            swept.add(x[0, 0].item())
        pacer.step(loss)
    assert len(swept) == 1


def test_a_deadline_ends_the_run_in_time_and_lets_the_rate_fall() -> None:
    network, clock = model(), ManualClock()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()), deadline=10.0, modules=network, clock=clock
    )
    rates = []
    for x, y in pacer.batches(data()):
        pacer.optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        loss.backward()
        clock.advance(0.05)
        pacer.step(loss)
        rates.append(pacer.learning_rate)
    assert 199 <= pacer.step_count <= 201
    assert rates[-2] < 0.1 * max(rates[60:])


def test_without_an_end_an_average_is_good_at_any_moment() -> None:
    network = model()
    pacer = Pacer(torch.optim.SGD(network.parameters()), modules=network)
    train(pacer, network, pacer.batches(data()), upto=400)
    own = weights(network)
    with pacer.averaged():
        averaged = weights(network)
    assert any(not torch.equal(a, b) for a, b in zip(own, averaged, strict=True))
    for left, right in zip(own, weights(network), strict=True):
        assert torch.equal(left, right)


def test_with_a_budget_averaged_changes_nothing() -> None:
    network = model()
    pacer = Pacer(torch.optim.SGD(network.parameters()), total_steps=10, modules=network)
    own = weights(network)
    with pacer.averaged():
        assert all(torch.equal(a, b) for a, b in zip(own, weights(network), strict=True))


def test_watching_changes_nothing_and_tells_what_it_would_have_done() -> None:
    ends = []
    for watched in (True, False):
        network = model()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        pacer = Pacer(optimizer, total_steps=100, modules=network).watch()
        torch.manual_seed(3)
        for x, y in itertools.islice(itertools.cycle(data()), 100):
            optimizer.zero_grad()
            loss = mse_loss(network(x), y)
            loss.backward()
            if watched:
                pacer.step(loss)
            else:
                optimizer.step()
        ends.append(weights(network))
        if watched:
            assert "would have" in pacer.explain()
            assert optimizer.param_groups[0]["lr"] == 0.05
    for left, right in zip(*ends, strict=True):
        assert torch.equal(left, right)


def test_a_rate_that_someone_else_sets_is_followed_and_told() -> None:
    network = model()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    pacer = Pacer(optimizer, total_steps=100, modules=network, controller="constant")
    batches = pacer.batches(data())
    train(pacer, network, batches, upto=5)
    optimizer.param_groups[0]["lr"] = 0.02
    with pytest.warns(UserWarning, match=r"changed to 0\.02 by someone else at step 5"):
        train(pacer, network, batches, upto=6)
    assert pacer.learning_rate == pytest.approx(0.02)


def test_a_batch_that_is_not_finite_leaves_no_trace_in_the_weights() -> None:
    network = model()
    pacer = Pacer(torch.optim.Adam(network.parameters()), total_steps=STEPS, modules=network)
    batches = data()
    batches[30] = (batches[30][0] * math.nan, batches[30][1])
    losses = train(pacer, network, pacer.batches(batches))
    assert all(torch.isfinite(each).all() for each in network.state_dict().values())
    assert math.isfinite(losses[-1])


def test_a_gradient_that_is_not_finite_is_not_applied() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()),
        total_steps=50,
        modules=network,
        controller="constant",
    )
    before = weights(network)
    loss = mse_loss(network(data()[0][0]), data()[0][1])
    loss.backward()
    network[0].weight.grad[0, 0] = math.inf
    pacer.step(loss)
    assert torch.equal(network[0].weight, before[0])


def test_the_best_state_that_was_told_comes_back() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()),
        total_steps=50,
        modules=network,
        controller="constant",
    )
    pacer.validated(1.0)
    kept = weights(network)
    train(pacer, network, pacer.batches(data()), upto=10)
    pacer.validated(2.0)
    pacer.restore_best()
    assert torch.equal(weights(network)[0], kept[0])


def test_decisions_go_into_a_ledger_that_why_can_read(own_directory: Any) -> None:
    network, path = model(), own_directory / "ledger.sqlite"
    pacer = Pacer(
        torch.optim.SGD(network.parameters()), total_steps=STEPS, modules=network, ledger=path
    )
    train(pacer, network, pacer.batches(data()))
    told = [entry.detail["reason"] for entry in read_ledger(path, kind="decision")]
    assert [each.reason for each in pacer.decisions] == told
    assert any("measures" in reason for reason in told)
    assert all(len(line) > 10 for line in pacer.explain().splitlines())


def test_a_budget_of_twenty_steps_is_enough() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters(), lr=0.05), total_steps=20, modules=network, beside=()
    )
    rates = []
    for x, y in pacer.batches(data()):
        pacer.optimizer.zero_grad()
        loss = mse_loss(network(x), y)
        loss.backward()
        pacer.step(loss)
        rates.append(pacer.learning_rate)
    assert rates[-2] < 0.2 * max(rates)


def test_without_memory_there_are_no_trials() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters(), lr=0.05),
        total_steps=100,
        modules=network,
        memory="off",
    )
    losses = train(pacer, network, pacer.batches(data()))
    assert losses[-1] < losses[0]
    assert not any("race" in each.reason for each in pacer.decisions)


def test_after_the_end_it_says_how_to_go_on_and_goes_on() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()), total_steps=5, modules=network, controller="linear"
    )
    train(pacer, network, pacer.batches(data()))
    loss = mse_loss(network(data()[0][0]), data()[0][1])
    loss.backward()
    with pytest.raises(BudgetError, match=r"pacer\.extend"):
        pacer.step(loss)
    pacer.extend(total_steps=10)
    train(pacer, network, pacer.batches(data()))
    assert pacer.step_count == 10


def simple() -> tuple[nn.Module, Pacer]:
    network = nn.Linear(8, 1)
    return network, Pacer(torch.optim.SGD(network.parameters()), total_steps=9, modules=network)


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    network, pacer = simple()
    loss = network(torch.ones(3, 8))
    loss.sum().backward()
    with pytest.raises(SettingError, match=r"one element, got \(3, 1\)"):
        pacer.step(loss)
    with pytest.raises(SettingError, match="got float"):
        pacer.step(1.0)  # type: ignore[arg-type]


def test_a_loss_without_a_graph_is_refused() -> None:
    _, pacer = simple()
    with pytest.raises(SettingError, match="has no graph"):
        pacer.step(torch.tensor(1.0))


def test_a_forgotten_backward_is_named() -> None:
    network, pacer = simple()
    with pytest.raises(SettingError, match=r"call loss\.backward\(\) before"):
        pacer.step(network(torch.ones(3, 8)).mean())


def test_step_twice_for_one_loss_is_refused() -> None:
    network, pacer = simple()
    loss = network(torch.ones(3, 8)).mean()
    loss.backward()
    pacer.step(loss)
    with pytest.raises(SettingError, match="called twice"):
        pacer.step(loss)


def test_optimizers_that_cannot_be_paced_are_refused() -> None:
    network = nn.Linear(2, 1)
    with pytest.raises(SettingError, match="closure"):
        Pacer(torch.optim.LBFGS(network.parameters()), total_steps=3)
    with pytest.raises(SettingError, match="got Linear"):
        Pacer(network, total_steps=3)  # type: ignore[arg-type]
    network.requires_grad_(False)
    with pytest.raises(SettingError, match="frozen"):
        Pacer(torch.optim.SGD(network.parameters()), total_steps=3)
    empty = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    empty.param_groups[0]["params"] = []
    with pytest.raises(SettingError, match="has no parameters"):
        Pacer(empty, total_steps=3)


@pytest.mark.parametrize(
    "budget",
    [{"total_steps": 0}, {"total_steps": -3}, {"deadline": 0.0}, {"deadline": math.nan},
     {"deadline": math.inf}, {"total_steps": 3, "deadline": 3.0}],
)  # fmt: skip
def test_budgets_that_are_none_are_refused(budget: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Pacer(torch.optim.SGD(nn.Linear(2, 1).parameters()), **budget)


def test_an_unknown_controller_names_the_nearest() -> None:
    with pytest.raises(SettingError, match="did you mean 'cosine'"):
        Pacer(torch.optim.SGD(nn.Linear(2, 1).parameters()), total_steps=3, controller="cosin")


def test_controllers_can_be_given_built() -> None:
    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()), total_steps=30, modules=network,
        controller=Constant(0.01), beside=(Guard(0.01),),
    )  # fmt: skip
    train(pacer, network, pacer.batches(data()))
    assert pacer.learning_rate == pytest.approx(0.01)


def test_two_pacers_work_in_one_loop() -> None:
    left, right = model(), model()
    pacers = [
        Pacer(torch.optim.Adam(each.parameters()), total_steps=100, modules=each)
        for each in (left, right)
    ]
    for x, y in itertools.cycle(data()):
        for pacer, network in zip(pacers, (left, right), strict=True):
            pacer.optimizer.zero_grad()
            loss = mse_loss(network(x), y)
            loss.backward()
            pacer.step(loss)
        if pacers[0].done:
            break
    assert all(pacer.step_count == 100 for pacer in pacers)


def test_a_batch_size_that_is_asked_for_can_be_read() -> None:
    class Asks(Constant):  # type: ignore[misc] # final for people, not for tests
        def decide(self, seen: Any) -> Any:
            return replace(super().decide(seen), batch_size=64 if seen.step >= 3 else None)

    network = model()
    pacer = Pacer(
        torch.optim.SGD(network.parameters()), total_steps=9, modules=network,
        controller=Asks(0.01),
    )  # fmt: skip
    assert pacer.batch_size is None
    train(pacer, network, pacer.batches(data()), upto=3)
    assert pacer.batch_size == 64


def test_a_compiled_model_is_paced() -> None:
    network = model()
    compiled = torch.compile(network, backend="eager")
    pacer = Pacer(torch.optim.SGD(network.parameters()), total_steps=80, modules=network)
    losses = train(pacer, compiled, pacer.batches(data()))
    assert losses[-1] < losses[0]
