"""The directory of a run: who made it, with what, and how far it came."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, final

from paceline.core.errors import RunError, StorageError
from paceline.core.files import explained, write_json

FORMAT = 1
DEFAULT_PARENT = "paceline-runs"


@final
class RunFolder:
    """Reads and writes the files of one run.

    Args:
        path: The run's directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = {}

    @property
    def model_file(self) -> Path:
        """The best weights."""
        return self.path / "model.safetensors"

    @property
    def ledger_file(self) -> Path:
        """The run's memory."""
        return self.path / "ledger.db"

    @property
    def checkpoints(self) -> Path:
        """Where transactions are kept."""
        return self.path / "checkpoints"

    def make(self) -> None:
        """Makes the directory.

        Raises:
            StorageError: The disk is read-only, full, or the path not a folder.
        """
        with explained(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise StorageError(f"{self.path} is a file; choose another --out") from None

    def write(self, **facts: Any) -> None:
        """Adds facts to ``run.json``."""
        self.facts |= facts
        write_json(self.path / "run.json", {"format": FORMAT} | self.facts)

    def read(self) -> dict[str, Any]:
        """The facts of ``run.json``.

        Raises:
            RunError: There is no run here, or its ``run.json`` is damaged.
        """
        file = self.path / "run.json"
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            if facts["format"] > FORMAT:
                raise RunError(f"{file} was written by a newer Paceline; upgrade to read it")
        except FileNotFoundError:
            raise RunError(f"there is no run in {self.path}: it has no run.json") from None
        except (ValueError, KeyError, TypeError, UnicodeDecodeError):
            raise RunError(f"{file} is damaged; it is not what Paceline wrote") from None
        self.facts = facts
        return self.facts


def choose_folder(out: Path | None, name: str, *, resume: bool) -> tuple[RunFolder, bool]:
    """The folder for a run and whether it holds one to go on with.

    Raises:
        RunError: There is something there already and ``resume`` was not asked for, or
            ``resume`` without a folder.
    """
    if out is None:
        if resume:
            raise RunError("--resume needs --out DIR, the directory of the run to go on with")
        return RunFolder(_free_folder(Path(DEFAULT_PARENT), name)), False
    folder = RunFolder(out)
    if (out / "run.json").exists():
        if not resume:
            raise RunError(
                f"{out} holds a run already; add --resume to go on, or choose another --out"
            )
        return folder, True
    if not resume and out.is_dir() and any(out.iterdir()):
        raise RunError(f"{out} is not empty and holds no run; choose another --out")
    return folder, False


def _free_folder(parent: Path, name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
    taken = {entry.name for entry in parent.iterdir()} if parent.is_dir() else set()
    number = 1
    while f"{plain}-{number}" in taken:
        number += 1
    return parent / f"{plain}-{number}"
