"""One object that holds everything a run is made of, and can put all of it back.

Rollback, resume after ``kill -9``, a probe's fork and a paused trial are all ``capture``
and ``restore``. On disk a snapshot is one safetensors file, the values that are not
tensors as JSON in its header; ``last.json`` names the newest and the one before with
their checksums, and is replaced only when the file it names is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from paceline.core.errors import RunError, StorageError
from paceline.core.files import explained, publish, sha256, write_json

POINTER = "last.json"


class Stateful(Protocol):
    """Anything whose state can be read and put back."""

    def state_dict(self) -> Mapping[str, Any]:
        """The whole state."""

    def load_state_dict(self, state: Any) -> Any:
        """Puts it back."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The state of everything at one moment.

    Attributes:
        tensors: By path; no two share memory, none is in use elsewhere.
        values: JSON values in the shape of the state, tensors replaced by their path.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


@final
class Transaction:
    """Captures and restores its members together.

    Args:
        members: By name; everything that a step can change must be among them.

    >>> layer = torch.nn.Linear(1, 1)
    >>> transaction = Transaction(model=layer)
    >>> before = transaction.capture()
    >>> weight = layer.weight.item()
    >>> _ = torch.nn.init.zeros_(layer.weight)
    >>> transaction.restore(before)
    >>> layer.weight.item() == weight
    True
    """

    def __init__(self, **members: Stateful) -> None:
        self._members = members

    def capture(self) -> Snapshot:
        """A copy of the whole state."""
        tensors: dict[str, Tensor] = {}
        values = {
            name: taken_apart(member.state_dict(), name, tensors)
            for name, member in self._members.items()
        }
        return Snapshot(tensors=tensors, values=values)

    def restore(self, snapshot: Snapshot) -> None:
        """Puts the whole state back."""
        for name, member in self._members.items():
            member.load_state_dict(put_together(snapshot.values[name], snapshot.tensors))


@final
class RandomStates:
    """The state of every random generator of the process: Python, NumPy, torch, its devices."""

    def state_dict(self) -> dict[str, Any]:
        kind, words, position, *rest = np.random.get_state()  # noqa: NPY002 # the user's own
        state: dict[str, Any] = {
            "python": random.getstate(),
            "numpy": (kind, np.asarray(words).tolist(), position, *rest),
            "torch": torch.get_rng_state(),
        }
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch
            state["cuda"] = list(torch.cuda.get_rng_state_all())
        if torch.backends.mps.is_available():
            state["mps"] = torch.mps.get_rng_state()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])  # noqa: NPY002 # the user's own
        torch.set_rng_state(state["torch"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([part.cpu() for part in state["cuda"]])
        if "mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])


@final
class Vault:
    """Keeps snapshots in a folder: the newest and the one before it.

    Args:
        folder: Made when the first snapshot is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, snapshot: Snapshot, *, step: int) -> None:
        """Adds a snapshot, whole or not at all, and forgets the oldest.

        Raises:
            StorageError: The disk is full, read-only or otherwise unwilling; what was
                there before is still good.
        """
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            entries = self._entries()
            serial = 1 + max((entry["serial"] for entry in entries), default=0)
            path = self.folder / f"{serial:06d}-step-{step}.safetensors"
            entry = {"serial": serial, "file": path.name, "step": step}
            entry["sha256"] = write_tensors(path, snapshot.tensors, snapshot.values)
            kept = [entry, *entries[:1]]
            write_json(self.folder / POINTER, {"newest_first": kept})
            self._clear_all_but({each["file"] for each in kept})

    def is_empty(self) -> bool:
        """Whether nothing was ever written."""
        return not self._entries()

    def read(self) -> tuple[Snapshot | None, list[str]]:
        """The newest snapshot that is whole, and a line for each that is not.

        Gives None where none was ever written.

        Raises:
            RunError: There are snapshots, and none is whole.
        """
        entries = self._entries()
        trouble: list[str] = []
        for entry in entries:
            path = self.folder / entry["file"]
            try:
                return read_snapshot(path, entry["sha256"]), trouble
            except RunError as error:
                trouble.append(str(error))
        if entries:
            raise RunError(
                f"no checkpoint in {self.folder} is whole: {trouble[0]};"
                " start again with another --out"
            )
        return None, trouble

    def _entries(self) -> list[dict[str, Any]]:
        pointer = self.folder / POINTER
        try:
            entries: list[dict[str, Any]] = json.loads(pointer.read_text())["newest_first"]
            whole = isinstance(entries, list) and all(map(_is_entry, entries))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise RunError(f"{pointer} is damaged; start again with another --out")
        return entries

    def _clear_all_but(self, kept: set[str]) -> None:
        for path in self.folder.iterdir():
            if path.suffix in {".safetensors", ".part"} and path.name not in kept:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    """Writes a safetensors file whole or not at all; gives its SHA-256.

    Raises:
        StorageError: The disk is full, read-only or otherwise unwilling.
    """
    temporary = path.with_suffix(".part")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with explained(path):
        try:
            save_file(plain, temporary, metadata={"values": json.dumps(values)})
        except SafetensorError as error:
            raise _unwilling(path, error) from error
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        digest = sha256(temporary)
        publish(temporary, path)
    return digest


def read_snapshot(path: Path, digest: str | None) -> Snapshot:
    """Reads a snapshot after comparing its checksum.

    Raises:
        RunError: It is missing, truncated or was changed.
    """
    if not path.is_file():
        raise RunError(f"{path} is missing")
    if digest is not None and sha256(path) != digest:
        raise RunError(f"{path} is damaged: its checksum is not the recorded one")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no dict
            values = json.loads((file.metadata() or {}).get("values", "{}"))
    except (SafetensorError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from None
    return Snapshot(tensors=tensors, values=values)


def _is_entry(entry: Any) -> bool:
    """Whether it is a line of ``last.json``; its file lies in the vault's own folder."""
    types = {"serial": int, "file": str, "step": int, "sha256": str}
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), kind) for name, kind in types.items())
        and Path(entry["file"]).name == entry["file"]
    )


