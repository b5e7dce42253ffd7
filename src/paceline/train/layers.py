"""Looks after a model's layers: which are dead, which explode, and how dead ones begin anew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError

DEAD_SHARE = 0.9  # of a layer's units
OUT_OF_PROPORTION, GRADIENT_OUT_OF_PROPORTION = 30.0, 1e3
HISTORY = 0.8  # what of a size's average stays at a reading


@final
class Layers:
    """Finds layers that learn nothing any more, and layers that have grown out of proportion.

    A layer is a module with parameters of its own; it is called by the module's number and
    its name in it (``0.encoder.2``). One reading costs a pass over the gradients; read every
    50 steps or so.

    Args:
        modules: The models.
        readings: In a row that a unit's gradient must be exactly zero, at least 1: a layer
            behind one that begins with zeros gets no gradient in the first step either.
        seed: Of the values that layers begin anew with.

    >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> _ = nn.init.constant_(model[0].bias, -10.0)
    >>> layers = Layers([model], readings=1)
    >>> model(torch.ones(8, 2)).sum().backward()
    >>> layers.dead()
    ['0.0']
    >>> layers.revive(["0.0"])
    >>> model[0].bias.min().item() > -1.0
    True
    """

    def __init__(self, modules: Sequence[nn.Module], *, readings: int = 3, seed: int = 0) -> None:
        if readings < 1:
            raise SettingError(f"readings must be at least 1, got {readings}")
        self._modules, self._readings, self._seed = modules, readings, seed
        self._silent: dict[str, Tensor] = {}  # readings in a row without gradient, by unit
        self._sizes: dict[str, float] = {}  # average logarithm of a size, by layer and kind
        self._revived = 0

    @torch.no_grad()
    def dead(self) -> list[str]:
        """Names of layers of whose units nine in ten had no gradient for several readings.

        A unit is a row of the weights together with its entry of the bias.
        """
        found = []
        for name, layer in self._named():
            units = _units_without_gradient(layer, _least_share(layer))
            if units is None:
                self._silent.pop(name, None)
                continue
            before = self._silent.get(name)
            if before is None or before.shape != units.shape:
                before = torch.zeros_like(units, dtype=torch.int64)
            self._silent[name] = silent = (before + 1) * units
            if _share(silent >= self._readings) >= _least_share(layer):
                found.append(name)
        return found

    @torch.no_grad()
    def exploding(self) -> list[str]:
        """Names of layers whose weights or gradients outgrew the others' and their own past.

        Measured is the growth of the root mean square since the average of the readings
        before: 30 times for weights and 1,000 times for gradients, beyond what the middle
        one of all layers grew. Not finite counts as exploding.
        """
        found: set[str] = set()
        for kind, most in [
            ("weights", OUT_OF_PROPORTION),
            ("gradients", GRADIENT_OUT_OF_PROPORTION),
        ]:
            now = self._logarithms(kind)
            grown = {
                name: size - self._sizes.get(f"{kind} {name}", size) if size < math.inf else size
                for name, size in now.items()
            }
            usual = max(median(grown.values()), 0.0) if len(grown) > 1 else 0.0
            wild = {name for name, by in grown.items() if not by - usual <= math.log(most)}
            for name in now.keys() - wild:
                key = f"{kind} {name}"
                self._sizes[key] = now[name] - HISTORY * grown[name]
            found |= wild
        return [name for name, _ in self._named() if name in found]

    def revive(self, names: Sequence[str]) -> None:
        """Draws the values of layers anew, as their modules do it themselves.

        A layer behind which all is dead has no gradient either, so that it is among the dead
        ones itself; one that is alive is left as it is. The global generators stay as they
        are.

        Args:
            names: As ``dead`` gives them.

        Raises:
            SettingError: There is no such layer.
        """
        known = dict(self._named())
        for at, name in enumerate(names):
            if name not in known:
                raise SettingError(f"there is no layer {name!r}; there are: {', '.join(known)}")
            _begin_anew(known[name], self._seed + 1000 * self._revived + at)
            self._silent.pop(name, None)
            for kind in ("weights", "gradients"):
                self._sizes.pop(f"{kind} {name}", None)
        self._revived += 1

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the readings before."""
        silent = {name: units.tolist() for name, units in self._silent.items()}
        return {"silent": silent, "sizes": dict(self._sizes), "revived": self._revived}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        known = dict(self._named())
        self._silent = {
            name: torch.tensor(units, device=next(known[name].parameters()).device)
            for name, units in state["silent"].items()
            if name in known
        }
        self._sizes, self._revived = dict(state["sizes"]), state["revived"]

    def _named(self) -> Iterator[tuple[str, nn.Module]]:
        """Modules with parameters of their own, each once."""
        seen: set[nn.Module] = set()
        for at, module in enumerate(self._modules):
            for name, layer in module.named_modules():
                if layer not in seen and any(True for _ in layer.parameters(recurse=False)):
                    seen.add(layer)
                    yield f"{at}.{name}".rstrip("."), layer

    def _logarithms(self, kind: str) -> dict[str, float]:
        """Logarithm of the root mean square of each layer's weights or gradients."""
        owners: list[str] = []
        tensors: list[Tensor] = []
        for name, layer in self._named():
            for each in layer.parameters(recurse=False):
                tensor = each if kind == "weights" else each.grad
                if tensor is not None and tensor.numel():
                    owners.append(name)
                    tensors.append(tensor.coalesce().values() if tensor.is_sparse else tensor)
        squares: dict[str, float] = {}
        counts: dict[str, int] = {}
        for name, tensor, norm in zip(owners, tensors, _norms(tensors), strict=True):
            squares[name] = squares.get(name, 0.0) + norm**2
            counts[name] = counts.get(name, 0) + tensor.numel()
        return {
            name: 0.5 * math.log(square / counts[name]) if square < math.inf else math.inf
            for name, square in squares.items()
            if square != 0
        }


