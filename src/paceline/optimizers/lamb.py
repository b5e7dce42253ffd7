"""LAMB: Adam for large batches, each layer's step as long as its weights are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from paceline.core.errors import SettingError


@final
class LAMB(Optimizer):
    """Adam with a trust ratio: each layer's step is as long as its weights are.

        m_t = β1 m_{t-1} + (1 - β1) g_t,       v_t = β2 v_{t-1} + (1 - β2) g_t²
        r_t = (m_t / (1 - β1^t)) / (sqrt(v_t / (1 - β2^t)) + ε) + λ x_t
        x_{t+1} = x_t - η (|x_t| / |r_t|) r_t

    so that a step changes every layer by the same part η of its size, whatever the scale
    of the loss. Where |x| or |r| is zero the ratio is 1. Biases and scales are best put in
    a group without weight decay.

    Written out here, not taken from ``pytorch_optimizer``: that one corrects the first
    moment outside of the ratio and the second not at all, cuts |x| at 10, decays outside
    of the ratio, and takes seconds to import; with no setting is it the paper's algorithm.

    Args:
        params: Dense parameters, or groups of them.
        lr: η, the part of its size by which a layer changes in a step, at least 0.
        betas: Memories of the two moments, each at least 0 and under 1.
        eps: ε, at least 0.
        weight_decay: λ, at least 0.
        foreach: Work on all tensors of a group at once: faster, with room for two more
            copies of them.

    Raises:
        SettingError: A setting is out of range, or (in ``step``) a gradient is sparse.

    Reference: You et al. 2020, "Large Batch Optimization for Deep Learning: Training BERT
    in 76 minutes", algorithm 2, with φ the identity.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = LAMB([weight], lr=0.1)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> [round(value, 4) for value in weight.tolist()]
    [2.6464, 3.6464]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if not 0 <= value < float("inf"):
                raise SettingError(f"{name} must be at least 0 and finite, got {value}")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise SettingError(f"betas must be two numbers from 0 to under 1, got {betas}")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"foreach": foreach})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # torch overloads it
        """One step; gives what ``closure`` does.

        Args:
            closure: Works out the loss and the gradients anew; not needed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_kind: dict[Any, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    # Moments of different ages are corrected by themselves.
                    kind = self._age(parameter), parameter.device, parameter.dtype
                    by_kind.setdefault(kind, []).append(parameter)
            for (age, *_), parameters in by_kind.items():
                together = [parameters] if group["foreach"] else [[each] for each in parameters]
                for each in together:
                    self._move(each, age, group)
        return loss

    def _age(self, parameter: Tensor) -> int:
        """Counts a parameter's steps, this one included; its first one makes its moments."""
        assert parameter.grad is not None
        if parameter.grad.layout is not torch.strided:
            raise SettingError("LAMB works with dense gradients, got a sparse one")
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        age: int = state["step"]
        return age

    def _move(self, parameters: list[Tensor], age: int, group: dict[str, Any]) -> None:
        """Moves parameters of one device, dtype and age, in a few calls for all of them."""
        beta1, beta2 = group["betas"]
        gradients = [each.grad for each in parameters if each.grad is not None]
        first = [self.state[each]["exp_avg"] for each in parameters]
        second = [self.state[each]["exp_avg_sq"] for each in parameters]
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        below = torch._foreach_div(second, 1 - beta2**age)
        torch._foreach_sqrt_(below)
        torch._foreach_add_(below, group["eps"])
        steps = torch._foreach_div(first, 1 - beta1**age)
        torch._foreach_div_(steps, below)
        if group["weight_decay"]:
            torch._foreach_add_(steps, parameters, alpha=group["weight_decay"])
        sizes = torch.stack(torch._foreach_norm(parameters))
        lengths = torch.stack(torch._foreach_norm(steps))
        known = (sizes > 0) & (lengths > 0)
        trust = torch.where(known, sizes / lengths, torch.ones_like(sizes))
        torch._foreach_mul_(steps, list((-group["lr"] * trust).unbind()))
        torch._foreach_add_(parameters, steps)