def need_space(folder: Path, size_bytes: int) -> None:
    """Refuses to begin what cannot be saved.

    Raises:
        StorageError: ``folder``'s disk has less room than ``size_bytes``.
    """
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise StorageError(
            f"no space for checkpoints in {folder}: {size_bytes / 1e6:.0f} MB are needed,"
            f" {free / 1e6:.0f} MB are free; free some, or choose another --out"
        )


def _unwilling(path: Path, error: SafetensorError) -> StorageError:
    text = str(error)
    for sign, meaning in (
        ("No space", "no space left on the disk"),
        ("Read-only", "read-only disk"),
    ):
        if sign in text:
            return StorageError(f"cannot write {path}: {meaning}; choose another --out")
    return StorageError(f"cannot write {path}: {text}")


def taken_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON values for a nested state; tensors are copied into ``tensors`` by their path."""
    if isinstance(value, Tensor):
        while path in tensors:  # keys such as 1 and "1" look alike
            path += "~"
        tensors[path] = value.detach().clone()
        last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
        return {"tensor": path, "channels_last": last and not value.is_contiguous()}
    if isinstance(value, Mapping):
        pairs = [
            [key, taken_apart(inner, f"{path}/{key}", tensors)] for key, inner in value.items()
        ]
        return {"pairs": pairs}
    if isinstance(value, (list, tuple)):
        inside = [taken_apart(inner, f"{path}/{at}", tensors) for at, inner in enumerate(value)]
        return {"tuple": inside} if isinstance(value, tuple) else inside
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{path}: a state may not hold a {type(value).__name__}")


def put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The nested state that ``taken_apart`` took apart."""
    if isinstance(value, list):
        return [put_together(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        tensor = tensors[value["tensor"]].clone()
        return tensor.to(memory_format=torch.channels_last) if value["channels_last"] else tensor
    if "tuple" in value:
        return tuple(put_together(inner, tensors) for inner in value["tuple"])
    return {key: put_together(inner, tensors) for key, inner in value["pairs"]}
