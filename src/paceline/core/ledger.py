"""One SQLite file that remembers what was set, read, decided and reached.

One table, ``entries``; a row is a setting, a reading, a decision, an event or a result:

    id | kind | step | elapsed_seconds | source | name | value | detail (JSON)

Writers hold rows back and commit them together (``flush``). Readers open the file
read-only and see the last commit (WAL), also while a run is going on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, final

from paceline.core.errors import RunError, StorageError

Kind = Literal["setting", "reading", "decision", "event", "warning", "result"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    step INTEGER NOT NULL,
    elapsed_seconds REAL NOT NULL,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_name ON entries (kind, name, step);
"""
_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One row of a ledger.

    Attributes:
        kind: setting, reading, decision, event, warning or result.
        step: Updates done when it was written.
        elapsed_seconds: Of the run, pauses left out.
        source: Who wrote it: ``loop``, ``linear``, ``task`` …
        name: What it is about: ``loss``, ``learning_rate``, ``precision`` …
        value: The number, where there is one.
        detail: Everything else. A decision's has ``chosen``, ``seen``, ``choices``,
            ``expected``, ``outcome`` and ``reason`` where they are known.
    """

    id: int
    kind: str
    step: int
    elapsed_seconds: float
    source: str
    name: str
    value: float | None
    detail: dict[str, Any]


@final
class Ledger:
    """A run's memory, for its one writer.

    >>> with Ledger(":memory:") as ledger:
    ...     _ = ledger.write("reading", step=1, seconds=0.5, source="loop", name="loss", value=2.3)
    ...     [(entry.name, entry.value) for entry in ledger.read(kind="reading")]
    [('loss', 2.3)]
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.executescript(_SCHEMA)
            newest = self._file.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
            self._last = int(newest[0])
        except sqlite3.DatabaseError as error:
            raise StorageError(f"cannot open the ledger {path}: {error}") from error
        self._held: list[tuple[Any, ...]] = []

    def write(
        self,
        kind: Kind,
        *,
        step: int,
        seconds: float,
        source: str,
        name: str,
        value: float | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Adds one row (held back until ``flush``) and gives its id."""
        self._last += 1
        text = json.dumps(detail, default=str) if detail else "{}"
        self._held.append((self._last, kind, step, seconds, source, name, value, text))
        return self._last

    def settle(self, id: int, **outcome: Any) -> None:
        """Adds to a decision what came of it."""
        self.flush()
        row = self._file.execute("SELECT detail FROM entries WHERE id = ?", (id,)).fetchone()
        detail = {**json.loads(row[0]), "outcome": outcome}
        self._file.execute("UPDATE entries SET detail = ? WHERE id = ?", (json.dumps(detail), id))

    def flush(self) -> None:
        """Commits what is held back.

        Raises:
            StorageError: The disk is full or read-only; the rows stay held back.
        """
        if not self._held:
            return
        try:
            self._file.execute("BEGIN")
            self._file.executemany(_INSERT, self._held)
            self._file.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise StorageError(f"cannot write the ledger {self.path}: {error}") from error
        self._held.clear()

    def cursor(self) -> int:
        """The id of the last row, for ``rewind``."""
        return self._last

    def rewind(self, cursor: int) -> None:
        """Forgets every row after ``cursor``: a resumed run writes them again."""
        self._held.clear()
        self._file.execute("DELETE FROM entries WHERE id > ?", (cursor,))
        self._last = cursor

    def read(self, *, kind: Kind | None = None, name: str | None = None) -> Iterator[Entry]:
        """The rows in the order they were written, all or of one kind or name."""
        self.flush()
        return _read(self._file, kind, name)

    def close(self) -> None:
        """Commits and closes."""
        try:
            self.flush()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_ledger(path: Path, *, kind: Kind | None = None, name: str | None = None) -> list[Entry]:
    """The rows of a ledger that another process may still be writing.

    Raises:
        RunError: There is no ledger there, or it is damaged.
    """
    if not path.is_file():
        raise RunError(f"there is no ledger at {path}")
    try:
        file = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            return list(_read(file, kind, name))
        finally:
            file.close()
    except (sqlite3.DatabaseError, ValueError) as error:
        raise RunError(f"the ledger {path} cannot be read: {error}") from error


def _read(file: sqlite3.Connection, kind: str | None, name: str | None) -> Iterator[Entry]:
    rows = file.execute(
        "SELECT id, kind, step, elapsed_seconds, source, name, value, detail FROM entries"
        " WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR name = ?2) ORDER BY id",
        (kind, name),
    )
    for id_, kind_, step, seconds, source, name_, value, detail in rows:
        yield Entry(
            id=id_,
            kind=kind_,
            step=step,
            elapsed_seconds=seconds,
            source=source,
            name=name_,
            value=value,
            detail=json.loads(detail),
        )
