"""The bench: a model's weights side by side in one piece of memory that processes share."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

_ALIGNMENT = 64


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Where one tensor lies; tied weights have several names and one spot."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    start: int
    end: int


@final
class Layout:
    """Where each of some tensors lies in a piece of memory.

    Tensors of one dtype lie together, so that whole gradients are added in one pass.

    Args:
        tensors: By name; the same tensor may have several names.

    >>> weight = torch.ones(2, 3)
    >>> layout = Layout({"a": weight, "b": torch.zeros(1), "tied": weight})
    >>> [spot.names for spot in layout.spots], layout.size
    ([('a', 'tied'), ('b',)], 128)
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        names: dict[int, list[str]] = {}
        for name, tensor in tensors.items():
            names.setdefault(id(tensor), []).append(name)
        distinct = {id(tensor): tensor for tensor in tensors.values()}
        spots, at = [], 0
        for key, tensor in sorted(distinct.items(), key=lambda pair: str(pair[1].dtype)):
            end = at + tensor.numel() * tensor.element_size()
            spots.append(
                Spot(
                    names=tuple(names[key]),
                    shape=tuple(tensor.shape),
                    stride=_dense(tensor),
                    dtype=tensor.dtype,
                    start=at,
                    end=end,
                )
            )
            at = -(-end // _ALIGNMENT) * _ALIGNMENT
        self.spots, self.size = tuple(spots), at

    def memory(self) -> Tensor:
        """Zeroed memory for it that processes can share: uint8 [size]."""
        memory = torch.zeros(max(self.size, 1), dtype=torch.uint8)
        memory.share_memory_()  # type: ignore[no-untyped-call] # torch leaves it untyped
        return memory

    def views(self, memory: Tensor) -> list[Tensor]:
        """The tensors, in the order of the spots, as they lie in a memory."""
        return [  # .data: each counts its own changes, or autograd would take one for all
            memory[spot.start : spot.end].view(spot.dtype).as_strided(spot.shape, spot.stride).data
            for spot in self.spots
        ]

    def stretches(self, memory: Tensor) -> list[Tensor]:
        """All of a memory, as one flat tensor for each dtype."""
        ends: dict[torch.dtype, tuple[int, int]] = {}
        for spot in self.spots:
            start, _ = ends.get(spot.dtype, (spot.start, 0))
            ends[spot.dtype] = (start, -(-spot.end // _ALIGNMENT) * _ALIGNMENT)
        return [memory[start:end].view(dtype) for dtype, (start, end) in ends.items()]

    def fingerprint(self) -> str:
        """Of names, shapes and dtypes: the same in two processes that hold the same model."""
        text = repr([(spot.names, spot.shape, str(spot.dtype)) for spot in self.spots])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """All parameters by name, tied ones under each of their names."""
    return dict(model.named_parameters(remove_duplicate=False))


def buffers_of(model: nn.Module) -> dict[str, Tensor]:
    """All buffers by name, also those that are not saved."""
    return dict(model.named_buffers(remove_duplicate=False))


def trainable(layout: Layout, model: nn.Module) -> list[int]:
    """Numbers of the spots whose parameter is trained."""
    known = parameters_of(model)
    return [at for at, spot in enumerate(layout.spots) if known[spot.names[0]].requires_grad]


def settle(model: nn.Module, parameters: Sequence[Tensor], layout: Layout) -> None:
    """Moves a model's parameters into views, values and identities kept."""
    known = parameters_of(model)
    with torch.no_grad():
        for spot, view in zip(layout.spots, parameters, strict=True):
            parameter = known[spot.names[0]]
            view.copy_(parameter)
            parameter.data = view


def settle_buffers(model: nn.Module, buffers: Sequence[Tensor], layout: Layout) -> None:
    """Moves a model's buffers into views, values kept."""
    known = buffers_of(model)
    with torch.no_grad():
        for spot, view in zip(layout.spots, buffers, strict=True):
            view.copy_(known[spot.names[0]])
            for name in spot.names:
                _put(model, name, view)


def hollow(model: nn.Module) -> nn.Module:
    """A copy of a model without the memory of its weights: what travels to an agent."""
    given = {id(each): each for each in [*model.parameters(), *model.buffers()]}
    memo: dict[int, object] = {}
    for key, tensor in given.items():
        empty = torch.empty_like(tensor, device="meta")
        memo[key] = (
            nn.Parameter(empty, requires_grad=tensor.requires_grad)
            if isinstance(tensor, nn.Parameter)
            else empty
        )
    return copy.deepcopy(model, memo)


def fill(
    model: nn.Module, layout: Layout, tensors: Iterable[Tensor], *, trained: Iterable[bool]
) -> None:
    """Gives a hollow model its parameters."""
    for spot, tensor, learns in zip(layout.spots, tensors, trained, strict=True):
        parameter = nn.Parameter(tensor, requires_grad=learns)
        for name in spot.names:
            _put(model, name, parameter)


def fill_buffers(model: nn.Module, layout: Layout, tensors: Iterable[Tensor]) -> None:
    """Gives a hollow model its buffers."""
    for spot, tensor in zip(layout.spots, tensors, strict=True):
        for name in spot.names:
            _put(model, name, tensor)


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, last = name.rpartition(".")
    owner = model.get_submodule(path)
    table = owner._parameters if last in owner._parameters else owner._buffers
    table[last] = tensor  # type: ignore[assignment] # a parameter where parameters are


def _dense(tensor: Tensor) -> tuple[int, ...]:
    """A tensor's strides where it fills its memory without gaps, else those of a plain one."""
    strides = sorted(zip(tensor.stride(), tensor.shape, strict=True))
    expected = 1
    for stride, size in strides:
        if size == 1:
            continue
        if stride != expected:
            return tuple(torch.empty(tensor.shape, device="meta").stride())
        expected *= size
    return tuple(tensor.stride())
