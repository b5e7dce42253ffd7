"""The coordinator's side of the bench: it alone writes weights there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from paceline.agents.bench import settle, settle_buffers, trainable
from paceline.agents.member import Member
from paceline.agents.round import Outcome
from paceline.agents.workshop import Workshop


@final
@dataclass(kw_only=True, slots=True)
class Bench:
    """The memory that the coordinator shares with local agents.

    Args:
        workshop: Says what lies where.
    """

    workshop: Workshop
    weights: Tensor = field(init=False)
    buffers: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.weights = self.workshop.parameters.memory()
        self.buffers = self.workshop.buffers.memory()


@final
class Writer:
    """The model that is trained, on the bench or beside it.

    On a CPU its weights lie on the bench itself; elsewhere they are copied there.

    Args:
        model: Whose weights are learnt.
        workshop: Says what lies where.
        bench: What local agents share.
    """

    def __init__(self, model: nn.Module, workshop: Workshop, bench: Bench) -> None:
        self.model, self.workshop, self._bench = model, workshop, bench
        self._on_bench = workshop.precision.device.type == "cpu"
        layout, work = self.workshop.parameters, self.workshop
        self._views = layout.views(self._bench.weights)
        self._buffer_views = work.buffers.views(self._bench.buffers)
        known = dict(self.model.named_parameters(remove_duplicate=False))
        buffers = dict(self.model.named_buffers(remove_duplicate=False))
        self._parameters = [known[spot.names[0]] for spot in layout.spots]
        if self._on_bench:
            settle(self.model, self._views, layout)
            settle_buffers(self.model, self._buffer_views, work.buffers)
            buffers = dict(self.model.named_buffers(remove_duplicate=False))
        self._buffers = [buffers[spot.names[0]] for spot in work.buffers.spots]
        self._total = torch.zeros_like(self._bench.weights)
        self._gradients = layout.views(self._total)
        self._learning = trainable(layout, self.model)

    def payload(self) -> bytes:
        return b"".join(
            bytes(each.numpy().data) for each in (self._bench.weights, self._bench.buffers)
        )

    def publish(self) -> None:
        """Weights that do not lie on the bench are copied there."""
        if self._on_bench:
            return
        for view, parameter in zip(self._views, self._parameters, strict=True):
            view.copy_(parameter)
        for view, buffer in zip(self._buffer_views, self._buffers, strict=True):
            view.copy_(buffer)

    def collect(self, outcome: Outcome, members: Mapping[int, Member], unit: float = 1.0) -> None:
        """Adds up what the agents left, always in the same order; leaves the mean, in a unit."""
        layout = self.workshop.parameters
        parts = [layout.stretches(members[number].memories.gradient) for number in outcome.workers]
        for at, total in enumerate(layout.stretches(self._total)):
            total.copy_(parts[0][at])
            for part in parts[1:]:
                total.add_(part[at])
            if total.is_floating_point():
                total.div_(max(outcome.elements, 1) * unit)
        for at in self._learning:
            parameter, gradient = self._parameters[at], self._gradients[at]
            touched = outcome.touched is None or at in outcome.touched
            parameter.grad = gradient.to(parameter.device) if touched else None
        after = members[outcome.workers[0]].memories.after
        for mine, theirs in zip(self._buffers, self.workshop.buffers.views(after), strict=True):
            mine.copy_(theirs)
