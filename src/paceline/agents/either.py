"""Steps on gradients as one optimizer, and on what agents changed as another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch.optim import Optimizer

_SPEED = "outer_momentum"


@final
class Either(Optimizer):
    r"""The person's own optimizer, and between its steps those of ``Outer``.

    After an exact round there stand gradients, and ``plain`` steps. After local steps there
    stands what the agents changed, over ``unit`` = learning rate times local steps, so that its
    size is that of a gradient; with δ that times ``unit`` the step is that of ``Outer``.

    Both keep their state in one place, that of ``plain``, whose groups it shares.

    Args:
        plain: The person's own.
        unit: Of what stands in the gradients now; None where these are gradients.
        outer_rate: Over 0.
        momentum: Of the outer step, from 0 to under 1.

    >>> weight, unit = torch.ones(1, requires_grad=True), [None]
    >>> both = Either(torch.optim.SGD([weight], lr=0.1), lambda: unit[0])
    >>> weight.grad = torch.tensor([1.0]); both.step(); round(weight.item(), 3)
    0.9
    >>> unit[0] = 0.4; both.step(); round(weight.item(), 3)
    0.5
    """

    def __init__(
        self,
        plain: Optimizer,
        unit: Callable[[], float | None],
        *,
        outer_rate: float = 1.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__([{"params": group["params"]} for group in plain.param_groups], {})
        self._plain, self._unit = plain, unit
        self._rate, self._momentum = outer_rate, momentum
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self._plain.param_groups, self._plain.state
        self.defaults = self._plain.defaults

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override] # torch overloads it
        """Moves the weights by what stands in their gradients."""
        unit = self._unit()
        if unit is None:
            self._plain.step()
            return
        stateless = all(set(each) <= {_SPEED} for each in self.state.values())
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    change = parameter.grad * unit
                    # one that plain has not begun with is left to it: it would miss its own
                    if self._momentum and (stateless or self.state.get(parameter)):
                        change = self._with_speed(parameter, change)
                    parameter.add_(change, alpha=-self._rate)

    def _with_speed(self, parameter: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if _SPEED not in state:
            state[_SPEED] = torch.zeros_like(parameter)
        speed = state[_SPEED].mul_(self._momentum).add_(change)
        moved: torch.Tensor = change + self._momentum * speed
        return moved

    def state_dict(self) -> dict[str, Any]:
        """That of the person's own."""
        return self._plain.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._plain.load_state_dict(dict(state_dict))
        self._share()
