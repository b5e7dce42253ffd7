"""One update of the weights: forward, backward, clip, step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paceline.core.readings import Steer
from paceline.data.base.batches import Feed, mixed
from paceline.data.base.source import Batch
from paceline.train.precision import Precision
from paceline.train.rates import Rates
from paceline.train.replay import Replay
from paceline.train.stepping import Stepper, Update

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
        align: Whether each gradient is compared with the one before.

    Attributes:
        spent: Of a budget of steps: an update on twice the batch counts twice.
        pieces: Parts into which a micro-batch is cut; doubled each time that the memory is
            full, and the update is begun anew: the effective batch stays as it is.
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
        align: bool = False,
    ) -> None:
        self.optimizer, self.rates = optimizer, Rates(optimizer)
        self.accumulate, self.replay = accumulate, Replay[Batch](feed)
        self.spent, self._given = 0.0, accumulate
        self.scaler = precision.scaler()
        self._network, self._loss, self._batch_size = network, loss, feed.batch_size
        self._precision, self._channels_last = precision, channels_last
        self._augment, self._seed = augment, seed
        self._generator = torch.Generator(device=precision.device)
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.pieces = 1
        self._stepper = Stepper(optimizer, align=align, clip=clip)

    @property
    def examples(self) -> int:
        """In one update."""
        return self._batch_size * self.accumulate

    @property
    def is_even(self) -> bool:
        """Whether the batch was never changed, so that steps can be foretold."""
        return self.accumulate == self._given and self.spent == int(self.spent)

    def update(self, steer: Steer) -> Update:
        """One update, on the batches and at the rate that were decided."""
        if steer.learning_rate is not None:
            self.rates.set(steer.learning_rate)
        elif steer.factor != 1.0:
            self.rates.scale(steer.factor)
        if steer.batch_size is not None:
            self.accumulate = max(1, round(steer.batch_size / self._batch_size))
        self.spent += self.accumulate / self._given
        self.replay.begin(steer.batch, hold=steer.probing)
        drawn: list[tuple[int, Batch]] = []
        while (total := self._gradients(drawn)) is None:
            if self._precision.device.type == "cuda":
                torch.cuda.empty_cache()
        return self._stepper.step(float(total), self.scaler, measure=steer.measure)

    def _gradients(self, drawn: list[tuple[int, Batch]]) -> Tensor | None:
        """The mean loss of a whole update; None where it has to be begun anew in more pieces."""
        for parameter in self._parameters:  # what zero_grad does, without its bookkeeping
            parameter.grad = None
        total: Tensor | None = None
        try:
            for at in range(self.accumulate):
                if at == len(drawn):
                    drawn.append(self.replay.next())
                loss = self._backward(*drawn[at])
                total = loss if total is None else total + loss
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not drawn or self.pieces >= self._batch_size:
                raise
            self.pieces *= 2
            return None
        return total

    def _backward(self, number: int, batch: Batch) -> Tensor:
        """Mean loss of a micro-batch, its gradient added to what is there."""
        inputs = batch.inputs
        if self._augment is not None:
            inputs = self._augment(inputs, self._chance(number))
        if self._channels_last:
            inputs = tuple(_channels_last(part) for part in inputs)
        size = len(batch.targets)
        if self.pieces == 1 or size == 1:
            return self._piece(inputs, batch.targets, 1.0)
        count = min(self.pieces, size)
        ends = [size * at // count for at in range(count + 1)]
        losses = [
            self._piece(
                tuple(part[first:end] for part in inputs),
                batch.targets[first:end],
                (end - first) / size,
            )
            for first, end in pairwise(ends)
        ]
        return torch.stack(losses).sum()

    def _piece(self, inputs: tuple[Tensor, ...], targets: Tensor, share: float) -> Tensor:
        with self._precision.autocast():
            loss = self._loss(self._network(*inputs), targets)
        if self.accumulate > 1 or share < 1:
            loss = loss * share / self.accumulate
        scaled = self.scaler.scale(loss) if self.scaler.is_enabled() else loss
        scaled.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        return loss.detach()

    def _chance(self, number: int) -> torch.Generator:
        """A generator that depends on the seed and the batch's number only."""
        return self._generator.manual_seed(mixed(self._seed, number))

    def state_dict(self) -> dict[str, Any]:
        """Of the optimizer, the scaler, the batches and the rates."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "replay": self.replay.state_dict(),
            "rates": self.rates.state_dict(),
            "accumulate": self.accumulate,
            "spent": self.spent,
            "pieces": self.pieces,
            "stepper": self._stepper.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.replay.load_state_dict(state["replay"])
        self.rates.load_state_dict(state["rates"])
        self.accumulate, self.pieces = state["accumulate"], state["pieces"]
        self.spent = state["spent"]
        self._stepper.load_state_dict(state["stepper"])


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of a device, or of the host, is full.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory.")), is_out_of_memory(
    ...     RuntimeError("mat1 and mat2 must have the same dtype"))
    (True, False)
    """
    full = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return full or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _channels_last(part: Tensor) -> Tensor:
    return part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part
