"""The outer step: what agents changed in their local steps moves the shared weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from paceline.core.errors import SettingError


@final
class Outer(Optimizer):
    r"""Nesterov momentum on the mean change of the agents.

    With δ = Σ n_i (θ − θ_i) / Σ n_i, which stands in the gradients::

        v ← momentum · v + δ
        θ ← θ − outer_rate · (δ + momentum · v)

    With ``outer_rate`` 1 and no momentum the weights become the mean of the agents', weighted
    by examples: federated averaging.

    Args:
        parameters: Those that are trained.
        lr: Learning rate of the agents' own steps; the controllers set it.
        outer_rate: Over 0.
        momentum: From 0 to under 1.

    Raises:
        SettingError: A setting is out of its range.

    >>> weight = torch.ones(1, requires_grad=True)
    >>> outer = Outer([weight], lr=0.1, outer_rate=1.0, momentum=0.0)
    >>> weight.grad = torch.tensor([0.25])
    >>> outer.step(); weight.item()
    0.75

    Reference:
        Douillard et al., DiLoCo, arXiv:2311.08105, 2023, algorithm 1; McMahan et al.,
        Communication-Efficient Learning of Deep Networks, AISTATS 2017, algorithm 1.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        outer_rate: float = 0.7,
        momentum: float = 0.9,
    ) -> None:
        if not outer_rate > 0:
            raise SettingError(f"outer_rate must be over 0, got {outer_rate:g}")
        if not 0 <= momentum < 1:
            raise SettingError(f"momentum must be at least 0 and under 1, got {momentum:g}")
        defaults = {"lr": lr, "outer_rate": outer_rate, "momentum": momentum}
        super().__init__(list(parameters), defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override] # torch overloads it
        """Moves the weights by what stands in their gradients."""
        for group in self.param_groups:
            rate, momentum = group["outer_rate"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                change = parameter.grad
                if momentum:
                    state = self.state[parameter]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    speed = state["momentum_buffer"].mul_(momentum).add_(change)
                    change = change + momentum * speed
                parameter.add_(change, alpha=-rate)
