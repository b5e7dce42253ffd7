"""What a text file looks like at its beginning, so that each goes to the source that reads it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

_BYTES = 16_384
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_SEPARATORS = "\t,;|"


def beginning(path: Path) -> list[str]:
    """The first whole lines of a file, or of a ``.gz``; none where it is no text.

    Raises:
        OSError: It cannot be read.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                start = packed.read(_BYTES)
        else:
            with path.open("rb") as file:
                start = file.read(_BYTES)
    except (EOFError, gzip.BadGzipFile):
        return []
    if b"\0" in start:
        return []
    lines = start.decode("utf-8", errors="replace").splitlines()
    return lines[:-1] if len(start) == _BYTES else lines


def looks_tagged(path: Path) -> bool:
    """Whether lines are a word, perhaps other columns, and a tag, with blank lines between.

    Nine lines in ten must end in a tag such as ``O`` or ``B-PER``, one of them another than
    ``O``, so that a table with a column of letters is not taken for sentences.
    """
    lines = [line for line in beginning(path) if not line.startswith(("-DOCSTART-", "#"))]
    words = [line.split() for line in lines if line.strip()]
    if len(words) < 2:
        return False
    tags = [cells[-1] for cells in words if len(cells) >= 2 and _TAG.fullmatch(cells[-1])]
    return len(tags) >= 0.9 * len(words) and any(tag != "O" for tag in tags)


def looks_delimited(path: Path) -> bool:
    """Whether all lines have the same number of one separator, as a table's have."""
    lines = [line for line in beginning(path) if line.strip()]
    if len(lines) < 2:
        return False
    for separator in _SEPARATORS:
        counts = {_outside_quotes(line, separator) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return True
    widths = {len(line.split()) for line in lines}
    return len(widths) == 1 and widths != {1} and len(lines) > 2


def _outside_quotes(line: str, separator: str) -> int:
    return sum(part.count(separator) for part in line.split('"')[::2])
