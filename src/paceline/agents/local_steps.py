"""Steps that an agent takes by itself between two synchronisations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MakeOptimizer = Callable[[nn.Module], Optimizer]


@final
class LocalSteps:
    """Trains a copy of the shared weights, and tells what that changed.

    Args:
        model: Its parameters are given memory of their own while it steps.
        parameters: All of them, in the order of the bench.
        make_optimizer: Makes the agent's own optimizer; its state lasts from one
            synchronisation to the next.
    """

    def __init__(
        self, model: nn.Module, parameters: Sequence[nn.Parameter], make_optimizer: MakeOptimizer
    ) -> None:
        self._parameters = parameters
        self._own = [each.detach().clone() for each in parameters]
        self._shared: list[Tensor] = []
        self._optimizer = make_optimizer(model)

    def begin(self, learning_rate: float) -> None:
        """Starts from the shared weights.

        Args:
            learning_rate: Of the first group; the others keep their ratio to it.
        """
        self._shared = [each.data for each in self._parameters]
        for parameter, own in zip(self._parameters, self._own, strict=True):
            own.copy_(parameter.data)
            parameter.data = own
        groups = self._optimizer.param_groups
        ratio = learning_rate / groups[0]["lr"] if groups[0]["lr"] else 0.0
        for group in groups:
            group["lr"] *= ratio

    def clear(self) -> None:
        """Forgets the gradients before a step."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, weight: float = 1.0) -> None:
        """One step on the gradients that are there.

        Args:
            weight: What they are a sum over, at least 1: the step is on their mean.
        """
        given = [each.grad for each in self._parameters if each.grad is not None]
        if weight != 1 and given:
            torch._foreach_div_(given, float(weight))
        self._optimizer.step()

    @torch.no_grad()
    def end(self, gradients: Sequence[Tensor], weight: float) -> None:
        """Adds what was changed, times a weight, to what stands where gradients go.

        Args:
            gradients: One for each parameter.
            weight: How many elements the steps learnt from.
        """
        for parameter, shared, place in zip(self._parameters, self._shared, gradients, strict=True):
            if parameter.requires_grad:
                place.add_((shared - parameter.data).to(place.device), alpha=weight)
            parameter.data = shared
            parameter.grad = None
