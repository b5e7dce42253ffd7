"""Numbers read off the gradients of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import torch
from torch import Tensor

Parameters = Sequence[Tensor]
SMALL = 4096
EVERY = 8
FAINT = 1e-3


def global_norm(parameters: Iterable[Tensor]) -> Tensor:
    """L2 norm of all gradients together: a tensor without axes; 0 where there are none.

    >>> weight = torch.zeros(2, requires_grad=True)
    >>> (weight * torch.tensor([3.0, 4.0])).sum().backward()
    >>> global_norm([weight]).item()
    5.0
    """
    gradients = _gradients(parameters)
    if not gradients:
        return torch.zeros(())
    norms = torch._foreach_norm(gradients)
    if len(norms) == 1:
        return norms[0]
    first = norms[0].device
    norm: Tensor = torch.linalg.vector_norm(torch.stack([each.to(first) for each in norms]))
    return norm


@final
class Norms:
    """The gradient's norm, measured now and then; what is not finite is looked for every step.

    One pass over the gradients of a million parameters costs about a fiftieth of a step, so
    between two measurements only the small ones are read (biases, scales: what is not
    finite in a layer's output reaches them).

    Args:
        parameters: Whose gradients.
        every: Steps from one measurement to the next.
    """

    def __init__(self, parameters: Parameters, every: int) -> None:
        self._parameters, self._every = parameters, every
        self._small = [each for each in parameters if each.numel() <= SMALL]
        self._count, self._last = 0, 0.0

    def read(self) -> float:
        """The last norm that was measured; nan or inf where a gradient is not finite."""
        self._count += 1
        if self._every == 1 or self._count % self._every == 1 or not self._small:
            self._last = float(global_norm(self._parameters))
            return self._last
        small = float(global_norm(self._small))
        return self._last if math.isfinite(small) else small

    def state_dict(self) -> dict[str, float]:
        """The last measurement and when it was."""
        return {"count": self._count, "last": self._last}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._count, self._last = int(state["count"]), state["last"]


@final
class Alignment:
    """Compares each step's gradient with that of the step before.

    Args:
        parameters: Whose gradients.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._before: list[Tensor] = []

    @torch.no_grad()
    def read(self, norm: float) -> tuple[float, float]:
        """Cosine and inner product with the gradient before; nan where there was none.

        Args:
            norm: Of this step's gradient.
        """
        gradients = _gradients(self._parameters)
        found = float("nan"), float("nan")
        if len(self._before) == len(gradients) and gradients:
            product = sum(
                float(torch.dot(now.flatten(), then.flatten()))
                for now, then in zip(gradients, self._before, strict=True)
            )
            scale = norm * float(
                torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self._before)))
            )
            found = (product / scale if scale > 0 else 0.0), product
        self._before = [each.clone() for each in gradients]
        return found

    def state_dict(self) -> dict[str, list[Tensor]]:
        """The gradient before."""
        return {"before": self._before}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._before = list(state["before"])


@final
class Motion:
    """Measures how far a step moves the parameters.

    Args:
        parameters: That are moved.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = [each for each in parameters if each.requires_grad]
        self._before: list[Tensor] = []

    @torch.no_grad()
    def begin(self) -> None:
        """Just before the step."""
        if len(self._before) != len(self._parameters):
            self._before = [torch.empty_like(each) for each in self._parameters]
        torch._foreach_copy_(self._before, self._parameters)

    @torch.no_grad()
    def end(self) -> tuple[float, float]:
        """Just after it: L2 norm of the parameters before, and of their change.

        The first is at least what it is where each parameter is a thousandth, so that a
        network that begins at zero has a size too.
        """
        least = FAINT * math.sqrt(sum(each.numel() for each in self._before))
        norm = max(_together(torch._foreach_norm(self._before)), least)
        torch._foreach_sub_(self._before, self._parameters)
        return norm, _together(torch._foreach_norm(self._before))


def _together(norms: Sequence[Tensor]) -> float:
    first = norms[0].device
    stacked = torch.stack([each.to(first, torch.float32) for each in norms])
    return float(torch.linalg.vector_norm(stacked))


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [
        each.grad.coalesce().values() if each.grad.is_sparse else each.grad
        for each in parameters
        if each.grad is not None
    ]
