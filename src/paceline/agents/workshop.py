"""What an agent needs to compute gradients: the same for all, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from paceline.agents.bench import Layout, buffers_of, hollow, parameters_of, trainable
from paceline.agents.local_steps import MakeOptimizer
from paceline.agents.shards import Shards
from paceline.data.base.rows import Pickable
from paceline.train.alone import Augment, Loss
from paceline.train.precision import Precision


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
        shards: The examples of each agent, where all have some of their own.
        make_optimizer: Makes each agent's own optimizer, where they take local steps.
    """

    model: nn.Module
    parameters: Layout
    buffers: Layout
    trained: tuple[bool, ...]
    loss: Loss
    rows: Pickable
    augment: Augment | None
    precision: Precision
    channels_last: bool
    compiles: bool
    seed: int
    fingerprint: str = ""
    make_optimizer: MakeOptimizer | None = None
    shards: Shards | None = None

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

    def rows_of(self, agent: int) -> Pickable:
        """What an agent learns from, by its number.

        Raises:
            SettingError: All have data of their own, and it has none.
        """
        return self.rows if self.shards is None else self.shards.of(agent)

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
