"""Prodigy: Adam that estimates how far away the solution is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch.optim import Optimizer

from paceline.controllers.base.wrapped import EXTRA, Wrapped, falling, groups_of, refuse_sparse
from paceline.core.errors import SettingError
from paceline.core.extras import need
from paceline.core.readings import Reading, Steer

_BETAS = (0.9, 0.999)


@final
class Prodigy(Wrapped):
    """Adam whose step is scaled by a growing lower bound d of the distance to the solution.

    The given rate is not used: Prodigy's own is 1, and a straight line takes it to zero.
    ``betas``, ``eps`` and the weight decay are the optimizer's own where it has them.
    A group whose rate is a part of the others' gets that part of Prodigy's update.

    Args:
        learning_rate: The optimizer's own; it has no effect.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        start: The first estimate of d, over 0; it grows from here.
        scale: What d is multiplied by, over 0.

    Reference: Mishchenko & Defazio 2023, "Prodigy: An Expeditiously Adaptive
    Parameter-Free Learner", algorithm 4; the package is ``prodigyopt``.

    >>> Prodigy(0.1).decide(Reading(step=25, progress=0.25, total_steps=100)).learning_rate
    0.75
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        warmup: float = 0.0,
        start: float = 1e-6,
        scale: float = 1.0,
    ) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 < start < float("inf"):
            raise SettingError(f"start must be over 0 and finite, got {start:g}")
        if not 0 < scale < float("inf"):
            raise SettingError(f"scale must be over 0 and finite, got {scale:g}")
        self.start, self.scale = float(start), float(scale)

    def decide(self, seen: Reading) -> Steer:
        return Steer(
            learning_rate=falling(seen, self.warmup), reason="Prodigy estimates the distance"
        )

    def replacement(self, optimizer: Optimizer) -> Optimizer:
        package = need("prodigyopt", extra=EXTRA, purpose="the controller prodigy")
        groups = groups_of(optimizer, 1.0, "betas", "eps")
        rates = [group.pop("lr") for group in groups]
        new: Optimizer = _in_parts(package.Prodigy)(
            groups,
            betas=_BETAS,
            d0=self.start,
            d_coef=self.scale,
            safeguard_warmup=self.warmup > 0,
        )
        # Set here and not in the constructor, which prints a line where there is decay.
        for group, old, rate in zip(new.param_groups, optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
            group["weight_decay"] = old.get("weight_decay", 0.0)
            group["decouple"] = bool(old.get("decoupled_weight_decay", False))
        return new


def _in_parts(prodigy: Any) -> Any:
    """The package's class, made to take groups with different rates."""

    def step(self: Optimizer, closure: Callable[[], float] | None = None) -> float | None:
        refuse_sparse(self, "prodigy")
        rates = [group["lr"] for group in self.param_groups]
        highest = max(rates)
        parts: list[tuple[float, list[tuple[Any, Any]]]] = []
        for group, rate in zip(self.param_groups, rates, strict=True):
            if 0 < rate < highest:
                group["lr"] = highest  # the package knows one rate, and 0
                parts.append((rate / highest, [(p, p.detach().clone()) for p in group["params"]]))
        try:
            loss: float | None = prodigy.step(self, closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate
        with torch.no_grad():
            for part, pairs in parts:
                for parameter, before in pairs:
                    parameter.copy_(before.lerp(parameter, part))
        return loss

    return type("Prodigy", (prodigy,), {"step": step})
