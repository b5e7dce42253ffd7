"""Reads sentences from lines of columns: a word first, its tag last, blank lines between."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from paceline.core.errors import DataError
from paceline.data.base.packed import content_of
from paceline.data.base.tag_schemes import OUTSIDE, marked

_DOCUMENT = "-DOCSTART-"
_LANGUAGE = re.compile(r"([a-z][a-z-]{1,11}:)")
_BREAKS = re.compile(r"\r\n|\r|\n")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_SHOWN = 40


@final
@dataclass(slots=True)
class Sentences:
    """What a file holds.

    Attributes:
        words: Of each sentence.
        tags: Likewise; empty lists where the file has none.
        lines: The number of the line on which each word stands.
        documents: To which document each sentence belongs, from 0.
        tagged: Whether there are tags.
        width: Columns.
        notes: Warnings for a person.
    """

    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    tagged: bool = True
    width: int = 0
    notes: list[str] = field(default_factory=list)


def read_sentences(path: Path, *, need_tags: bool, skip_bad: bool) -> Sentences:
    """The sentences of a file, gzipped if its name says so.

    Separators may be tabs or spaces. Lines that begin with ``-DOCSTART-`` part documents,
    and lines that begin with ``#`` and have another number of columns are comments. What
    every word begins with, as ``en:``, is taken off.

    Args:
        path: A text file in UTF-8, or UTF-16 with a mark.
        need_tags: Refuse a file that has none.
        skip_bad: Leave out sentences that have a line of another number of columns.

    Raises:
        DataError: It holds no sentences, is no text, or a line has too many or few columns.
    """
    lines = _BREAKS.split(_text(path))
    rows = [line.strip("\r ") for line in lines]
    found = Sentences()
    cells, tabs = _cells(rows, path, found.notes)
    found.width = _width(cells, path)
    found.tagged = found.width > 1 and _are_tags(cells, found.width)
    if need_tags and not found.tagged:
        raise DataError(f"{path} has no tags: its last column must hold tags such as B-PER and O")
    _collect(found, rows, cells, path, skip_bad)
    if not found.words:
        raise DataError(f"{path} has no sentences; lines of a word and its tag are needed")
    _renumber(found, cells)
    _strip_language(found, path)
    if tabs:
        found.notes.append(tabs)
    return found


def _text(path: Path) -> str:
    content = content_of(path)
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line} is not {encoding.upper()}; save it as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path} has a NUL byte in line {line}; it is no text, or damaged")
    return text


def _cells(rows: list[str], path: Path, notes: list[str]) -> tuple[list[list[str]], str]:
    """Each line's cells, none of a line that holds no word, and a note about mixed separators.

    A word may hold a space where tabs part the columns.
    """
    held = [at for at, row in enumerate(rows) if row.strip() and not row.startswith(_DOCUMENT)]
    plain = [at for at in held if not rows[at].startswith("#")]
    spaced = [at for at in plain if "\t" not in rows[at] and " " in rows[at]]
    tabbed = [at for at in plain if "\t" in rows[at]]
    by_tab = bool(tabbed) and not spaced
    held_rows = set(held)
    cells = [
        (_parted(row) if by_tab else row.split()) if at in held_rows else []
        for at, row in enumerate(rows)
    ]
    if not (spaced and tabbed):
        return cells, ""
    few, name, other = (spaced, "spaces", "tabs")
    if len(tabbed) < len(spaced):
        few, name, other = (tabbed, "tabs", "spaces")
    note = (
        f"{path}: {len(few)} lines part their columns by {name} and the others by {other} (the"
        f" first: line {few[0] + 1}); all are cut at both"
    )
    return cells, note


def _parted(row: str) -> list[str]:
    return [cell.strip(" ") for cell in row.rstrip("\t ").split("\t")]


def _width(cells: list[list[str]], path: Path) -> int:
    counts = Counter(len(row) for row in cells if row and not row[0].startswith("#"))
    counts = counts or Counter(len(row) for row in cells if row)
    if not counts:
        raise DataError(f"{path} has no sentences; lines of a word and its tag are needed")
    return counts.most_common(1)[0][0]


def _are_tags(cells: list[list[str]], width: int) -> bool:
    """Whether the last column holds marks of place, or few names of which ``O`` is most used."""
    counts = Counter(row[-1] for row in cells if len(row) == width)
    total = counts.total()
    if sum(count for tag, count in counts.items() if marked(tag)) >= 0.9 * total:
        return True
    return OUTSIDE in counts and len(counts) <= max(2, min(0.1 * total, 200))


@final
class _Collector:
    """Puts lines together to sentences."""

    def __init__(self, found: Sentences, *, path: Path, skip_bad: bool) -> None:
        self.found, self.bad = found, list[int]()
        self._path, self._skip_bad = path, skip_bad
        self._words: list[str] = []
        self._tags: list[str] = []
        self._lines: list[int] = []
        self._document = 0

    def take(self, number: int, row: str, cut: list[str]) -> None:
        """One line that holds a word."""
        if len(cut) != self.found.width or not cut[-1]:
            if not self._skip_bad:
                raise _uneven(self._path, number, row, cut, self.found.width)
            self.bad.append(number)
        self._words.append(cut[0])
        self._tags.append(cut[-1])
        self._lines.append(number)

    def close(self) -> None:
        """The sentence is at its end; it is left out where one of its lines is bad."""
        broken = bool(self.bad) and bool(self._lines) and self.bad[-1] >= self._lines[0]
        if self._words and not broken:
            self.found.words.append(self._words)
            self.found.tags.append(self._tags if self.found.tagged else [])
            self.found.lines.append(self._lines)
            self.found.documents.append(self._document)
        self._words, self._tags, self._lines = [], [], []

    def new_document(self) -> None:
        """What follows belongs to another document."""
        self.close()
        self._document += 1


def _collect(
    found: Sentences, rows: list[str], cells: list[list[str]], path: Path, skip_bad: bool
) -> None:
    tags = {row[-1] for row in cells if len(row) == found.width and not row[0].startswith("#")}
    collector = _Collector(found, path=path, skip_bad=skip_bad)
    for number, (row, cut) in enumerate(zip(rows, cells, strict=True), start=1):
        if row.startswith(_DOCUMENT):
            collector.new_document()
        elif not cut:
            collector.close()
        elif not _is_comment(cut, found, tags):
            collector.take(number, row, cut)
    collector.close()
    if collector.bad:
        found.notes.append(
            f"{path}: sentences with lines of another number of columns than {found.width} were"
            f" left out; the first such line: {collector.bad[0]} ({len(collector.bad)} in all)"
        )


def _is_comment(cut: list[str], found: Sentences, tags: set[str]) -> bool:
    """A word may be a ``#``: then its line has all the columns, and a tag that others have."""
    if not cut[0].startswith("#"):
        return False
    return len(cut) != found.width or (found.tagged and cut[-1] not in tags)


