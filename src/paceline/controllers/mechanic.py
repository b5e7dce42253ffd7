"""Mechanic: learns how far to go along the user's own optimizer's path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer

from paceline.controllers.base.wrapped import EXTRA, Wrapped, falling, groups_of, refuse_sparse
from paceline.core.errors import SettingError
from paceline.core.extras import need
from paceline.core.readings import Reading, Steer

_TUNED = ("s", "sum_squared_products", "reward", "max_product")
_BETAS = (0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
_EPS = 1e-8
_HIDDEN = "_mechanic"  # where the package keeps all of its state while it steps


@final
class Mechanic(Wrapped):
    """Tunes the scale of any optimizer from its own gradients; the given rate is not used.

    The optimizer u walks with the plain schedule as its rate, and the parameters are

        x_{t+1} = x_1 + (s_1 + ... + s_n) Δ_{t+1},  Δ_{t+1} = Δ_t + u_t,

    where each s_i follows from the products <g_t, Δ_t> at a memory of its own. The package
    ``mechanic_pytorch`` steps; here its state is kept so that it can be copied and saved
    exactly. It takes two more copies of the parameters: x_1 and Δ.

    Args:
        learning_rate: The optimizer's own; it has no effect.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1.
        decay: How strongly x is drawn to zero, at least 0 (λ in the paper).
        start: The first scale, over 0; it grows from here.

    Reference: Cutkosky, Defazio & Mehta 2023, "Mechanic: A Learning Rate Tuner",
    algorithm 1; in its experiments there is a linear decay on top.

    >>> schedule = Mechanic(0.1, warmup=0.0)
    >>> schedule.decide(Reading(step=25, progress=0.25, total_steps=100)).learning_rate
    0.75
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        warmup: float = 0.05,
        decay: float = 0.01,
        start: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, warmup=warmup)
        if not 0 <= decay < float("inf"):
            raise SettingError(f"decay must be at least 0 and finite, got {decay:g}")
        if not 0 < start < float("inf"):
            raise SettingError(f"start must be over 0 and finite, got {start:g}")
        self.decay, self.start = float(decay), float(start)

    def decide(self, seen: Reading) -> Steer:
        return Steer(
            learning_rate=falling(seen, self.warmup), reason="Mechanic scales the optimizer's path"
        )

    def replacement(self, optimizer: Optimizer) -> Optimizer:
        package = need("mechanic_pytorch", extra=EXTRA, purpose="the controller mechanic")
        mechanized = package.mechanize(
            type(optimizer),
            s_decay=self.decay,
            betas=_BETAS,
            s_init=self.start,
            eps=_EPS,
            # The package can work Δ out again as (x - x_1) / s; that loses it while s is small.
            store_delta=True,
        )
        return _like(optimizer, _resting(mechanized, self.decay, self.start))


def _like(optimizer: Optimizer, kind: type[Optimizer]) -> Optimizer:
    """An optimizer of another class with the same settings; its rate is 1 and it is fresh."""
    new = kind.__new__(kind)
    # A scheduler hangs its own step on the instance; fused kernels unscale out of our sight.
    left_out = {"step", "_step_supports_amp_scaling"}
    vars(new).update({name: v for name, v in vars(optimizer).items() if name not in left_out})
    new.defaults = optimizer.defaults | {"lr": 1.0}
    new.state = defaultdict(dict)
    groups = groups_of(optimizer, 1.0)
    new.param_groups = [
        old | group for old, group in zip(optimizer.param_groups, groups, strict=True)
    ]
    for settings in [new.defaults, *new.param_groups]:
        if "fused" in settings:
            settings["fused"] = None
    new.param_groups[0]["mechanic"] = None  # a state from before the first step says so too
    return new


def _resting(mechanized: type[Optimizer], decay: float, start: float) -> type[Optimizer]:
    """The package's class, its state taken apart between steps."""

    def step(self: Optimizer, closure: Callable[[], float] | None = None) -> float | None:
        refuse_sparse(self, "mechanic")
        parameters = [each for group in self.param_groups for each in group["params"]]
        if closure is None and all(each.grad is None for each in parameters):
            return None
        grown = torch.is_grad_enabled()
        _gather(self, parameters, decay, start)
        try:
            # The package calls the closure with gradients switched off.
            return mechanized.step(self, closure and torch.enable_grad()(closure))
        finally:
            torch.set_grad_enabled(grown)  # the package leaves it off when it fails
            _spread(self, parameters)

    step.hooked = True  # type: ignore[attr-defined] # the base's step calls the hooks already
    return type(f"Mechanic{mechanized.__mro__[1].__name__}", (mechanized,), {"step": step})


def _gather(optimizer: Optimizer, parameters: list[Tensor], decay: float, start: float) -> None:
    """Puts the state where the package looks for it, and out of the base optimizer's way."""
    kept = optimizer.param_groups[0]["mechanic"]
    if kept is None:
        return
    hidden: dict[Any, Any] = {
        "s_decay": torch.tensor(decay),
        "betas": torch.tensor(_BETAS),
        "s_init": torch.tensor(start),
        "eps": _EPS,
        "iter_count": kept["steps"],
        **{name: torch.tensor(kept[name]) for name in _TUNED},
    }
    for each in parameters:
        # A base optimizer takes a parameter for new while its state is empty.
        own = optimizer.state.pop(each, {})
        reference, delta = own.pop("mechanic_reference", None), own.pop("mechanic_delta", None)
        if own:
            optimizer.state[each] = own
        hidden[each] = {
            "ref": each.detach().clone() if reference is None else reference,
            "delta": torch.zeros_like(each) if delta is None else delta,
        }
    optimizer.state[_HIDDEN] = hidden  # type: ignore[index] # the package's own key


def _spread(optimizer: Optimizer, parameters: list[Tensor]) -> None:
    """Takes the state apart: tensors to their parameters, numbers to the first group."""
    hidden: Any = optimizer.state.pop(_HIDDEN, None)  # type: ignore[call-overload] # its own key
    if hidden is None:
        return
    tuned = torch.stack([hidden[name] for name in _TUNED]).tolist()
    optimizer.param_groups[0]["mechanic"] = {
        "steps": hidden["iter_count"],
        **{name: tuple(row) for name, row in zip(_TUNED, tuned, strict=True)},
    }
    for each in parameters:
        own = optimizer.state[each]
        own["mechanic_reference"] = hidden[each]["ref"]
        own["mechanic_delta"] = hidden[each]["delta"]