def _norms(tensors: list[Tensor]) -> list[float]:
    if not tensors:
        return []
    norms = torch._foreach_norm([each.detach() for each in tensors])
    return torch.stack([each.float().cpu() for each in norms]).tolist()


def _units_without_gradient(layer: nn.Module, least: float) -> Tensor | None:
    """Which units have a gradient of exactly zero; None where no gradient is there to see.

    A bias is read first: where it shows that fewer than the least share of them can be
    without one, the rest is not read.
    """
    units: Tensor | None = None
    gradients = [each.grad for each in layer.parameters(recurse=False) if each.grad is not None]
    for gradient in sorted(gradients, key=lambda each: each.ndim):
        if units is not None and gradient.ndim > 1 and _share(units) < least:
            break
        if gradient.is_sparse:
            return None
        rows = (gradient == 0).flatten(1).all(1) if gradient.ndim > 1 else gradient == 0
        if units is None:
            units = rows
        elif units.shape == rows.shape:
            units = units & rows
        else:  # rows of different things: the layer counts as one unit
            units = (units.all() & rows.all()).reshape(1)
    return units


def _share(units: Tensor) -> float:
    return float(units.float().mean()) if units.numel() else 0.0


def _least_share(layer: nn.Module) -> float:
    """Rows of an embedding have no gradient where their word is not in the batch."""
    return 1.0 if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) else DEAD_SHARE


def _begin_anew(layer: nn.Module, seed: int) -> None:
    devices = {each.device for each in layer.parameters(recurse=False) if each.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        for name in ("reset_parameters", "_reset_parameters"):
            reset = getattr(layer, name, None)
            if callable(reset):
                reset()
                return
        for parameter in layer.parameters(recurse=False):
            _draw(parameter)


@torch.no_grad()
def _draw(parameter: Tensor) -> None:
    """For layers that do not say how they begin: as ``nn.Linear`` does."""
    if parameter.ndim > 1:
        nn.init.kaiming_uniform_(parameter, a=math.sqrt(5))
    else:
        parameter.zero_()
