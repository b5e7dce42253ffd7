"""Files in one folder for each class, with or without folders for parts above these."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paceline.core.errors import DataError
from paceline.data.base.folders import short_name, visible
from paceline.data.base.source import Corpus, Examples

Wanted = Callable[[Path], bool]
_PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}
_MOST_ENTRIES_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Labelled:
    """A file and the folder's name that is its class; None where nobody knows it."""

    path: Path
    label: str | None


def holds(folder: Path, wanted: Wanted) -> bool:
    """Whether a file that is wanted lies somewhere below; looks at 20,000 entries at most."""
    looked = 0
    for _, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(wanted(Path(name)) and not name.startswith(".") for name in names):
            return True
        looked += len(names) + len(folders)
        if looked > _MOST_ENTRIES_LOOKED_AT:
            return False
    return False


def by_part(place: Path, wanted: Wanted, notes: list[str]) -> dict[str, list[Labelled]]:
    """The files of each part; all are ``train`` where no folder is called after a part.

    Raises:
        DataError: There are parts but no training part, or one part twice.
    """
    parts = _part_folders(place, wanted)
    if not parts:
        return {"train": _labelled(place, wanted)}
    if "train" not in parts:
        raise DataError(f"{place} has a folder {next(iter(parts.values())).name} but no train")
    others = sorted(entry.name for entry in _folders(place) if entry not in parts.values())
    if others:
        notes.append(f"not read, as they have no classes within: {', '.join(others)} in {place}")
    return {part: _labelled(folder, wanted) for part, folder in sorted(parts.items())}


def refuse_group(group: str | None, place: Path) -> None:
    """Stops where a person wants groups of files that nothing tells of."""
    if group is not None:
        raise DataError(
            f"{place} is a folder and has no column {group!r} to group by; name the files and"
            " their groups in a table"
        )


def to_predict(place: Path, wanted: Wanted) -> list[Labelled]:
    """One file, those that lie in a folder, or the test part of a folder with classes."""
    if not place.is_dir():
        return [Labelled(place, None)]
    if any(wanted(entry) for entry in visible(place)):
        return [Labelled(entry, None) for entry in visible(place) if wanted(entry)]
    parts = _part_folders(place, wanted)
    part = next((parts[name] for name in ("test", "validation", "train") if name in parts), place)
    return _labelled(part, wanted)


def refuse_classes(
    files: dict[str, list[Labelled]], place: Path, what: str, notes: list[str]
) -> None:
    """Stops where the classes are too few, or are other ones in another part.

    Args:
        files: By part.
        place: For the message.
        what: The files are, in the plural: images, sounds.
        notes: Gets a line on classes with a single file.
    """
    counts = Counter(one.label for one in files["train"])
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise DataError(
            f"{place} needs a folder of {what} for each of at least two classes; found {found}"
        )
    alone = sorted(str(label) for label, count in counts.items() if count == 1)
    if len(alone) == len(counts):
        one = what.removesuffix("s")
        raise DataError(f"every class in {place} has a single {one}; more of each are needed")
    if alone:
        one, shown = what.removesuffix("s"), ", ".join(alone[:5])
        notes.append(f"classes with a single {one}: {shown} ({len(alone)} in all)")
    for part, some in files.items():
        strange = sorted({str(one.label) for one in some} - set(map(str, counts)))
        if strange:
            raise DataError(
                f"the {part} part of {place} has a class {strange[0]!r} that is not in train"
            )


def corpus_of(
    place: Path,
    kind: str,
    parts: dict[str, Examples],
    *,
    fingerprint: str,
    notes: list[str],
    **facts: Any,
) -> Corpus:
    """What was read of such a folder, with how many examples each class and part has."""
    labels = parts["train"].targets
    assert labels is not None
    return Corpus(
        name=short_name(place),
        kind=kind,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        fingerprint=fingerprint,
        notes=tuple(notes),
        facts={
            **facts,
            "classes": dict(sorted(Counter(labels.tolist()).items())),
            **{f"{part}_examples": len(examples) for part, examples in parts.items()},
        },
    )


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if entry.is_dir()]


def _files(folder: Path, wanted: Wanted) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(where, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if wanted(path)]


def _labelled(folder: Path, wanted: Wanted) -> list[Labelled]:
    return [
        Labelled(path, entry.name) for entry in _folders(folder) for path in _files(entry, wanted)
    ]


def _part_folders(place: Path, wanted: Wanted) -> dict[str, Path]:
    """Folders that are parts and not classes: named so, and with folders of files within."""
    found: dict[str, Path] = {}
    for entry in _folders(place):
        part = _PARTS.get(entry.name.lower())
        if part and any(holds(inner, wanted) for inner in _folders(entry)):
            if part in found:
                raise DataError(f"{found[part]} and {entry} both are the {part} part; keep one")
            found[part] = entry
    return found
