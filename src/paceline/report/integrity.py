"""Whether a run's files are what was written."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from paceline.core.errors import RunError
from paceline.core.files import sha256
from paceline.core.ledger import read_ledger
from paceline.report.summary import RunSummary, read_run

_MODEL = "model.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """One thing that was looked at.

    Attributes:
        promise: What should hold, as a sentence.
        passed: Whether it does.
        why: What was found.
    """

    promise: str
    passed: bool
    why: str = ""


def check_run(run_dir: Path) -> list[Verified]:
    """Looks at run.json, at the model's checksum and at the ledger; never raises for damage.

    >>> [found.passed for found in check_run(Path("no-such-run"))]
    [False]
    """
    promise = "run.json is what Paceline wrote"
    try:
        run = read_run(run_dir)
    except RunError as error:
        return [Verified(promise=promise, passed=False, why=str(error))]
    return [
        Verified(promise=promise, passed=True, why=run.state),
        *_files(run),
        _ledger_is_whole(run_dir / "ledger.db"),
        _ledger_is_readable(run_dir / "ledger.db"),
    ]


def _files(run: RunSummary) -> list[Verified]:
    if not run.sha256:
        ended = run.state == "finished"
        why = "run.json names no checksum" if ended else "the run has no model yet"
        promise = f"{_MODEL} has the checksum that run.json names"
        return [Verified(promise=promise, passed=not ended, why=why)]
    return [_checksum(run.path / name, digest) for name, digest in sorted(run.sha256.items())]


def _checksum(file: Path, wanted: str) -> Verified:
    promise = f"{file.name} has the checksum that run.json names"
    try:
        found = sha256(file)
    except OSError as error:
        why = f"cannot read {file}: {error.strerror}"
        return Verified(promise=promise, passed=False, why=why)
    if found != wanted:
        why = f"{file} was changed or damaged: sha256 is {found[:12]}…, not {str(wanted)[:12]}…"
        return Verified(promise=promise, passed=False, why=why)
    return Verified(promise=promise, passed=True, why=f"sha256 {found[:12]}…")


def _ledger_is_whole(file: Path) -> Verified:
    promise = "ledger.db keeps SQLite's integrity"
    if not file.is_file():
        return Verified(promise=promise, passed=False, why=f"there is no ledger at {file}")
    try:
        ledger = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        try:
            (said,) = ledger.execute("PRAGMA integrity_check").fetchone()
        finally:
            ledger.close()
    except sqlite3.DatabaseError as error:
        said = str(error)
    return Verified(promise=promise, passed=said == "ok", why=said)


def _ledger_is_readable(file: Path) -> Verified:
    promise = "every row of ledger.db can be read"
    try:
        rows = len(read_ledger(file))
    except RunError as error:
        return Verified(promise=promise, passed=False, why=" ".join(str(error).split()))
    return Verified(promise=promise, passed=True, why=f"{rows:,} rows")
