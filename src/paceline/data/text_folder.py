"""Folders of texts: one folder for each class, with or without parts of their own."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.class_folders import corpus_of
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import visible

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_LEAST_FOLDERS = 2
_MOST_LOOKED_AT = 2_000


@final
class TextFolder(Source):
    """One folder of ``.txt`` files for each class, or ``train`` and ``test`` folders with these.

    A file is one text, in UTF-8 or, where it is none, in Windows-1252. Files without a
    word are left out, and that is said.
    """

    promise = "a folder with one folder of .txt files per class"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path) or not place.is_dir():
            return False
        folders = _folders(place)
        parts = [entry for entry in folders if entry.name.lower() in _SPLITS]
        return _holds_classes(folders) or any(_holds_classes(_folders(part)) for part in parts)

    def read(self, place: Any, opening: Opening) -> Corpus:
        notes: list[str] = []
        found = {
            part: _read(files, f"the {part} part", opening, notes)
            for part, files in _by_part(place, notes).items()
        }
        counts = Counter(found["train"].labels)
        _refuse_classes(found, counts, place)
        told = [[part, each.texts, each.labels] for part, each in found.items()]
        return corpus_of(
            place,
            "text",
            {part: each.examples for part, each in found.items()},
            fingerprint=fingerprint("text_folder", told),
            notes=notes,
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        notes: list[str] = []
        parts = _by_part(place, notes)
        name = next(each for each in ("test", "validation", "train") if each in parts)
        found = _read(parts[name], str(place), opening, notes)
        for note in notes:
            opening.progress.warn(note)
        return found.examples


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    texts: list[str]
    labels: list[str]

    @property
    def examples(self) -> Examples:
        inputs, targets = (
            np.array([*each, None], dtype=object)[:-1] for each in (self.texts, self.labels)
        )
        return Examples(inputs=inputs, targets=targets)


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in visible(folder) if entry.is_dir()]


def _holds_classes(folders: list[Path]) -> bool:
    return sum(map(_holds_text, folders)) >= _LEAST_FOLDERS


def _is_text(name: str) -> bool:
    return name.lower().endswith(".txt") and not name.startswith(".")


def _holds_text(folder: Path) -> bool:
    """Whether a folder has a ``.txt`` of its own; the first entries tell."""
    with os.scandir(folder) as entries:
        for looked, entry in enumerate(entries):
            if _is_text(entry.name):
                return True
            if looked > _MOST_LOOKED_AT:
                return False
    return False


def _by_part(place: Path, notes: list[str]) -> dict[str, list[tuple[Path, str]]]:
    splits: dict[str, Path] = {}
    for entry in _folders(place):
        part = _SPLITS.get(entry.name.lower())
        if part is None or not _holds_classes(_folders(entry)):
            continue
        if part in splits:
            raise DataError(f"{splits[part]} and {entry} both are the {part} part; keep one")
        splits[part] = entry
    if not splits:
        return {"train": _classes(place)}
    if "train" not in splits:
        raise DataError(f"{place} has a folder {next(iter(splits.values())).name} but no train")
    others = sorted(entry.name for entry in _folders(place) if entry not in splits.values())
    if others:
        notes.append(f"not read, as they have no classes within: {', '.join(others)} in {place}")
    return {part: _classes(folder) for part, folder in sorted(splits.items())}


def _classes(folder: Path) -> list[tuple[Path, str]]:
    return [
        (path, entry.name)
        for entry in _folders(folder)
        for path in visible(entry)
        if _is_text(path.name) and path.is_file()
    ]


def _read(files: list[tuple[Path, str]], where: str, opening: Opening, notes: list[str]) -> _Found:
    texts: list[str] = []
    labels: list[str] = []
    left_out: dict[str, list[str]] = {"are empty": [], "cannot be read": []}
    for done, (path, label) in enumerate(files):
        if done % 500 == 0:
            opening.progress.advance("reading texts", done / len(files))
        text, reason = _text_or_reason(path, skip_bad=opening.skip_bad)
        if text:
            texts.append(text)
            labels.append(label)
        else:
            left_out["cannot be read" if reason else "are empty"].append(reason or str(path))
    opening.progress.advance("reading texts", 1.0)
    notes += [
        f"{len(some)} of {len(files)} texts {what} and were left out: {some[0]}"
        for what, some in left_out.items()
        if some
    ]
    if not texts:
        raise DataError(f"{where} has no text: all {len(files)} files are empty or bad")
    return _Found(texts=texts, labels=labels)


def _text_or_reason(path: Path, *, skip_bad: bool) -> tuple[str, str]:
    """A text, or why there is none."""
    try:
        return _text(path), ""
    except DataError as error:
        if not skip_bad:
            raise DataError(f"{error}; or leave such files out with --skip-bad") from None
        return "", str(error)


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise DataError(
                f"{path}: byte {error.start + 1} is neither UTF-8 nor Windows-1252;"
                " save it as UTF-8"
            ) from None
    if "\0" in text:
        raise DataError(f"{path} has a NUL byte; it is no text, or damaged")
    return text.strip()


def _refuse_classes(found: dict[str, _Found], counts: Counter[str], place: Path) -> None:
    if len(counts) < _LEAST_FOLDERS:
        raise DataError(
            f"{place} needs a folder of texts for each of at least two classes; found only"
            f" {next(iter(counts))!r}"
        )
    for part, each in found.items():
        strange = sorted(set(each.labels) - set(counts))
        if strange:
            raise DataError(
                f"the {part} part of {place} has a class {strange[0]!r} that is not in train"
            )
