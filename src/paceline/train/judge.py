"""Measures a model on examples that it does not learn from, and keeps the best weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from paceline.data.base import Batch
from paceline.train.precision import Precision

AVERAGE_EVERY = 4


class Measure(Protocol):
    """What good means; every goal is one."""

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """What metrics need of outputs, the first axis the example."""

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        """All metrics; one of them is called ``loss``."""

    def better(self, new: Mapping[str, float], old: Mapping[str, float] | None) -> bool:
        """Whether ``new`` metrics beat ``old`` ones."""


def answers(
    network: nn.Module,
    batches: Iterator[Batch],
    measure: Measure,
    precision: Precision,
    tell: Callable[[int], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """What metrics need of some batches, on the CPU; the network is left in eval mode."""
    network.eval()
    given: list[Tensor] = []
    wanted: list[Tensor] = []
    with torch.inference_mode():
        for batch in batches:
            with precision.autocast():
                output = network(*batch.inputs)
            wanted.append(batch.targets.cpu())
            given.append(measure.judged(_on_cpu(output), wanted[-1]))
            if tell is not None:
                tell(len(batch))
    return torch.cat(given), torch.cat(wanted)


def _on_cpu(output: Any) -> Any:
    return output.cpu() if isinstance(output, Tensor) else output


@final
class Average:
    """A moving average of the weights, updated every few steps.

    The decay rises from zero as (1 + n) / (10 + n) towards the one that was set, so that
    the beginning is forgotten soon.

    Args:
        model: Whose weights and buffers are averaged.
        decay: For one step, over 0 and under 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay**AVERAGE_EVERY
        self._averaged = AveragedModel(model, multi_avg_fn=self._mix, use_buffers=True)
        self._model, self._count = model, 0

    @property
    def model(self) -> nn.Module:
        """The averaged model."""
        inner: nn.Module = self._averaged.module
        return inner

    def follow(self, step: int) -> None:
        """Takes in the weights as they are after ``step``."""
        if step % AVERAGE_EVERY == 0:
            self._averaged.update_parameters(self._model)
            self._count += 1

    def _mix(self, averaged: Any, current: Any, count: Any) -> None:
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call] # torch

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and how many went in."""
        return {"weights": self._averaged.state_dict(), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._averaged.load_state_dict(state["weights"])
        self._count = state["count"]


@final
class Best:
    """The best weights so far, by validation, and the metrics they reached."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] | None = None
        self.step = 0
        self.weights: dict[str, Tensor] = {}

    def offer(
        self, model: nn.Module, metrics: dict[str, float], measure: Measure, step: int
    ) -> bool:
        """Keeps a copy of the weights when they are better than the best."""
        if not measure.better(metrics, self.metrics):
            return False
        self.metrics, self.step = metrics, step
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return True

    def state_dict(self) -> dict[str, Any]:
        """Metrics, step and weights."""
        return {"metrics": self.metrics, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.metrics, self.step = state["metrics"], state["step"]
        self.weights = dict(state["weights"])
