"""Sets learning rates, and notices when somebody else has set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor
from torch.optim import Optimizer

DEFAULT_BETA2 = 0.999
_CLOSE = 1e-6


def _beta2(group: Mapping[str, Any]) -> Any:
    betas = group.get("betas")
    return betas[1] if isinstance(betas, tuple) and len(betas) == 2 else None


@final
class Rates:
    """The learning rates of an optimizer's groups, their ratios kept.

    When somebody else changes a rate between two steps, that is followed: from then on
    every rate that is set here is multiplied by what they multiplied it by.

    Args:
        optimizer: Whose.

    >>> import torch
    >>> weight, bias = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    >>> optimizer = torch.optim.SGD([{"params": [weight]}, {"params": [bias], "lr": 0.2}], lr=0.1)
    >>> rates = Rates(optimizer)
    >>> rates.set(0.5)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.5, 1.0]
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        first = self.now
        self._ratios = [
            float(group["lr"]) / first if first else 1.0 for group in optimizer.param_groups
        ]
        self._set: float | None = None
        self._given: float | None = None
        self._untouched = [
            group
            for group in optimizer.param_groups
            if _beta2(group) == DEFAULT_BETA2 and not optimizer.state
        ]
        self.outside = 1.0

    @property
    def now(self) -> float:
        """The first group's."""
        return float(self._optimizer.param_groups[0]["lr"])

    def is_own(self) -> bool:
        """Whether the rate is the very one that was set here."""
        return bool(self._optimizer.param_groups[0]["lr"] == self._set)

    def set(self, rate: float) -> None:
        """Sets the first group's rate; the others keep their ratio to it."""
        rate *= self.outside
        while len(self._ratios) < len(self._optimizer.param_groups):  # added meanwhile
            group = self._optimizer.param_groups[len(self._ratios)]
            self._ratios.append(float(group["lr"]) / self.now if self.now else 1.0)
        for group, ratio in zip(self._optimizer.param_groups, self._ratios, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        self._set = self.now

    def scale(self, factor: float) -> None:
        """Multiplies the rates that the optimizer came with."""
        if self._given is None:
            self._given = self.now
        self.set(self._given * factor / self.outside)

    def remember(self, beta2: float) -> None:
        """Sets the decay of the second moments, where it was left at torch's default.

        >>> import torch
        >>> weight = torch.zeros(1, requires_grad=True)
        >>> optimizer = torch.optim.Adam([weight])
        >>> Rates(optimizer).remember(0.98)
        >>> optimizer.param_groups[0]["betas"]
        (0.9, 0.98)
        """
        untouched = len(self._untouched) == len(self._optimizer.param_groups)
        for group in self._optimizer.param_groups if untouched else ():
            if group["betas"][1] != beta2:
                group["betas"] = (group["betas"][0], beta2)

    def follow(self) -> float | None:
        """The rate that somebody else has set since ``set``; None where nobody has."""
        now, own = self.now, self._set
        if own is None or abs(now - own) <= _CLOSE * max(abs(own), abs(now)):
            return None
        if own > 0:
            self.outside *= now / own
        self._set = now
        return now

    def state_dict(self) -> dict[str, Any]:
        """Ratios, and what others have done."""
        return {
            "ratios": list(self._ratios),
            "outside": self.outside,
            "set": self._set,
            "given": self._given,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._ratios, self.outside = list(state["ratios"]), state["outside"]
        self._set, self._given = state["set"], state["given"]
