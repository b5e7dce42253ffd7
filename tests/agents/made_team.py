"""Small teams of real processes, and the same training by hand, for the tests of the agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from paceline.agents.engines.local import Local
from paceline.agents.scheduler import Scheduler
from paceline.agents.team import Team
from paceline.agents.workshop import Workshop
from paceline.agents.writer import Bench
from paceline.core.readings import Steer
from paceline.data.base.batches import Numbers, Order, ResidentFeed, mixed
from paceline.train.chance import begin_batch
from paceline.train.precision import Precision
from paceline.train.update import Updater

EXAMPLES, BATCH, FEATURES, CLASSES, SEED = 100, 24, 6, 4, 3
WORDS, LENGTH = 11, 5


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES))


def dropping() -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, 8), nn.Dropout(0.3), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, CLASSES)
    )


def normalised() -> nn.Module:
    return nn.Sequential(
        nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2),
        nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=None, affine=False), nn.Linear(8, CLASSES),
    )  # fmt: skip


class Idle(nn.Module):
    """Some parameters get no gradient: one never, one is frozen, one in batches of small ones."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = plain()
        self.never = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(CLASSES), requires_grad=False)
        self.sometimes = nn.Parameter(torch.ones(CLASSES))

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.inner(inputs) * self.frozen
        large = inputs[:, :1] > 2.0
        return torch.where(large, output * self.sometimes, output) if large.any() else output


class Tied(nn.Module):
    """The embedding and the last layer are one tensor; it reads and writes tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, WORDS, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mix(self.embedding(tokens))))


class Full(nn.Module):
    """Its memory holds a few rows at once."""

    def __init__(self, most: int = 5) -> None:
        super().__init__()
        self.inner, self.most = plain(), most

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return self.inner(inputs)


def class_loss(output: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output, targets)


def token_loss(output: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output.flatten(0, 1), targets.flatten())


def noisy(inputs: tuple[Tensor, ...], chance: torch.Generator) -> tuple[Tensor, ...]:
    (features,) = inputs
    noise = torch.randn(features.shape, generator=chance, dtype=features.dtype)
    return (features + 0.1 * noise,)


def class_data() -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(1)
    inputs = torch.randn(EXAMPLES, FEATURES, generator=chance, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (EXAMPLES,), generator=chance)


def token_data() -> tuple[Tensor, Tensor]:
    """Every example has a length of its own; a few have no target at all."""
    chance = torch.Generator().manual_seed(1)
    tokens = torch.randint(WORDS, (EXAMPLES, LENGTH), generator=chance)
    targets = tokens.roll(-1, dims=1)
    lengths = torch.randint(LENGTH + 1, (EXAMPLES, 1), generator=chance)
    targets[torch.arange(LENGTH) >= lengths] = -100
    return tokens, targets


def some_ignored() -> tuple[Tensor, Tensor]:
    """One target an example, some of them missing."""
    inputs, targets = class_data()
    targets[::3] = -100
    return inputs, targets


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is trained, and how."""

    make: Callable[[], nn.Module] = plain
    data: Callable[[], tuple[Tensor, Tensor]] = class_data
    loss: Callable[[Tensor, Tensor], Tensor] = class_loss
    optimizer: Callable[[Any], torch.optim.Optimizer] = momentum
    augment: Callable[..., Any] | None = None
    accumulate: int = 1
    clip: float | None = None

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().double()

    def feed(self) -> ResidentFeed:
        inputs, targets = self.data()
        order = Order(examples=EXAMPLES, batch_size=BATCH, seed=SEED)
        return ResidentFeed((inputs,), targets, order)


def everything(model: nn.Module) -> Tensor:
    """All weights and buffers, one after the other."""
    parts = [*model.parameters(), *model.buffers()]
    return torch.cat([part.detach().double().flatten() for part in parts])


def apart(first: Tensor, second: Tensor) -> float:
    return (first - second).abs().max().item()


def by_hand(setting: Setting, steps: int) -> tuple[Tensor, list[float]]:
    """What a loop without agents learns: weights and losses."""
    model, feed = setting.model(), setting.feed()
    optimizer = setting.optimizer([each for each in model.parameters() if each.requires_grad])
    losses = []
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        numbers = range(step * setting.accumulate, (step + 1) * setting.accumulate)
        batches = [feed.pick(feed.rows(number)) for number in numbers]
        sizes = [int((batch.targets != -100).sum()) for batch in batches]
        total = 0.0
        for number, batch, size in zip(numbers, batches, sizes, strict=True):
            begin_batch(SEED, number)
            inputs = batch.inputs
            if setting.augment is not None:
                chance = torch.Generator().manual_seed(mixed(SEED, number))
                inputs = setting.augment(inputs, chance)
            loss = setting.loss(model(*inputs), batch.targets) * (size / sum(sizes))
            loss.backward()
            total += loss.item()
        if setting.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), setting.clip)
        optimizer.step()
        losses.append(total)
    return everything(model), losses


@dataclass
class Crew:
    """A team with everything around it."""

    setting: Setting
    model: nn.Module
    team: Team
    updater: Updater
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def learn(self, steps: int) -> None:
        for _ in range(steps):
            self.losses.append(self.updater.update(Steer()).loss)

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def pid(self, number: int) -> int:
        return self.team.members[number].process_id


def workshop_of(setting: Setting, model: nn.Module, **other: Any) -> Workshop:
    given: dict[str, Any] = {
        "loss": setting.loss,
        "rows": setting.feed(),
        "augment": setting.augment,
        "precision": Precision(name="fp32", device=torch.device("cpu"), reason="test"),
        "channels_last": False,
        "compiles": False,
        "seed": SEED,
    }
    return Workshop.of(model, **(given | other))


@contextmanager
def crew_of(
    setting: Setting,
    agents: int = 3,
    *,
    shares: Sequence[float] | None = None,
    min_agents: int = 1,
    slow: tuple[float, ...] = (),
    policy: str | None = None,
) -> Any:
    """A team that is up; it goes home in the end."""
    model = setting.model()
    work = workshop_of(setting, model)
    bench, told = Bench(workshop=work), []
    name = policy or ("fixed" if shares else "equal")
    scheduler = Scheduler(
        agents=agents, policy=name, settings={"shares": list(shares)} if shares else {}
    )
    team = Team(
        model,
        work,
        bench,
        Local(work, bench.weights, bench.buffers, threads=1, slow=slow),
        scheduler,
        min_agents=min_agents,
        synchronised=any(isinstance(each, nn.BatchNorm1d) for each in model.modules()),
        tell=lambda name, detail: told.append((name, dict(detail))),
    )
    updater = Updater(
        work=team,
        optimizer=setting.optimizer([each for each in model.parameters() if each.requires_grad]),
        feed=Numbers(examples=EXAMPLES, batch_size=BATCH),
        scaler=work.precision.scaler(),
        accumulate=setting.accumulate,
        clip=setting.clip,
    )
    try:
        team.start(agents)
        yield Crew(setting=setting, model=model, team=team, updater=updater, told=told)
    finally:
        team.close()


def counted_by_hand(steps: int) -> list[int]:
    """How often each example is in the first batches."""
    counts = torch.zeros(EXAMPLES, dtype=torch.int64)
    order = Order(examples=EXAMPLES, batch_size=BATCH, seed=SEED)
    for number in range(steps):
        counts += torch.bincount(order.rows(number), minlength=EXAMPLES)
    return counts.tolist()
