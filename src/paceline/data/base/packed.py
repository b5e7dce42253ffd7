"""A file's bytes, whether it is packed or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from paceline.core.errors import DataError
from paceline.data.base.memory import available_bytes, readable

_SHARE = 8


def content_of(path: Path) -> bytes:
    """The bytes of a file; of a ``.gz`` the bytes that are packed in it.

    Raises:
        DataError: It is damaged, or unpacks to more than an eighth of the free memory.
    """
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    limit = available_bytes() // _SHARE
    try:
        with gzip.open(path) as file:
            content = file.read(limit + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    if len(content) > limit:
        raise DataError(f"{path} unpacks to more than {readable(limit)}; use a smaller one")
    return content
