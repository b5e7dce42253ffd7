"""What the benchmarks of the agents share: teams of real processes that pretend to be slow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from paceline.agents.engines.local import Local
from paceline.agents.scheduler import Scheduler
from paceline.agents.team import Team
from paceline.agents.workshop import Workshop
from paceline.agents.writer import Bench
from paceline.data.base.batches import Order, ResidentFeed
from paceline.train.precision import Precision

EXAMPLES, FEATURES, CLASSES = 1797, 16, 10


def network(width: int = 32) -> nn.Module:
    """A small model in float64, the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(FEATURES, width), nn.Tanh(), nn.Dropout(0.1), nn.Linear(width, CLASSES)
    ).double()


def examples(batch: int, seed: int = 0) -> ResidentFeed:
    """Batches of random examples, the same at every call."""
    chance = torch.Generator().manual_seed(1)
    inputs = torch.randn(EXAMPLES, FEATURES, generator=chance, dtype=torch.float64)
    targets = torch.randint(CLASSES, (EXAMPLES,), generator=chance)
    return ResidentFeed((inputs,), targets, Order(examples=EXAMPLES, batch_size=batch, seed=seed))


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """What all of them step with."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def weights_of(model: nn.Module) -> Tensor:
    """All weights, one after the other."""
    return torch.cat([each.detach().flatten().clone() for each in model.parameters()])


@contextmanager
def team_of(model: nn.Module, rows: ResidentFeed, scheduler: Scheduler, **settings: Any) -> Any:
    """A team of local agents that are up; they go home in the end."""
    work = Workshop.of(
        model,
        loss=nn.functional.cross_entropy,
        rows=rows,
        augment=None,
        precision=Precision(name="fp32", device=torch.device("cpu"), reason="benchmark"),
        channels_last=False,
        compiles=False,
        seed=0,
    )
    bench = Bench(workshop=work)
    engine = Local(work, bench.weights, bench.buffers, threads=1)
    team = Team(model, work, bench, engine, scheduler, **settings)
    try:
        team.start(scheduler.agents)
        yield team
    finally:
        team.close()


def pace(team: Team, seconds_per_example: Sequence[float]) -> None:
    """Lets the agents pretend to need so long for an example from their next work on."""
    for number, seconds in enumerate(seconds_per_example, 1):
        if number in team.members:
            team.members[number].wire.send({"do": "pace", "seconds_per_example": seconds})


def one_process(steps: int, batch: int) -> Tensor:
    """The weights after the same steps in this process, by the same rules of chance."""
    from paceline.train.alone import Alone

    model, rows = network(), examples(batch)
    precision = Precision(name="fp32", device=torch.device("cpu"), reason="benchmark")
    work = Alone(
        network=model,
        loss=nn.functional.cross_entropy,
        parameters=list(model.parameters()),
        batch_size=batch,
        precision=precision,
        channels_last=False,
        augment=None,
        seed=0,
    )
    optimizer = optimizer_of(model)
    for number in range(steps):
        batch_of_number = rows.pick(rows.rows(number))
        work.gradient(lambda at=(number, batch_of_number): at, 1, precision.scaler(), trial=False)
        optimizer.step()
    return weights_of(model)
