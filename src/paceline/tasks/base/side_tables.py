"""Tables that lie beside one of ratings and tell of its items: their genres, their titles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paceline.core.errors import DataError
from paceline.data.base.delimited import read_delimited
from paceline.data.base.folders import visible
from paceline.tasks.base.rating_columns import RatingColumns, keys

_ENDINGS = (".csv", ".tsv")
_MOST_BYTES = 50_000_000
_TITLES = frozenset({"title", "name", "label"})
_KEY = "\0key"


def find_sides(folder: str | None, columns: RatingColumns) -> tuple[Any, list[str]]:
    """The columns of all tables in a folder that have one row for each item.

    A table counts if it has the column of items, each of them once, and none of users or
    ratings. One that cannot be read is left out.

    Returns:
        A table whose index are the items as text, or None, and the files' names.
    """
    found: Any = None
    files = []
    for file in visible(Path(folder)) if folder and Path(folder).is_dir() else []:
        if file.suffix.lower() not in _ENDINGS or file.stat().st_size > _MOST_BYTES:
            continue
        try:
            frame = read_delimited(file).frame
        except (DataError, OSError):
            continue
        if columns.item not in frame or {columns.user, columns.rating} & set(frame.columns):
            continue
        frame = frame.assign(**{_KEY: keys(frame[columns.item])}).set_index(_KEY)
        frame = frame.drop(columns=columns.item)
        if frame.index.is_unique and len(frame.columns):
            new = [name for name in frame.columns if found is None or name not in found]
            found = frame if found is None else found.join(frame[new], how="outer")
            files.append(file.name)
    return found, files


def with_sides(frame: Any, sides: Any, columns: RatingColumns) -> Any:
    """A table of ratings with the columns of its items."""
    new = [name for name in sides.columns if name not in frame]
    beside = sides[new].reindex(keys(frame[columns.item])).set_axis(frame.index)
    return frame.join(beside)


def titles(frame: Any, codes: Any, items: int) -> list[str]:
    """What each item is called, in the order of the codes from 1; none where nothing tells."""
    named = [name for name in frame.columns if str(name).lower() in _TITLES]
    if not named:
        return []
    found = [""] * items
    for code, title in zip(codes.tolist(), frame[named[0]].tolist(), strict=True):
        if code and isinstance(title, str):
            found[code - 1] = title
    return found
