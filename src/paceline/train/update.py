"""One update of the weights: forward, backward, clip, step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paceline.data.base.batches import Feed, mixed
from paceline.train.precision import Precision

Augment = Callable[[tuple[Tensor, ...], torch.Generator], tuple[Tensor, ...]]
Loss = Callable[[Any, Tensor], Tensor]


@final
class Updater:
    """Does one update at a time; the only place that writes weights and learning rates.

    Args:
        network: What is called, compiled or not.
        loss: Mean loss of (output, targets).
        optimizer: Over the network's parameters; its groups keep the ratios of their
            learning rates.
        feed: Where batches come from.
        precision: What forward passes compute in.
        accumulate: Micro-batches in an update; their mean is what is stepped on.
        clip: Largest global L2 norm of the gradient, or None.
        channels_last: Pictures are laid out channels last.
        augment: Varies training inputs, or None.
        seed: For the variations, together with the number of the batch.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        loss: Loss,
        optimizer: Optimizer,
        feed: Feed,
        precision: Precision,
        accumulate: int,
        clip: float | None,
        channels_last: bool,
        augment: Augment | None,
        seed: int,
    ) -> None:
        self.optimizer = optimizer
        self._network, self._loss, self._feed = network, loss, feed
        self._precision, self._scaler = precision, precision.scaler()
        self._accumulate, self._clip = accumulate, clip
        self._channels_last, self._augment = channels_last, augment
        self._seed, self._batches = seed, 0
        self._generator = torch.Generator(device=precision.device)
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        first = optimizer.param_groups[0]["lr"]
        self._ratios = [group["lr"] / first if first else 1.0 for group in optimizer.param_groups]
        self.examples = feed.batch_size * accumulate

    @property
    def learning_rate(self) -> float:
        """The first parameter group's."""
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        for group, ratio in zip(self.optimizer.param_groups, self._ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio

    def update(self) -> tuple[Tensor, Tensor | None]:
        """One update; gives the mean loss and, where it was clipped, the gradient's norm."""
        for parameter in self._parameters:  # what zero_grad does, without its bookkeeping
            parameter.grad = None
        total: Tensor | None = None
        for _ in range(self._accumulate):
            loss = self._backward()
            total = loss if total is None else total + loss
        norm = None
        if self._clip is not None:
            self._scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
        if self._scaler.is_enabled():
            self._scaler.step(self.optimizer)
            self._scaler.update()
        else:
            self.optimizer.step()
        assert total is not None
        return total, norm

    def _backward(self) -> Tensor:
        batch = self._feed.next()
        inputs = batch.inputs
        if self._augment is not None:
            inputs = self._augment(inputs, self._chance())
        self._batches += 1
        if self._channels_last:
            inputs = tuple(_channels_last(part) for part in inputs)
        with self._precision.autocast():
            loss = self._loss(self._network(*inputs), batch.targets)
        if self._accumulate > 1:
            loss = loss / self._accumulate
        scaled = self._scaler.scale(loss) if self._scaler.is_enabled() else loss
        scaled.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        return loss.detach()

    def _chance(self) -> torch.Generator:
        """A generator that depends on the seed and the batch's number only."""
        return self._generator.manual_seed(mixed(self._seed, self._batches))

    def state_dict(self) -> dict[str, Any]:
        """Of the optimizer, the scaler, the feed, and the count of batches."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "feed": self._feed.state_dict(),
            "batches": self._batches,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._feed.load_state_dict(state["feed"])
        self._batches = state["batches"]


def _channels_last(part: Tensor) -> Tensor:
    return part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part
