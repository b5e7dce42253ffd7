"""Digests that change when data change, the same in every process."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def fingerprint(*values: Any) -> str:
    """Hexadecimal SHA-256 of arrays, tables, text, bytes and sequences of these.

    Types and lengths go in as well, so that two values never run into each other.

    >>> fingerprint("ab", "c") == fingerprint("a", "bc")
    False
    >>> fingerprint(np.arange(3))[:8] == fingerprint(np.arange(3))[:8]
    True
    """
    digest = hashlib.sha256()
    for value in values:
        _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        _add_array(digest, value)
    elif hasattr(value, "iloc"):
        _add_table(digest, value)
    elif isinstance(value, (list, tuple)):
        digest.update(f"[{len(value)}]".encode())
        for entry in value:
            _add(digest, entry)
    else:
        content = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        digest.update(f"<{type(value).__name__} {len(content)}>".encode())
        digest.update(content)


def _add_array(digest: Any, array: np.ndarray[Any, Any]) -> None:
    digest.update(f"<{array.dtype.str} {array.shape}>".encode())
    if array.dtype.hasobject:
        _add(digest, [f"{type(entry).__name__}:{entry}" for entry in array.ravel().tolist()])
    else:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _add_table(digest: Any, table: Any) -> None:
    digest.update(f"<table {table.shape}>".encode())
    for position, name in enumerate(table.columns):
        column = table.iloc[:, position]
        _add(digest, str(name))
        _add(digest, str(column.dtype))
        plain = column.dtype.kind in "iufb" and isinstance(column.dtype, np.dtype)
        _add_array(digest, column.to_numpy() if plain else column.astype(object).to_numpy())
