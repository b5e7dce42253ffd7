"""What an agent needs to compute gradients: the same for all, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from paceline.agents.bench import Layout, buffers_of, hollow, parameters_of, trainable
from paceline.agents.local_steps import MakeOptimizer
from paceline.data.base import Batch
from paceline.train.alone import Augment, Loss
from paceline.train.precision import Precision


class Rows(Protocol):
    """Examples that every agent can get at, in an order that follows from a seed."""

    batch_size: int
    examples: int

    def rows(self, number: int) -> Tensor:
        """Which examples make the batch of a number: int64 [batch_size]."""

    def pick(self, rows: Tensor) -> Batch:
        """Some examples as a batch."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """What an agent needs.

    Attributes:
        model: Without its weights.
        parameters: Where its weights lie on the bench.
        buffers: Where its buffers lie.
        trained: Whether each of the parameters is trained.
        loss: Mean loss of (output, targets).
        rows: The examples.
        augment: Varies training inputs, or None.
        precision: What forward passes compute in.
        channels_last: Pictures are laid out channels last.
        compiles: Whether the model is compiled.
        seed: Of everything that is drawn, together with the number of the batch.
        fingerprint: Of the data.
        make_optimizer: Makes each agent's own optimizer, where they take local steps.
    """

    model: nn.Module
    parameters: Layout
    buffers: Layout
    trained: tuple[bool, ...]
    loss: Loss
    rows: Rows
    augment: Augment | None
    precision: Precision
    channels_last: bool
    compiles: bool
    seed: int
    fingerprint: str = ""
    make_optimizer: MakeOptimizer | None = None

    @classmethod
    def of(cls, model: nn.Module, **rest: Any) -> Workshop:
        """The workshop of a model."""
        parameters, buffers = Layout(parameters_of(model)), Layout(buffers_of(model))
        learns = set(trainable(parameters, model))
        return cls(
            model=hollow(model),
            parameters=parameters,
            buffers=buffers,
            trained=tuple(at in learns for at in range(len(parameters.spots))),
            **rest,
        )

    @property
    def identity(self) -> dict[str, str]:
        """What must be the same in two processes that work together."""
        import paceline

        return {
            "paceline": paceline.__version__,
            "torch": str(torch.__version__),
            "model": self.parameters.fingerprint(),
            "data": self.fingerprint,
        }


def elements(targets: Tensor) -> int:
    """How many values a mean loss is a mean over: ignored ones (-100) do not count.

    >>> elements(torch.tensor([[1, -100], [2, 3]])), elements(torch.zeros(5))
    (3, 5)
    """
    if targets.is_floating_point():
        return targets.numel()
    return int((targets != -100).sum())
