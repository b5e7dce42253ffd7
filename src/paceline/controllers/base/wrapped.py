"""What the controllers share that step a kept package's optimizer in place of the user's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import LBFGS, Optimizer, SparseAdam

from paceline.controllers.base.controller import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

EXTRA = "optimizers"
OPEN_WARMUP_STEPS = 100
# These follow the size of the gradient; all others divide by what they know of it.
_FOLLOW_THE_GRADIENT = {"SGD", "ASGD", "DoG", "SGDScheduleFree"}


class Wrapped(Controller):
    """A method that brings an update rule of its own, and steps it over the same parameters.

    The groups and the ratios of their learning rates are kept. Between steps every tensor
    of the replacement's state is in ``optimizer.state``, under its parameter, and its
    groups hold plain numbers alone, so that whoever copies or saves an optimizer of torch
    can copy and save this one.

    Args:
        learning_rate: The optimizer's own, positive.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1; of a
            budget without end the first 100 steps.
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.0) -> None:
        super().__init__(learning_rate)
        if not 0 <= warmup < 1:
            raise SettingError(f"warmup must be at least 0 and under 1, got {warmup:g}")
        self.warmup = float(warmup)

    @abstractmethod
    def replacement(self, optimizer: Optimizer) -> Optimizer:
        """The package's optimizer over the same parameters, ready to step."""

    def wrap(self, optimizer: Optimizer) -> Optimizer:
        """The package's optimizer in place of a given one.

        Raises:
            SettingError: It maximises, or needs a closure or sparse gradients.
            MissingExtra: The package is not installed.
        """
        name = type(optimizer).__name__
        if isinstance(optimizer, (LBFGS, SparseAdam)):
            raise SettingError(
                f"{type(self).__name__} cannot stand in for {name}: it works with dense"
                " gradients and without a closure; take another optimizer or controller"
            )
        if any(group.get("maximize") for group in optimizer.param_groups):
            raise SettingError(f"{type(self).__name__} cannot maximise; negate the loss")
        return self.replacement(optimizer)

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        """Learns nothing: what the method learns is in its optimizer's state."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is no state: it is all in the optimizer."""


def rising(seen: Reading, warmup: float) -> float:
    """The share of the full rate that a linear warm-up has reached, over 0 and at most 1.

    >>> rising(Reading(step=1, progress=0.01, total_steps=100), 0.03), rising(
    ...     Reading(step=50, progress=0.5, total_steps=100), 0.03)
    (0.5, 1.0)
    """
    if not warmup:
        return 1.0
    steps = seen.expected_steps
    warm = OPEN_WARMUP_STEPS if steps is None else warmup * steps
    return min((seen.step + 1) / (warm + 1), 1.0)


def falling(seen: Reading, warmup: float) -> float:
    """The share of the full rate on a straight line down to zero after a linear warm-up.

    Where the budget has no end it stays at the top.

    >>> falling(Reading(step=75, progress=0.75, total_steps=100), 0.0)
    0.25
    """
    up = rising(seen, warmup)
    done = seen.progress if seen.total_steps is None else seen.step / seen.total_steps
    return up if up < 1 else min(max((1 - done) / (1 - warmup), 0.0), 1.0)


def groups_of(optimizer: Optimizer, learning_rate: float, *names: str) -> list[dict[str, Any]]:
    """New groups over the same parameters, the ratios of their learning rates kept.

    Args:
        optimizer: At least its first group's learning rate should be positive; where it is
            not, all groups get the same.
        learning_rate: Of the first group.
        names: Other settings to take over from each group that has them.

    >>> a, b = torch.zeros(1), torch.zeros(1)
    >>> old = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.2}], lr=0.1)
    >>> [group["lr"] for group in groups_of(old, 1.0)]
    [1.0, 2.0]
    """
    first = float(optimizer.param_groups[0]["lr"])
    return [
        {
            "params": list(group["params"]),
            "lr": learning_rate * (float(group["lr"]) / first if first > 0 else 1.0),
            **{name: group[name] for name in names if name in group},
        }
        for group in optimizer.param_groups
    ]


def is_adaptive(optimizer: Optimizer) -> bool:
    """Whether the size of an update does not follow the size of the gradient.

    Such a rule wants its learning rate to grow with the root of the batch size; the
    others with the batch size.

    >>> parameter = [torch.zeros(1)]
    >>> [is_adaptive(kind(parameter)) for kind in (torch.optim.SGD, torch.optim.Adam)]
    [False, True]
    """
    bases = {each.__name__ for each in type(optimizer).__mro__}
    return not bases & _FOLLOW_THE_GRADIENT


def refuse_sparse(optimizer: Optimizer, method: str) -> None:
    """Refuses sparse gradients in a method that cannot take them.

    Raises:
        SettingError: A gradient is sparse.
    """
    for group in optimizer.param_groups:
        for each in group["params"]:
            if each.grad is not None and each.grad.layout is not torch.strided:
                raise SettingError(
                    f"{method} works with dense gradients, got a sparse one;"
                    " set sparse=False in the embedding"
                )
