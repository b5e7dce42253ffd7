"""Numbers read off the gradients of a step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import torch
from torch import Tensor

Parameters = Sequence[Tensor]
SMALL = 4096
EVERY, OFTEN_UNTIL, LATER = 8, 64, 4
FAINT = 1e-3
WATCHED = 8
SAMPLED, SAMPLE, SAMPLED_ROWS = 2**18, 2**15, 16


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

    One pass over the gradients of a million parameters costs about a twentieth of a step, so
    between two measurements only the small ones are read (biases, scales: what is not
    finite in a layer's output reaches them), and of many such in calm steps eight.

    Args:
        parameters: Whose gradients.
        every: Steps from one measurement to the next; where it is over 1, four times as many
            after the first 64 steps, unless the last norm was zero.
    """

    def __init__(self, parameters: Parameters, every: int) -> None:
        self._parameters, self._every = parameters, every
        self._small = [each for each in parameters if each.numel() <= SMALL]
        self._count, self._last, self._due_at = 0, 0.0, 1
        self._watched: list[Tensor] = []
        self._plain = False
        self._found, self._one = torch.zeros(1), torch.ones(1)

    def read(self) -> float:
        """The last norm that was measured; nan or inf where a gradient is not finite."""
        self._count += 1
        if self._count >= self._due_at:
            self._last = float(global_norm(self._parameters))
            self._due_at = self._count + self._wait()
            self._choose()
            return self._last
        return self._last if self._is_finite() else math.nan

    def pass_by(self) -> float | None:
        """What ``read`` gives where it is quick to tell; None, and nothing counted, elsewhere."""
        if self._count + 1 >= self._due_at or not self._plain:
            return None
        gradients = [grad for each in self._watched if (grad := each.grad) is not None]
        if not gradients or self._overflows(gradients):
            return None
        self._count += 1
        return self._last

    def _choose(self) -> None:
        """Which of the small gradients are watched in calm steps: the first and the last too."""
        small = [each for each in self._small if each.grad is not None]
        last = len(small) - 1
        if last >= WATCHED:
            small = [small[last * at // (WATCHED - 1)] for at in range(WATCHED)]
        self._watched = small
        self._plain = all(each.grad is not None and _is_plain(each.grad) for each in self._watched)

    def _wait(self) -> int:
        if self._every == 1 or not self._small or self._last == 0:
            return 1
        return self._every if self._count < OFTEN_UNTIL else LATER * self._every

    def _is_finite(self) -> bool:
        """Whether the small gradients are."""
        gradients = [each.grad for each in self._small if each.grad is not None]
        if not all(_is_plain(each) for each in gradients):
            return math.isfinite(float(global_norm(self._small)))
        return not gradients or not self._overflows(gradients)

    def _overflows(self, gradients: list[Tensor]) -> bool:
        """In one call; the gradients are multiplied by one."""
        torch._amp_foreach_non_finite_check_and_unscale_(gradients, self._found, self._one)
        if self._found.item() == 0:
            return False
        self._found.zero_()
        return True

    def state_dict(self) -> dict[str, float]:
        """The last measurement and when it was."""
        return {"count": self._count, "last": self._last, "due_at": self._due_at}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._count, self._last = int(state["count"]), state["last"]
        self._due_at = int(state["due_at"])


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

    Of a tensor of over 262,144 elements it looks at every n-th row alone, at some 32,768
    elements, and takes them for the whole.

    Args:
        parameters: That are moved.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = [each for each in parameters if each.requires_grad]
        self._shares = [_share(each) for each in self._parameters]
        self._before: list[Tensor] = []

    @torch.no_grad()
    def begin(self) -> None:
        """Just before the step."""
        now = self._looked_at()
        if len(self._before) != len(now):
            self._before = [torch.empty_like(each) for each in now]
        torch._foreach_copy_(self._before, now)

    @torch.no_grad()
    def end(self) -> tuple[float, float]:
        """Just after it: L2 norm of the parameters before, and of their change.

        The first is at least what it is where each parameter is a thousandth, so that a
        network that begins at zero has a size too.
        """
        least = FAINT * math.sqrt(sum(each.numel() for each in self._parameters))
        norm = max(self._norm(), least)
        torch._foreach_sub_(self._before, self._looked_at())
        return norm, self._norm()

    def _looked_at(self) -> list[Tensor]:
        return [
            each if share == 1 else each.detach()[::share]
            for each, share in zip(self._parameters, self._shares, strict=True)
        ]

    def _norm(self) -> float:
        """Of all that was copied, as if it were all there is."""
        norms = torch._foreach_norm(self._before)
        whole = [
            norm if share == 1 else norm * math.sqrt(each.numel() / part.numel())
            for norm, share, each, part in zip(
                norms, self._shares, self._parameters, self._before, strict=True
            )
        ]
        return _together(whole)


def _is_plain(gradient: Tensor) -> bool:
    """Whether the kernel that gradient scalers use can read it."""
    known = gradient.dtype == torch.float32 and gradient.layout is torch.strided
    return known and gradient.is_cpu and not gradient.requires_grad


def _share(parameter: Tensor) -> int:
    """Which rows are looked at: every so-manieth."""
    if parameter.numel() <= SAMPLED or parameter.layout is not torch.strided:
        return 1
    return max(1, min(parameter.numel() // SAMPLE, parameter.shape[0] // SAMPLED_ROWS))


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
