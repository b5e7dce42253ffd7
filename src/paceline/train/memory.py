"""States of a run remembered by name, to go back to in the middle of it.

A probe's fork and the guard's way back are both ``keep`` and ``restore``. The copies are
written in place over the ones before, so that keeping costs one pass over the memory.
"""

from __future__ import annotations

import itertools
import shutil
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from paceline.core.errors import SettingError
from paceline.data.base.memory import available_bytes, readable
from paceline.train.first_copy import first_copy
from paceline.train.transaction import (
    Snapshot,
    Stateful,
    put_together,
    read_snapshot,
    taken_apart,
    write_tensors,
)

PLACES = ("device", "host", "disk", "off")
_AT_ONCE = 5  # states at one time: a trial's start, two good ones, two after a change
_SHARE = 0.5  # of the free memory that they may take
_Pair = tuple[Tensor, Tensor]


@final
class Memory:
    """Remembers everything that a step can change.

    Args:
        modules: Their parameters and buffers.
        optimizer: Its parameters, its state and the settings of its groups, learning rates
            left out.
        others: Further members, by name (a scaler, a moving average); small, for they are
            copied whole.
        place: Where copies are kept: ``device`` (beside the parameters), ``host``, ``disk``
            or ``off``; None chooses the first of these that has room.
        warn: Told in one line where it is not the first.

    Raises:
        SettingError: A part of a module cannot be copied; names it.

    >>> layer = nn.Linear(1, 1)
    >>> memory = Memory([layer], torch.optim.SGD(layer.parameters()))
    >>> memory.keep("before")
    >>> weight = layer.weight.item()
    >>> _ = nn.init.zeros_(layer.weight)
    >>> memory.restore("before")
    >>> layer.weight.item() == weight
    True
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        optimizer: Optimizer,
        others: Mapping[str, Stateful] | None = None,
        *,
        place: str | None = None,
        warn: Callable[[str], None] = lambda line: None,
    ) -> None:
        if place is not None and place not in PLACES:
            raise SettingError(f"memory is {', '.join(PLACES)}, not {place!r}")
        self._modules, self._optimizer, self._others = modules, optimizer, dict(others or {})
        _refuse_what_cannot_be_copied(modules)
        self._warn, self._place = warn, place
        self._kept: dict[str, Any] = {}
        self._folder: Path | None = None
        self._serial = itertools.count()

    @property
    def works(self) -> bool:
        """Whether a state can be kept."""
        return self.place != "off"

    @property
    def place(self) -> str:
        """Where copies are kept; chosen when it is first asked for."""
        if self._place is None:
            self._place = self._choose()
        return self._place

    @property
    def names(self) -> tuple[str, ...]:
        """Of the states that are remembered."""
        return tuple(self._kept)

    @torch.no_grad()
    def keep(self, name: str) -> None:
        """Remembers the present state under ``name``, over what was there before."""
        if not self.works:
            return
        tree = self._live()
        if self.place == "disk":
            self._kept[name] = self._write(tree)
            return
        before = self._kept.get(name)
        pairs: list[_Pair] = []
        device = None if self.place == "device" else torch.device("cpu")
        self._kept[name] = _copied(tree, before, pairs, device)
        _copy(pairs)

    @torch.no_grad()
    def restore(self, name: str, *, chance: bool = False) -> None:
        """Brings back the state ``name``; what is not remembered is left alone.

        Args:
            name: As it was kept under.
            chance: Also the random generators, so that what follows draws the same again.
        """
        if name not in self._kept:
            return
        tree = self._read(name)
        pairs: list[_Pair] = list(zip(self._tensors(), tree["tensors"], strict=True))
        self._put_optimizer(tree, pairs)
        _copy(pairs)
        for other, state in tree["others"].items():
            self._others[other].load_state_dict(_copied(state, None, [], None))
        if chance:
            _put_chance(tree["chance"])

    @torch.no_grad()
    def mend(self, name: str) -> int:
        """Brings back from ``name`` those tensors alone that hold nan or inf; says how many."""
        if name not in self._kept:
            return 0
        tree = self._read(name)
        pairs = list(zip(self._tensors(), tree["tensors"], strict=True))
        for parameter, state in self._optimizer.state.items():
            pairs += _paired(state, tree["state"].get(parameter, {}))
        broken = [(live, kept) for live, kept in pairs if not _is_finite(live)]
        _copy(broken)
        return len(broken)

    def kept_bytes(self, name: str) -> int:
        """Bytes of the state ``name``; 0 where it is not in memory."""
        kept = self._kept.get(name)
        return 0 if kept is None or isinstance(kept, Path) else sum(e.nbytes for e in _leaves(kept))

    def forget(self, name: str) -> None:
        """Frees the memory of ``name``."""
        gone = self._kept.pop(name, None)
        if isinstance(gone, Path):
            gone.unlink(missing_ok=True)

    def nbytes(self) -> int:
        """Bytes of one state."""
        return sum(each.nbytes for each in _leaves(self._live()))

    def state_dict(self) -> dict[str, Any]:
        """All that is remembered."""
        return {name: self._portable(self._read(name)) for name in self._kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        for name in list(self._kept):
            self.forget(name)
        for name, tree in state.items():
            own = self._own(tree)
            self._kept[name] = self._write(own) if self.place == "disk" else own

    # --- what there is to remember

    def _live(self) -> dict[str, Any]:
        groups = [
            {key: value for key, value in group.items() if key not in ("params", "lr")}
            for group in self._optimizer.param_groups
        ]
        return {
            "tensors": self._tensors(),
            "state": dict(self._optimizer.state),
            "groups": groups,
            "others": {name: other.state_dict() for name, other in self._others.items()},
            "chance": _chance(),
        }

    def _tensors(self) -> list[Tensor]:
        """Parameters and buffers, each once, in a fixed order."""
        found: dict[int, Tensor] = {id(each): each for each in self._parameters()}
        for module in self._modules:
            for each in itertools.chain(module.parameters(), module.buffers()):
                found.setdefault(id(each), each)
        return list(found.values())

    def _parameters(self) -> list[Tensor]:
        return [each for group in self._optimizer.param_groups for each in group["params"]]

    def _put_optimizer(self, tree: Mapping[str, Any], pairs: list[_Pair]) -> None:
        state, kept = self._optimizer.state, tree["state"]
        for key in [key for key in state if key not in kept]:
            del state[key]
        for key, value in kept.items():
            state[key] = _merged(state.get(key), value, pairs)
        for group, settings in zip(self._optimizer.param_groups, tree["groups"], strict=True):
            for name, value in settings.items():
                group[name] = _merged(group.get(name), value, pairs)

    # --- places

    def _choose(self) -> str:
        size = self.nbytes() * _AT_ONCE
        parameters = self._parameters()
        device = parameters[0].device if parameters else torch.device("cpu")
        if device.type == "cuda":
            if size < _SHARE * torch.cuda.mem_get_info(device)[0]:
                return "device"
            self._warn(f"states of {readable(size)} are remembered in host memory: the GPU is full")
        if size < _SHARE * available_bytes():
            return "device" if device.type != "cuda" else "host"
        if size < _SHARE * _free_bytes():
            self._warn(f"states of {readable(size)} are remembered on disk: the memory is full")
            return "disk"
        self._warn(
            f"states of {readable(size)} fit neither in memory nor on disk: there are no probes"
            " and no way back in this run"
        )
        return "off"

    def _write(self, tree: Mapping[str, Any]) -> Path:
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="paceline-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{next(self._serial)}.safetensors"
        tensors: dict[str, Tensor] = {}
        values = taken_apart(self._portable(tree), "state", tensors)
        write_tensors(path, {name: each.cpu() for name, each in tensors.items()}, {"tree": values})
        return path

    def _read(self, name: str) -> dict[str, Any]:
        kept = self._kept[name]
        if not isinstance(kept, Path):
            found: dict[str, Any] = kept
            return found
        snapshot: Snapshot = read_snapshot(kept, None)
        return self._own(put_together(snapshot.values["tree"], snapshot.tensors))

    def _portable(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as keys are replaced by their number."""
        number = {id(each): f"#{at}" for at, each in enumerate(self._parameters())}
        return dict(tree) | {"state": _renamed(tree["state"], lambda key: number.get(id(key), key))}

    def _own(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        own = {f"#{at}": each for at, each in enumerate(self._parameters())}
        return dict(tree) | {"state": _renamed(tree["state"], lambda key: own.get(key, key))}


def _refuse_what_cannot_be_copied(modules: Sequence[nn.Module]) -> None:
    for module in modules:
        named = itertools.chain(module.named_parameters(), module.named_buffers())
        for name, each in named:
            if isinstance(each, UninitializedParameter) or each.is_meta:
                raise SettingError(
                    f"the state of {type(module).__name__}.{name} cannot be copied: it has no"
                    " values yet; run a batch through the model first"
                )
        for name, part in module.named_modules():
            if type(part).get_extra_state is not nn.Module.get_extra_state:
                _try_extra_state(f"{type(module).__name__}.{name}".rstrip("."), part)


def _try_extra_state(name: str, part: nn.Module) -> None:
    try:
        part.set_extra_state(part.get_extra_state())
    except Exception as error:  # whatever a stranger's method raises
        raise SettingError(
            f"the state of {name} cannot be copied: its extra state says {error}"
        ) from None


def _copied(tree: Any, before: Any, pairs: list[_Pair], device: torch.device | None) -> Any:
    """A copy; where ``before`` has a tensor of the same kind, a pair to copy it into later."""
    if isinstance(tree, Tensor):
        if _alike(tree, before, device):
            pairs.append((before, tree))
            return before
        return first_copy(tree.detach(), device or tree.device)
    if isinstance(tree, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {key: _copied(tree[key], old.get(key), pairs, device) for key in tree}
    if isinstance(tree, (list, tuple)):
        olds = before if isinstance(before, (list, tuple)) and len(before) == len(tree) else None
        copies = [
            _copied(each, olds[at] if olds else None, pairs, device) for at, each in enumerate(tree)
        ]
        return copies if isinstance(tree, list) else tuple(copies)
    return tree


def _alike(tree: Tensor, before: Any, device: torch.device | None) -> bool:
    return (
        isinstance(before, Tensor)
        and before.shape == tree.shape
        and before.dtype == tree.dtype
        and before.device == (device or tree.device)
    )


def _merged(live: Any, kept: Any, pairs: list[_Pair]) -> Any:
    """``kept`` put into ``live``: tensors in place where they can be, the rest as a copy."""
    if isinstance(kept, Tensor):
        if _alike(kept, live, live.device if isinstance(live, Tensor) else None):
            pairs.append((live, kept))
            return live
        return kept.clone()
    if isinstance(kept, Mapping):
        old = live if isinstance(live, Mapping) else {}
        return {key: _merged(old.get(key), value, pairs) for key, value in kept.items()}
    if isinstance(kept, (list, tuple)):
        same = isinstance(live, (list, tuple)) and len(live) == len(kept)
        merged = [_merged(live[at] if same else None, each, pairs) for at, each in enumerate(kept)]
        return merged if isinstance(kept, list) else tuple(merged)
    return kept


def _paired(live: Any, kept: Any) -> list[_Pair]:
    if not isinstance(live, Mapping) or not isinstance(kept, Mapping):
        return []
    return [
        (value, kept[key])
        for key, value in live.items()
        if isinstance(value, Tensor) and _alike(value, kept.get(key), kept[key].device)
    ]


def _copy(pairs: Sequence[_Pair]) -> None:
    """Every second tensor into its first; one call for all of them where torch has it."""
    if pairs:
        torch._foreach_copy_([into for into, _ in pairs], [source for _, source in pairs])


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    return bool(torch.isfinite(values).all())


def _leaves(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for each in tree.values():
            yield from _leaves(each)
    elif isinstance(tree, (list, tuple)):
        for each in tree:
            yield from _leaves(each)


def _renamed(tree: Any, rename: Callable[[Any], Any]) -> Any:
    if isinstance(tree, Mapping):
        return {rename(key): _renamed(value, rename) for key, value in tree.items()}
    return tree


def _chance() -> dict[str, Any]:
    """Of torch's generators; Python's and NumPy's belong to the data and the environment."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    return state


def _put_chance(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])


def _free_bytes() -> int:
    """On the disk of temporary files."""
    try:
        return shutil.disk_usage(gettempdir()).free
    except OSError:
        return 0
