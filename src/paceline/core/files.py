"""Writes that either happen whole or not at all, and checksums to prove it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paceline.core.errors import StorageError

_EXPLAINED = {
    errno.ENOSPC: "no space left on the disk; free some, or choose another --out",
    errno.EDQUOT: "the disk quota is used up; free some, or choose another --out",
    errno.EROFS: "the disk is read-only; choose another --out",
    errno.EACCES: "not allowed to write there; choose another --out",
    errno.EPERM: "not allowed to write there; choose another --out",
    errno.ENOTDIR: "a part of that path is a file, not a folder; choose another --out",
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an unwilling disk into one line that names ``path`` and what to do.

    Raises:
        StorageError: The block raised an OSError that a person can mend.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno not in _EXPLAINED:
            raise
        raise StorageError(f"cannot write {path}: {_EXPLAINED[error.errno]}") from error


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes ``path`` whole or not at all: temporary file, fsync, rename, fsync of the folder.

    Args:
        path: Where to.
        content: All of it.
        mode: Who may read it.

    Raises:
        StorageError: The disk is full, read-only or otherwise unwilling.
    """
    with explained(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            publish(Path(temporary), path, mode=mode)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def publish(temporary: Path, path: Path, *, mode: int = 0o644) -> None:
    """Renames a finished, synced file into place and syncs the folder."""
    os.chmod(temporary, mode)
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and machines, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(path, (text + "\n").encode())


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
