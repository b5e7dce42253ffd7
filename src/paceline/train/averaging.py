"""An average of the weights that is good at any moment of a run without an end."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

EVERY = 4
TILT = 8.0


@contextlib.contextmanager
def measuring(optimizer: Optimizer) -> Iterator[None]:
    """For a block the weights are those to measure: some optimizers train on others."""
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    try:
        yield
    finally:
        if hasattr(optimizer, "train"):
            optimizer.train()


@final
class TailAverage:
    """Averages parameters and buffers, the later ones with more weight.

    With w as the weights after update t, every fourth of them taken in:
    mean_t = mean_{t-1} + (c + 1) / (t + c) (w_t - mean_{t-1}), c = 8: the last tenth of a
    run of any length weighs about two thirds.

    Args:
        optimizer: Its parameters.
        modules: Their buffers of floating point.

    Reference: Shamir & Zhang 2013, "Stochastic Gradient Descent for Non-smooth
    Optimization", section 4 (polynomial-decay averaging).
    """

    def __init__(self, optimizer: Optimizer, modules: Sequence[nn.Module]) -> None:
        self._optimizer, self._modules = optimizer, modules
        self._mean: list[Tensor] = []
        self._count = 0

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Takes in the weights as they are after ``step``."""
        if step % EVERY:
            return
        self._count += 1
        live = self._live()
        if not self._mean:
            self._mean = [each.detach().clone() for each in live]
        torch._foreach_lerp_(self._mean, live, (TILT + 1) / (self._count + TILT))

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """Puts the mean in the place of the weights for a block."""
        if not self._mean:
            yield
            return
        live = self._live()
        own = [each.detach().clone() for each in live]
        with torch.no_grad():
            torch._foreach_copy_(live, self._mean)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(live, own)

    def _live(self) -> list[Tensor]:
        parameters = (each for group in self._optimizer.param_groups for each in group["params"])
        buffers = (each for module in self._modules for each in module.buffers())
        return [each for each in itertools.chain(parameters, buffers) if each.is_floating_point()]

    def state_dict(self) -> dict[str, Any]:
        """The mean, and how many went in."""
        return {"mean": list(self._mean), "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._mean, self._count = list(state["mean"]), state["count"]
