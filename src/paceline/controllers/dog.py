"""DoG: the distance that was covered over the gradients that were seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch.optim import Optimizer

from paceline.controllers.base.wrapped import EXTRA, Wrapped, groups_of, refuse_sparse, rising
from paceline.core.errors import SettingError
from paceline.core.extras import need
from paceline.core.readings import Reading, Steer


@final
class DoG(Wrapped):
    """Gradient descent without a learning rate: distance covered over gradients seen.

        η_t = max_{i ≤ t} |x_i - x_0| / sqrt(Σ_{i ≤ t} |g_i|² + ε).

    The given rate is not used, nor are the optimizer's momentum and moments. There is no
    decay: the method needs the average of its iterates to be good, so evaluate with
    ``pacer.averaged()``. Each group is a vector of its own.

    Args:
        learning_rate: The optimizer's own; it has no effect.
        reps_rel: The first step is this part of 1 + |x_0|, over 0; 1e-4 is advised for
            networks with batch norm.

    Reference: Ivgi, Hinder & Carmon 2023, "DoG is SGD's Best Friend", equation 1; the
    package is ``dog-optimizer``.

    >>> DoG(0.1).decide(Reading(step=25, progress=0.25, total_steps=100)).learning_rate
    1.0
    """

    def __init__(self, learning_rate: float, *, reps_rel: float = 1e-6) -> None:
        super().__init__(learning_rate)
        if not 0 < reps_rel < float("inf"):
            raise SettingError(f"reps_rel must be over 0 and finite, got {reps_rel:g}")
        self.reps_rel = float(reps_rel)

    def decide(self, seen: Reading) -> Steer:
        return Steer(
            learning_rate=rising(seen, self.warmup), reason="DoG steps by distance over gradients"
        )

    def replacement(self, optimizer: Optimizer) -> Optimizer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package's own docstrings
            package = need("dog", extra=EXTRA, purpose="the controller dog")
        groups = groups_of(optimizer, 1.0, "weight_decay")
        rates = [group.pop("lr") for group in groups]
        new: Optimizer = _resting(package.DoG)(groups, reps_rel=self.reps_rel)
        # Set here and not in the constructor, which warns where it is not 1.
        for group, rate in zip(new.param_groups, rates, strict=True):
            group |= {"lr": rate, "rbar": None, "G": None}
        return new


def _resting(dog: Any) -> Any:
    """The package's class, its state taken apart between steps.

    The package keeps tensors in its groups and a flag on itself, and fails where a
    parameter has no gradient.
    """

    def step(self: Any, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        refuse_sparse(self, "dog")
        groups = self.param_groups
        try:
            for group in groups:
                everything = group["params"]
                active = [each for each in everything if each.grad is not None]
                if active:
                    group["params"], self.param_groups = active, [group]
                    try:
                        _gather(self, group)
                        dog.step(self)
                    finally:
                        _spread(self, group)
                        group["params"] = everything
        finally:
            self.param_groups = groups
        return loss

    def state_dict(self: Any) -> dict[str, Any]:
        return Optimizer.state_dict(self)

    def load_state_dict(self: Any, state: Mapping[str, Any]) -> None:
        Optimizer.load_state_dict(self, dict(state))

    methods = {"step": step, "state_dict": state_dict, "load_state_dict": load_state_dict}
    return type("DoG", (dog,), methods)


def _gather(optimizer: Any, group: dict[str, Any]) -> None:
    """Puts a group's state where the package looks for it."""
    optimizer._first_step = group["rbar"] is None
    if optimizer._first_step:
        return
    parameters = group["params"]
    for name in ("rbar", "G"):
        group[name] = parameters[0].new_tensor(group[name])
    group["init_buffer"] = [
        optimizer.state[each].get("start", each.detach().clone()) for each in parameters
    ]


def _spread(optimizer: Any, group: dict[str, Any]) -> None:
    """Takes a group's state apart: tensors to their parameters, numbers to the group."""
    group.pop("eta", None)
    for each, start in zip(group["params"], group.pop("init_buffer", ()), strict=False):
        optimizer.state[each]["start"] = start
    for name in ("rbar", "G"):
        if isinstance(group.get(name), torch.Tensor):
            group[name] = group[name].item()
