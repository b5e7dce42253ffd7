"""Plain text to read: a file, or a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import short_name, visible
from paceline.data.base.looks import looks_delimited, looks_tagged
from paceline.data.base.memory import refuse_too_large

# Text, its tokens and its windows lie in memory together.
_BYTES_OF_MEMORY = 40
_PARTS = {"train": "train", "valid": "validation", "dev": "validation", "test": "test"}


@final
class PlainText(Source):
    """Texts in UTF-8, one for each file; each is its own target.

    In a folder the files are read in the order of their names, unless they are called
    ``train.txt``, ``valid.txt`` (or ``dev.txt``) and ``test.txt``: then they are parts. Lines
    end in one character, whatever the file has. Tables and tagged words that end in
    ``.txt`` are left to the sources that read them.
    """

    promise = "a .txt to read, or a folder of .txt"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return False
        if place.is_dir():
            found = visible(place)
            return bool(found) and all(_is_text(file) and not looks_tagged(file) for file in found)
        return _is_text(place) and not looks_tagged(place) and not looks_delimited(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        parts = {name: _texts(files, opening) for name, files in _parts(place).items()}
        notes = [note for _, some in parts.values() for note in some]
        texts = {name: found for name, (found, _) in parts.items()}
        if "train" not in texts:
            raise DataError(
                f"{place} has parts to measure on ({', '.join(texts)}) but no train.txt"
            )
        examples = {name: Examples(inputs=found, targets=found) for name, found in texts.items()}
        return Corpus(
            name=short_name(place) if place.is_dir() else short_name(_named(place)),
            kind="language",
            train=examples["train"],
            validation=examples.get("validation"),
            test=examples.get("test"),
            fingerprint=fingerprint("language", [[name, found] for name, found in texts.items()]),
            notes=tuple(notes),
            facts={
                "files": sum(len(files) for files in _parts(place).values()),
                "characters": sum(len(text) for text in texts["train"].tolist()),
            },
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        files = [file for some in _parts(place).values() for file in some]
        texts, notes = _texts(files, opening)
        for note in notes:
            opening.progress.warn(note)
        return Examples(inputs=texts, targets=texts)


def _is_text(file: Path) -> bool:
    return file.suffix.lower() == ".txt" and file.is_file()


def _named(place: Path) -> Path:
    """What gives the name: the folder, where the file's name says nothing."""
    plain = {"input", "data", "text", "train"}
    parent = place.resolve().parent
    return parent if place.stem.lower() in plain and parent.name else place


def _parts(place: Path) -> dict[str, list[Path]]:
    """Files by part; a folder without files called after parts is one text to divide."""
    if not place.is_dir():
        return {"train": [place]}
    files = visible(place)
    named = {_part_of(file): [file] for file in files}
    if None in named or "train" not in named or len(named) < len(files):
        return {"train": files}
    return {str(name): named[name] for name in ("train", "validation", "test") if name in named}


def _part_of(file: Path) -> str | None:
    stem = file.stem.lower()
    return next((part for word, part in _PARTS.items() if stem.startswith(word)), None)


def _texts(files: list[Path], opening: Opening) -> tuple[np.ndarray[Any, Any], list[str]]:
    texts, notes = [], []
    for done, file in enumerate(files):
        opening.progress.advance("reading", done / len(files), file.name)
        try:
            texts.append(_text(file))
        except DataError as error:
            if not opening.skip_bad or len(files) == 1:
                raise
            notes.append(f"{error}; it was left out")
    if not texts:
        raise DataError(f"none of the {len(files)} files beside {files[0]} can be used")
    return np.array([*texts, None], dtype=object)[:-1], notes


def _text(file: Path) -> str:
    try:
        refuse_too_large(str(file), _BYTES_OF_MEMORY * file.stat().st_size)
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f"{file}, line {line}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(f"{file} holds bytes of zero; it is no text")
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise DataError(f"{file} is empty")
    return text