def _uneven(path: Path, number: int, row: str, cut: list[str], width: int) -> DataError:
    shown = row if len(row) <= _LONGEST_SHOWN else f"{row[:_LONGEST_SHOWN]}…"
    return DataError(
        f"{path}: line {number} has {len(cut)} columns where {width} are needed: {shown!r}; mend"
        " it, or leave such sentences out with --skip-bad"
    )


def _renumber(found: Sentences, cells: list[list[str]]) -> None:
    """Where the first column only counts words, the second holds them."""
    if found.width < 3:
        return
    firsts = (int(words[0]) if words[0].isdecimal() else -1 for words in found.words)
    counted = all(first in (0, 1) for first in firsts) and all(
        word.isdecimal() and int(word) == int(words[0]) + at
        for words in found.words
        for at, word in enumerate(words)
    )
    if counted:
        found.words = [[cells[line - 1][1] for line in lines] for lines in found.lines]


def _strip_language(found: Sentences, path: Path) -> None:
    """Takes off what stands before every word, as in WikiAnn's files."""
    match = _LANGUAGE.match(found.words[0][0])
    count = sum(map(len, found.words))
    if match is None or count < 2:
        return
    start = match[1]
    if all(word.startswith(start) for words in found.words for word in words):
        found.words = [[word[len(start) :] for word in words] for words in found.words]
        found.notes.append(f"{path}: every word begins with {start!r}, which is taken off")
