"""Numbers read off the gradients of a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor

Parameters = Sequence[Tensor]


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
    first = norms[0].device
    norm: Tensor = torch.linalg.vector_norm(torch.stack([each.to(first) for each in norms]))
    return norm


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


def _gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [
        each.grad.coalesce().values() if each.grad.is_sparse else each.grad
        for each in parameters
        if each.grad is not None
    ]
