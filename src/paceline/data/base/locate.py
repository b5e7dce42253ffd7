"""From what a person names to the part that reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from paceline.core import catalog
from paceline.core.errors import DataError, nearest
from paceline.data.base.archive import is_archive, unpacked
from paceline.data.base.folders import visible
from paceline.data.base.source import Opening, Source


def open_source(place: Any, opening: Opening) -> tuple[str, Source, Any]:
    """Finds the part that reads a place.

    Text is a word that a part knows (``digits``) or else a path; ``./digits`` is always a
    path. Archives are unpacked first. The order in which parts are asked does not matter.

    Returns:
        The part's name, the part, and what to give to its ``read``.

    Raises:
        DataError: Nothing is there, nothing reads it, or several parts could.
    """
    if isinstance(place, str):
        known = _asked(place)
        place = place if known else Path(place).expanduser()
    if isinstance(place, Path):
        place = _existing(place)
        if place.is_file() and is_archive(place):
            place = unpacked(place, opening.progress)
    known = _asked(place)
    if not known:
        raise DataError(_unknown(place))
    if len(known) > 1:
        choices = " or ".join(f"{name} ({part.promise})" for name, part in known.items())
        raise DataError(f"{place} could be read as {choices}; name one file or folder within it")
    name, part = known.popitem()
    return name, part(), place


def _asked(place: Any) -> dict[str, type[Source]]:
    try:
        return {name: part for name, part in catalog.parts("data") if part.recognises(place)}
    except PermissionError as error:
        raise DataError(f"not allowed to read {error.filename}") from None


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except PermissionError:
        raise DataError(f"not allowed to read {path}") from None
    except (OSError, ValueError):
        raise DataError(_missing(path)) from None
    return path


def _missing(path: Path) -> str:
    words = [name for name, part in catalog.parts("data") if part.recognises(name)]
    if " " in path.name and (not path.suffix or " " in path.suffix):
        return f"there is no file {str(path)!r}; texts of your own go in a list: [{str(path)!r}]"
    if not path.parent.is_dir():
        return f"there is no {path}, nor a folder {path.parent}"
    siblings = [entry.name for entry in visible(path.parent)]
    return f"there is no {path}{nearest(path.name, siblings + words)}"


def _unknown(place: Any) -> str:
    promises = _joined(lambda part: part.promise)
    if not isinstance(place, Path):
        return f"cannot learn from a {type(place).__name__}; known are: {promises}"
    if not place.is_dir():
        ending = f"a file ending in {place.suffix!r}" if place.suffix else "a file without ending"
        return f"nothing reads {place}, {ending}; known are: {promises}"
    entries = [entry.name for entry in visible(place)]
    if not entries:
        return f"the folder {place} is empty; known are: {promises}"
    shown = ", ".join(entries[:5]) + (f", … ({len(entries)} in all)" if len(entries) > 5 else "")
    return f"nothing known lies in the folder {place} ({shown}); looked for: {promises}"


def _joined(words: Callable[[type[Source]], str]) -> str:
    return "; ".join(words(part) for _, part in catalog.parts("data"))
