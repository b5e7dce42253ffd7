"""Goes on with a trained network: new examples, old ones again, a pull towards what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from paceline.controllers.base import Controller
from paceline.core.recipe import Part
from paceline.core.signature import Signature
from paceline.data.base import LazyImages
from paceline.jobs.assemble import build_controller, build_model, build_optimizer
from paceline.tasks.base import Encoded, Goal, Task
from paceline.train.pacer import Pacer

MOST_KEPT = 2000
MOST_KEPT_BYTES = 64 * 2**20
FISHER_EXAMPLES = 200
SMALL_RATE = 0.1


def loaded(encoded: Encoded) -> Encoded:
    """The same with every input a tensor."""
    inputs = tuple(
        torch.from_numpy(part.load()) if isinstance(part, LazyImages) else part
        for part in encoded.inputs
    )
    return Encoded(inputs=inputs, targets=encoded.targets)


def rows_of(encoded: Encoded, rows: Tensor) -> Encoded:
    """The examples at ``rows``."""
    targets = None if encoded.targets is None else encoded.targets[rows]
    return Encoded(inputs=tuple(part[rows] for part in encoded.inputs), targets=targets)


def joined(first: Encoded, second: Encoded) -> Encoded:
    """One after the other."""
    assert first.targets is not None and second.targets is not None
    inputs = tuple(torch.cat(pair) for pair in zip(first.inputs, second.inputs, strict=True))
    return Encoded(inputs=inputs, targets=torch.cat([first.targets, second.targets]))


@final
class Reservoir:
    """A sample of all examples that were ever seen, each as likely as any other.

    Args:
        most: Examples at most; fewer where they are large.

    Reference:
        Vitter, Random Sampling with a Reservoir, ACM TOMS 1985, algorithm R.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.kept: Encoded | None = None
        self.seen, self._most = 0, most

    def __len__(self) -> int:
        return 0 if self.kept is None else len(self.kept)

    def take(self, encoded: Encoded, generator: torch.Generator) -> None:
        """Takes in examples, each with the chance that keeps the sample fair."""
        if not len(encoded) or not self._most:
            return
        size = sum(part[0].nbytes for part in encoded.inputs)
        most = max(1, min(self._most, MOST_KEPT_BYTES // max(size, 1)))
        room = max(0, most - len(self))
        head = rows_of(encoded, torch.arange(min(room, len(encoded))))
        kept = head if self.kept is None else joined(self.kept, head)
        assert kept.targets is not None
        kept = rows_of(kept, torch.arange(len(kept)))
        for at in range(len(head), len(encoded)):
            place = int(torch.randint(self.seen + at + 1, (1,), generator=generator))
            if place < len(kept):
                for old, new in zip(kept.inputs, encoded.inputs, strict=True):
                    old[place] = new[at]
                assert kept.targets is not None and encoded.targets is not None
                kept.targets[place] = encoded.targets[at]
        self.kept, self.seen = kept, self.seen + len(encoded)

    def draw(self, count: int, generator: torch.Generator) -> Encoded:
        """Some of them, drawn with replacement."""
        assert self.kept is not None
        return rows_of(self.kept, torch.randint(len(self.kept), (count,), generator=generator))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Spring:
    """Pulls parameters towards what they were, the harder the more answers depend on them.

    ``λ/2 Σ F (w - w*)²``, F the mean of the squared gradients of single examples.

    Attributes:
        strength: λ, at least 0.
        weights: w*, by name.
        importance: F, by name.

    Reference:
        Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 2017,
        equation 3.
    """

    strength: float
    weights: dict[str, Tensor]
    importance: dict[str, Tensor]

    def pull(self, model: nn.Module) -> Tensor:
        """The penalty, a scalar."""
        parts = [
            (self.importance[name] * (value - self.weights[name]).square()).sum()
            for name, value in model.named_parameters()
            if name in self.weights
        ]
        return 0.5 * self.strength * torch.stack(parts).sum()


def spring_for(model: nn.Module, goal: Goal, old: Encoded, strength: float) -> Spring:
    """A spring to the model's weights, by what some old examples depend on."""
    assert old.targets is not None
    model.eval()
    found = {name: torch.zeros_like(each) for name, each in model.named_parameters()}
    count = min(FISHER_EXAMPLES, len(old))
    device = next(model.parameters()).device
    for row in torch.linspace(0, len(old) - 1, count).long().tolist():
        one = rows_of(old, torch.tensor([row]))
        assert one.targets is not None
        model.zero_grad()
        goal.loss(
            model(*(part.to(device) for part in one.inputs)), one.targets.to(device)
        ).backward()  # type: ignore[no-untyped-call] # torch
        for name, each in model.named_parameters():
            if each.grad is not None:
                found[name] += each.grad.square() / count
    model.zero_grad()
    weights = {name: each.detach().clone() for name, each in model.named_parameters()}
    return Spring(strength=strength, weights=weights, importance=found)


def grown(
    signature: Signature, name: str, settings: Mapping[str, Any], old: nn.Module, outputs: int
) -> tuple[Signature, nn.Module]:
    """A network with more outputs; what the old ones were computed by is kept.

    Args:
        signature: Of the old network.
        name: Of the part on the models shelf.
        settings: Of that part.
        old: The old network.
        outputs: At least as many as before.
    """
    if outputs == signature.outputs:
        return signature, old
    wider = replace(signature, outputs=outputs)
    network = build_model(wider, name, settings)
    state = network.state_dict()
    for key, value in old.state_dict().items():
        room = state[key]
        inside = tuple(slice(0, min(a, b)) for a, b in zip(value.shape, room.shape, strict=True))
        if room.shape == value.shape:
            state[key] = value.clone()
            continue
        room.zero_()  # a new class begins as unlikely as an average old one
        room[inside] = value
        state[key] = room
    network.load_state_dict(state)
    return wider, network.to(next(old.parameters()).device)


@final
class Continual:
    """Trains on, a stretch at a time.

    Args:
        task: What is learnt, with its goal.
        model: With the weights to begin with.
        replay: Old examples, to be mixed in.
        spring: Towards old weights, or None.
        seed: Of the order and the variation.
        optimizer: Settings, its ``name`` among them.
        batch_size: New examples in an update; as many old ones come with them.

    Attributes:
        steps: Updates so far.
        batch_size: New examples in an update.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        replay: Reservoir,
        spring: Spring | None,
        *,
        seed: int,
        optimizer: Mapping[str, Any],
        batch_size: int,
    ) -> None:
        self.task, self.model, self.replay, self.spring = task, model, replay, spring
        self.generator = torch.Generator().manual_seed(seed)
        self.steps = 0
        self._optimizer, self.batch_size = dict(optimizer), batch_size
        self._device = next(model.parameters()).device

    def train(
        self,
        new: Encoded,
        steps: int,
        *,
        reopened: bool,
        told: Callable[[float], None] | None = None,
    ) -> Pacer:
        """So many updates on new and old examples; the weights are averaged at the end.

        Args:
            new: To learn from.
            steps: Updates.
            reopened: Whether the learning rate begins its schedule again; else it is small
                and stays.
            told: Told the share that is done.
        """
        optimizer = build_optimizer(self.model, self._optimizer)
        pacer = Pacer(
            optimizer,
            total_steps=steps,
            modules=[self.model],
            controller=self._controller(optimizer, reopened=reopened),
            average=True,
        )
        order = torch.empty(0, dtype=torch.int64)
        while not pacer.done:
            if told is not None:
                told(pacer.step_count / steps)
            if not len(order):
                order = torch.randperm(len(new), generator=self.generator)
            rows, order = order[: self.batch_size], order[self.batch_size :]
            pacer.optimizer.zero_grad()
            loss = self._loss(rows_of(new, rows))
            loss.backward()  # type: ignore[no-untyped-call] # torch
            pacer.step(loss)
        with pacer.averaged():
            kept = {name: each.clone() for name, each in self.model.state_dict().items()}
        self.model.load_state_dict(kept)
        self.steps += pacer.step_count
        return pacer

    def _controller(self, optimizer: Any, *, reopened: bool) -> Controller:
        rate = float(optimizer.param_groups[0]["lr"])
        if reopened:
            return build_controller(Part(name="probe"), rate)
        return build_controller(Part(name="constant"), SMALL_RATE * rate)

    def _loss(self, new: Encoded) -> Tensor:
        self.model.train()
        batch = new
        if len(self.replay):
            batch = joined(new, self.replay.draw(len(new), self.generator))
        assert batch.targets is not None
        inputs = tuple(part.to(self._device) for part in batch.inputs)
        inputs = self.task.augment(inputs, self.generator)
        loss = self.task.goal.loss(self.model(*inputs), batch.targets.to(self._device))
        return loss if self.spring is None else loss + self.spring.pull(self.model)


def divided(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to learn from, and rows held out: at least one of each."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    out = min(max(1, round(share * count)), count - 1)
    return order[out:].sort().values, order[:out].sort().values
