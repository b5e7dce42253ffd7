"""Gradients that are computed in this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from paceline.data.base.batches import mixed
from paceline.data.base.source import Batch
from paceline.train.chance import begin_batch, drops
from paceline.train.precision import Precision

IGNORED = -100
Augment = Callable[[tuple[Tensor, ...], torch.Generator], tuple[Tensor, ...]]
Loss = Callable[[Any, Tensor], Tensor]
Draw = Callable[[], tuple[int, Batch]]


class Work(Protocol):
    """Computes the gradient of an update: in this process, or by several agents.

    Attributes:
        pieces: Parts into which a micro-batch is cut; doubled each time that the memory is
            full, and the update is begun anew: the effective batch stays as it is.
        may_fail: Whether others are needed, who may be lost.
        interval: So many times the micro-batches that it was asked for were in the last update.
        varies: Whether that changes.
    """

    pieces: int
    may_fail: bool
    interval: int
    varies: bool

    def gradient(
        self, draw: Draw, count: int, scaler: torch.amp.GradScaler, *, trial: bool
    ) -> float:
        """Leaves the mean gradient of some micro-batches in the model.

        Args:
            draw: Gives the next micro-batch and its number.
            count: Of micro-batches.
            scaler: What the loss is scaled by, where it is enabled.
            trial: Whether the step may be taken back.

        Returns:
            Their mean loss.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it must know to go on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""


@final
class Alone:
    """Computes gradients in this process.

    However many micro-batches there are, and pieces for want of memory, the loss is the mean
    over all targets together: one that is ignored (-100) counts nowhere.

    Args:
        network: What is called, compiled or not.
        loss: Mean loss of (output, targets).
        parameters: Those that are trained.
        batch_size: Examples in a micro-batch.
        precision: What forward passes compute in.
        channels_last: Pictures are laid out channels last.
        augment: Varies training inputs, or None.
        seed: For the variations, together with the number of the batch.
    """

    may_fail, interval, varies = False, 1, False

    def __init__(
        self,
        *,
        network: nn.Module,
        loss: Loss,
        parameters: list[Tensor],
        batch_size: int,
        precision: Precision,
        channels_last: bool,
        augment: Augment | None,
        seed: int,
    ) -> None:
        self.pieces = 1
        self._network, self._loss, self._parameters = network, loss, parameters
        self._precision, self._channels_last = precision, channels_last
        self._augment, self._seed, self._batch_size = augment, seed, batch_size
        self._generator = torch.Generator(device=precision.device)
        self._drops = drops(network)

    def gradient(
        self, draw: Draw, count: int, scaler: torch.amp.GradScaler, *, trial: bool
    ) -> float:
        drawn: list[tuple[int, Batch]] = []
        while (total := self._gradient(draw, count, scaler, drawn)) is None:
            if self._precision.device.type == "cuda":
                torch.cuda.empty_cache()
        return float(total)

    def _gradient(
        self,
        draw: Draw,
        count: int,
        scaler: torch.amp.GradScaler,
        drawn: list[tuple[int, Batch]],
    ) -> Tensor | None:
        """The mean loss of a whole update; None where it has to be begun anew in more pieces."""
        for parameter in self._parameters:  # what zero_grad does, without its bookkeeping
            parameter.grad = None
        total: Tensor | None = None
        try:
            while len(drawn) < count:
                drawn.append(draw())
            parts = [1.0] if count == 1 else _parts([batch.targets for _, batch in drawn])
            for (number, batch), of in zip(drawn, parts, strict=True):
                loss = self._backward(number, batch, of, scaler)
                total = loss if total is None else total + loss
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not drawn or self.pieces >= self._batch_size:
                raise
            self.pieces *= 2
            return None
        return total

    def _backward(
        self, number: int, batch: Batch, parts: float, scaler: torch.amp.GradScaler
    ) -> Tensor:
        """Mean loss of a micro-batch over ``parts``, its gradient added to what is there."""
        inputs = batch.inputs
        if self._drops:
            begin_batch(self._seed, number)
        if self._augment is not None:
            inputs = self._augment(inputs, self._chance(number))
        if self._channels_last:
            inputs = tuple(channels_last(part) for part in inputs)
        size = len(batch.targets)
        if self.pieces == 1 or size == 1:
            return self._piece(inputs, batch.targets, 1 / parts, scaler)
        pieces = min(self.pieces, size)
        ends = [size * at // pieces for at in range(pieces + 1)]
        chosen = [slice(first, end) for first, end in pairwise(ends)]
        counts = counted([batch.targets[each] for each in chosen])
        losses = [
            self._piece(
                tuple(part[each] for part in inputs),
                batch.targets[each],
                own / max(sum(counts), 1) / parts,
                scaler,
            )
            for each, own in zip(chosen, counts, strict=True)
        ]
        return torch.stack(losses).sum()

    def _piece(
        self,
        inputs: tuple[Tensor, ...],
        targets: Tensor,
        share: float,
        scaler: torch.amp.GradScaler,
    ) -> Tensor:
        with self._precision.autocast():
            output = self._network(*inputs)
            loss = self._loss(output, targets) if share else nothing_of(output)
        if share < 1:
            loss = loss * share
        scaled = scaler.scale(loss) if scaler.is_enabled() else loss
        scaled.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        return loss.detach()

    def _chance(self, number: int) -> torch.Generator:
        """A generator that depends on the seed and the batch's number only."""
        return self._generator.manual_seed(mixed(self._seed, number))

    def state_dict(self) -> dict[str, Any]:
        return {"pieces": self.pieces}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.pieces = state["pieces"]


def counted(targets: Sequence[Tensor]) -> list[int]:
    """Over how many values a mean loss of each is a mean: ignored ones (-100) do not count.

    >>> counted([torch.tensor([[1, -100], [2, 3]])]), counted([torch.zeros(5)])
    ([3], [5])
    """
    if targets[0].is_floating_point():
        return [each.numel() for each in targets]
    found: list[int] = torch.stack([(each != IGNORED).sum() for each in targets]).tolist()
    return found


def nothing_of(output: Any) -> Tensor:
    """A loss of 0 where no target counts: its mean would be 0 / 0, but layers must be passed."""
    tensors = [output] if isinstance(output, Tensor) else list(output)
    return torch.stack([each.sum() * 0.0 for each in tensors]).sum()


def _parts(targets: Sequence[Tensor]) -> list[float]:
    """How many times as many values all micro-batches have as each; inf where one has none.

    >>> _parts([torch.zeros(8), torch.zeros(8), torch.zeros(16)])
    [4.0, 4.0, 2.0]
    """
    counts = counted(targets)
    return [sum(counts) / own if own else math.inf for own in counts]


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that the memory of a device, or of the host, is full.

    >>> is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory.")), is_out_of_memory(
    ...     RuntimeError("mat1 and mat2 must have the same dtype"))
    (True, False)
    """
    full = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return full or "out of memory" in str(error) or "can't allocate memory" in str(error)


def channels_last(part: Tensor) -> Tensor:
    """A picture's tensor laid out channels last; others as they are."""
    return part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part
