"""Chance that does not depend on who works on an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from paceline.data.base.batches import mixed

_DROPOUTS = {
    nn.functional.dropout: 0,
    nn.functional.dropout1d: 1,
    nn.functional.dropout2d: 2,
    nn.functional.dropout3d: 3,
}


@final
class WholeBatch(TorchFunctionMode):
    """Draws each dropout mask for the whole global batch and uses the rows of one share.

    So an example's mask is the same whatever rows come along with it. The first axis of what
    is dropped must be the example, or examples times something (heads); other layouts keep
    their own chance.

    Args:
        first: First row of the share.
        count: Rows of the share.
        total: Rows of the whole batch.
    """

    def __init__(self, *, first: int, count: int, total: int) -> None:
        super().__init__()
        self._first, self._count, self._total = first, count, total

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DROPOUTS:
            return self._drop(_DROPOUTS[func], *args, **given)
        return func(*args, **given)

    def _drop(
        self, dims: int, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        rows, odd = divmod(len(input), self._count)
        shape = list(input.shape)
        if dims:
            shape[2:] = [1] * (len(shape) - 2)
        if odd:
            mask = torch.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p)
        else:
            shape[0] = rows * self._total
            whole = torch.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(1 - p)
            mask = whole[rows * self._first : rows * (self._first + self._count)]
        kept = mask / (1 - p) if p < 1 else mask
        return input.mul_(kept) if inplace else input * kept


def begin_batch(seed: int, number: int) -> None:
    """Lets what the layers of a model draw follow from the seed and the batch alone."""
    torch.manual_seed(mixed(seed, number, 1))


def drops(model: nn.Module) -> bool:
    """Whether a model has layers that drop something.

    >>> drops(nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.1))), drops(nn.Linear(1, 1))
    (True, False)
    """
    return any(
        isinstance(each, (_DropoutNd, nn.MultiheadAttention)) or getattr(each, "dropout", 0)
        for each in model.modules()
    )
