"""Data that cannot move: each agent learns from examples of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import made_team as made
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import paceline
from paceline.agents.engines.local import Local
from paceline.agents.outer import Outer
from paceline.agents.scheduler import Scheduler
from paceline.agents.shards import Shards, divided, with_everybody
from paceline.agents.team import Team
from paceline.agents.writer import Bench
from paceline.core.errors import SettingError

PARTS = [torch.arange(0, 70), torch.arange(70, 100)]
RATE = 0.1


def local_sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=RATE)


def of_model(model: nn.Module) -> torch.optim.Optimizer:
    return local_sgd(model.parameters())


def _numbered(step: int) -> Any:
    return step, None


def by_hand(shards: Shards, shares: list[int], steps: int) -> tuple[Tensor, Tensor]:
    """The mean of the agents' mean gradients, weighted by the sizes of their shards."""
    setting = made.Setting()
    model = setting.model()
    optimizer = setting.optimizer(model.parameters())
    counts = torch.zeros(made.EXAMPLES, dtype=torch.int64)
    sizes = [shards.of(number).examples for number in (1, 2)]
    for step in range(steps):
        optimizer.zero_grad()
        first = 0
        for number, (share, size) in enumerate(zip(shares, sizes, strict=True), 1):
            rows = shards.of(number).rows(step)[first : first + share]
            counts += torch.bincount(rows, minlength=made.EXAMPLES)
            batch = shards.of(number).pick(rows)
            loss = setting.loss(model(*batch.inputs), batch.targets)
            (loss * size / sum(sizes)).backward()
            first += share
        optimizer.step()
    return made.everything(model), counts


@contextmanager
def sharded(setting: made.Setting, **other: Any) -> Iterator[tuple[Team, nn.Module, Shards]]:
    """Two agents with data of their own; the second one is given three times as many rows."""
    model = setting.model()
    shards = Shards(setting.feed(), PARTS, seed=5)
    work = made.workshop_of(setting, model, shards=shards, **other)
    bench = Bench(workshop=work)
    team = Team(
        model,
        work,
        bench,
        Local(work, bench.weights, bench.buffers, threads=1),
        Scheduler(agents=2, policy="fixed", settings={"shares": [1.0, 3.0]}),
        learning_rate=(lambda: RATE) if other else None,
    )
    try:
        team.start(2)
        yield team, model, shards
    finally:
        team.close()


def test_each_counts_as_much_as_its_shard_is_large_however_fast_it_is() -> None:
    setting, shares, steps = made.Setting(), [6, 18], 10
    with sharded(setting) as (team, model, shards):
        optimizer, scaler = setting.optimizer(model.parameters()), team.workshop.precision.scaler()
        for step in range(steps):
            team.gradient(partial(_numbered, step), 1, scaler, trial=False)
            optimizer.step()
        with pytest.raises(SettingError, match="agent 3 has no data of its own: there are 2"):
            team.join()
        weights, counts = by_hand(shards, shares, steps)
        assert made.apart(made.everything(model), weights) < 1e-12
        assert team.coverage.counts.tolist() == counts.tolist()


class Weighted(nn.Module):
    """A batch normalisation whose rows weigh differently, written down as it is defined."""

    def __init__(self, like: nn.BatchNorm1d) -> None:
        super().__init__()
        self.like, self.rows = like, torch.ones(0)

    def forward(self, inputs: Tensor) -> Tensor:
        like, share = self.like, (self.rows / self.rows.sum())[:, None]
        mean = (share * inputs).sum(0)
        variance = (share * (inputs - mean) ** 2).sum(0)
        normal = (inputs - mean) / (variance + like.eps).sqrt()
        with torch.no_grad():
            like.num_batches_tracked += 1
            step = like.momentum or 1 / float(like.num_batches_tracked)
            like.running_mean.lerp_(mean, step)
            like.running_var.lerp_(variance / (1 - (share**2).sum()), step)
        return normal * like.weight + like.bias if like.affine else normal


def normal() -> nn.Module:
    return nn.Sequential(
        nn.Linear(made.FEATURES, 8), nn.BatchNorm1d(8), nn.Tanh(),
        nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=None, affine=False),
        nn.Linear(8, made.CLASSES),
    )  # fmt: skip


def in_one_process(
    setting: made.Setting, shards: Shards, shares: list[int], steps: int
) -> tuple[Tensor, list[float]]:
    """One process, one batch: each row weighs what its agent's shard has for it."""
    model = setting.model()
    layers = [Weighted(each) if isinstance(each, nn.BatchNorm1d) else each for each in model]
    optimizer, losses = setting.optimizer(model.parameters()), []
    sizes = [shards.of(number).examples for number in (1, 2)]
    for step in range(steps):
        cut, parts = shares[0], [shards.of(number).rows(step) for number in (1, 2)]
        rows = torch.cat([parts[0][:cut], parts[1][cut:]])
        weights = [own / count for own, count in zip(sizes, shares, strict=True)]
        weight = torch.tensor(weights, dtype=torch.float64)
        weight = weight.repeat_interleave(torch.tensor(shares))
        for layer in layers:
            if isinstance(layer, Weighted):
                layer.rows = weight
        batch = shards.of(1).pick(rows)
        each = nn.functional.cross_entropy(
            nn.Sequential(*layers)(*batch.inputs), batch.targets, reduction="none"
        )
        loss = (weight * each).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return made.everything(model), losses


def test_batch_statistics_weigh_rows_as_the_loss_does() -> None:
    setting, shares, steps = made.Setting(make=normal), [6, 18], 10
    losses = []
    with sharded(setting) as (team, model, shards):
        optimizer, scaler = setting.optimizer(model.parameters()), team.workshop.precision.scaler()
        for step in range(steps):
            losses.append(team.gradient(partial(_numbered, step), 1, scaler, trial=False))
            optimizer.step()
        weights, wanted = in_one_process(setting, shards, shares, steps)
        assert made.apart(made.everything(model), weights) < 1e-12
        assert losses == pytest.approx(wanted, abs=1e-12)


def test_a_single_local_step_on_shards_is_the_exact_step() -> None:
    """With plain SGD the mean of what they change is a step on the weighted gradient."""
    setting, shares = made.Setting(make=normal, optimizer=local_sgd), [6, 18]
    with sharded(setting, make_optimizer=of_model) as (team, model, shards):
        team.work_on([0])
        Outer(model.parameters(), lr=RATE, outer_rate=1.0, momentum=0.0).step()
        weights, _ = in_one_process(setting, shards, shares, 1)
        assert made.apart(made.everything(model), weights) < 1e-12


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_with_everybody_nobody_is_left_out_and_the_sum_stays(counts: list[int]) -> None:
    assume(sum(counts) >= 4 * len(counts))
    shares = with_everybody(dict(enumerate(counts, 1)))
    assert sum(shares.values()) == sum(counts)
    assert min(shares.values()) >= sum(counts) // (4 * len(counts))


def test_nobody_sees_an_example_of_another() -> None:
    shards = Shards(made.Setting().feed(), PARTS, seed=0)
    for number, part in enumerate(PARTS, 1):
        seen = torch.cat([shards.of(number).rows(step) for step in range(20)])
        assert set(seen.tolist()) <= set(part.tolist())


def test_divided_parts_hold_every_example_once() -> None:
    targets = torch.tensor([2, 0, 1, 0, 2, 1, 1])
    for how in ("random", "labels"):
        parts = divided(targets, 3, how, seed=1)
        assert sorted(torch.cat(parts).tolist()) == list(range(7))
    first = divided(targets, 3, "labels", seed=1)[0]
    assert targets[first].max() <= targets.sort().values[len(first) - 1]


def test_an_agent_without_examples_is_refused() -> None:
    with pytest.raises(SettingError, match="agent 2 would have no examples"):
        Shards(made.Setting().feed(), [torch.arange(3), torch.arange(0)], seed=0)


def datasets(*sizes: int) -> list[TensorDataset]:
    chance = torch.Generator().manual_seed(0)
    return [
        TensorDataset(
            torch.randn(size, made.FEATURES, generator=chance),
            torch.arange(size) % made.CLASSES,
        )
        for size in sizes
    ]


def test_a_list_of_datasets_is_one_for_each_agent(tmp_path: Path) -> None:
    run = paceline.fit(
        datasets(120, 60),
        model=nn.Linear(made.FEATURES, made.CLASSES),
        agents=2,
        steps=10,
        out=tmp_path / "run",
    )
    assert run.facts["result"]["steps"] == 10


@pytest.mark.parametrize(
    ("agents", "why"),
    [(3, "there are 2 datasets, one for each agent, but 3 agents"), (None, "say agents=")],
)
def test_datasets_and_agents_must_be_as_many(tmp_path: Path, agents: Any, why: str) -> None:
    with pytest.raises(SettingError, match=why):
        paceline.fit(
            datasets(60, 60),
            model=nn.Linear(made.FEATURES, made.CLASSES),
            agents=agents,
            steps=1,
            out=tmp_path / "run",
        )
