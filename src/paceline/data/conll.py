"""Sentences with a tag for every word, in lines of columns or in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import short_name, visible
from paceline.data.base.looks import looks_tagged
from paceline.data.base.tag_schemes import OUTSIDE, find_scheme, marked, wrong_transitions
from paceline.data.base.tagged_lines import Sentences, read_sentences

_PARTS = {
    "train": re.compile(r"train", re.IGNORECASE),
    "validation": re.compile(r"valid|testa|(^|[^a-z])(dev|devel|val)([^a-z]|$)", re.IGNORECASE),
    "test": re.compile(r"test", re.IGNORECASE),
}
_MOST_FILES = 50
_LEAST_DOCUMENTS = 10


@final
class Conll(Source):
    """A file of lines ``word … tag`` with blank lines between sentences, or a folder of these.

    Columns are parted by tabs or spaces; the first is the word and the last the tag, of any
    scheme: BIO, IOB1, BIOES, BILOU, BMES, IOE, IO or types alone. In a folder, files called
    train, dev (devel, valid, testa) and test are the parts. A list of pairs
    ``(words, tags)`` is read likewise, and a list of lists of words is predicted. Tags in a
    wrong order are read as conlleval reads them, and counted. Where ``-DOCSTART-`` parts
    ten documents or more, none is divided between training and test.

    >>> Conll.recognises([["Ada", "Lovelace"]]), Conll.recognises("digits")
    (True, False)
    """

    promise = "CoNLL columns (word … tag, blank lines between sentences), a file or folder"

    @staticmethod
    def recognises(place: Any) -> bool:
        if isinstance(place, Path):
            return bool(_tagged_in(place)) if place.is_dir() else _is_tagged(place)
        return isinstance(place, list) and bool(place) and (_are_pairs(place) or _are_words(place))

    def read(self, place: Any, opening: Opening) -> Corpus:
        files = {"train": place} if isinstance(place, list) else _files(place)
        found = {part: _load(file, opening) for part, file in files.items()}
        scheme = find_scheme(tags for each in found.values() for tags in each.tags)
        notes = [note for each in found.values() for note in each.notes]
        wrong = [
            line
            for part, each in found.items()
            for line in _wrong(each, scheme, files[part], notes)
        ]
        parts = {part: _examples(each) for part, each in found.items()}
        return Corpus(
            name=short_name(place) if isinstance(place, Path) else "sentences",
            kind="tagging",
            train=parts["train"],
            validation=parts.get("validation"),
            test=parts.get("test"),
            fingerprint=fingerprint(
                "conll", [[part, _lines(each)] for part, each in found.items()]
            ),
            notes=tuple(notes),
            facts=_facts(found, scheme) | {"wrong_transitions": len(wrong), "wrong": wrong[:1]},
            groups=_groups(found),
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        if isinstance(place, list):
            if _are_pairs(place):
                return _examples(_in_memory(place))
            return Examples(inputs=_column([list(words) for words in place]), targets=None)
        files = _files(place)
        file = files.get("test", files["train"])
        found = read_sentences(file, need_tags=False, skip_bad=opening.skip_bad)
        for note in found.notes:
            opening.progress.warn(note)
        return _examples(found)


def _is_words(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)


def _are_words(place: list[Any]) -> bool:
    return all(_is_words(each) for each in place)


def _are_pairs(place: list[Any]) -> bool:
    return all(
        isinstance(each, tuple) and len(each) == 2 and _is_words(each[0]) and _is_words(each[1])
        for each in place
    ) and not all(isinstance(part, str) for each in place for part in each)


def _is_tagged(path: Path) -> bool:
    try:
        return path.is_file() and looks_tagged(path)
    except OSError:
        return False


def _tagged_in(folder: Path) -> list[Path]:
    files = [entry for entry in visible(folder) if entry.is_file()]
    return [] if len(files) > _MOST_FILES else [path for path in files if _is_tagged(path)]


def _files(place: Path) -> dict[str, Path]:
    """The file of each part; ``testa`` is for validation."""
    if not place.is_dir():
        return {"train": place}
    found: dict[str, Path] = {}
    files = _tagged_in(place)
    if len(files) == 1:
        return {"train": files[0]}
    for path in files:
        part = _part_of(path.name)
        if part is None:
            continue
        if part in found:
            raise DataError(
                f"{found[part]} and {path} both are the {part} part; keep one, or name a file"
            )
        found[part] = path
    found = {part: found[part] for part in _PARTS if part in found}
    if "train" not in found:
        names = ", ".join(path.name for path in files[:5])
        raise DataError(f"{place} has no training part among {names}; call one train")
    return found


def _part_of(name: str) -> str | None:
    return next((part for part, words in _PARTS.items() if words.search(name)), None)


def _load(place: Any, opening: Opening) -> Sentences:
    if isinstance(place, list):
        if not _are_pairs(place):
            raise DataError("sentences alone cannot be learnt from; give pairs of (words, tags)")
        return _in_memory(place)
    found = read_sentences(place, need_tags=True, skip_bad=opening.skip_bad)
    _refuse_odd(found, place)
    return found


def _in_memory(pairs: Sequence[tuple[Any, Any]]) -> Sentences:
    for at, (words, tags) in enumerate(pairs):
        if len(words) != len(tags):
            raise DataError(f"sentence {at} has {len(words)} words but {len(tags)} tags")
    return Sentences(
        words=[list(words) for words, _ in pairs],
        tags=[list(tags) for _, tags in pairs],
        lines=[[at] * len(words) for at, (words, _) in enumerate(pairs)],
        documents=[0] * len(pairs),
    )


def _refuse_odd(found: Sentences, path: Path) -> None:
    """A tag without a mark of place among many that have one is a slip."""
    counts = Counter(tag for tags in found.tags for tag in tags if tag != OUTSIDE)
    odd = {tag for tag in counts if not marked(tag)}
    if not odd or sum(counts[tag] for tag in odd) > 0.1 * counts.total():
        return
    line, tag = next(
        (line, tag)
        for lines, tags in zip(found.lines, found.tags, strict=True)
        for line, tag in zip(lines, tags, strict=True)
        if tag in odd
    )
    raise DataError(f"{path}: the tag {tag!r} in line {line} has no mark of place such as B- or I-")


def _wrong(found: Sentences, scheme: str, place: Any, notes: list[str]) -> list[str]:
    """Where tags stand in a wrong order, in words; a note tells of the first."""
    where = [
        f"{_tag_before(tags, at)} to {tags[at]} in {_place(place, lines[at])}"
        for tags, lines in zip(found.tags, found.lines, strict=True)
        for at in wrong_transitions(tags, scheme)
    ]
    if where:
        notes.append(
            f"{len(where)} tags stand in an order that {scheme} does not have (the first: from"
            f" {where[0]}); they are read as conlleval does: what begins inside, begins"
        )
    return where


def _tag_before(tags: list[str], at: int) -> str:
    return tags[at - 1] if at else "the beginning"


def _place(place: Any, line: int) -> str:
    return f"sentence {line}" if isinstance(place, list) else f"line {line} of {place.name}"


def _column(values: list[Any]) -> np.ndarray[Any, Any]:
    column = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        column[at] = value
    return column


def _examples(found: Sentences) -> Examples:
    targets = _column(found.tags) if found.tagged else None
    return Examples(inputs=_column(found.words), targets=targets)


def _lines(found: Sentences) -> list[str]:
    return [
        "\x1f".join((*words, "\x1e", *tags))
        for words, tags in zip(found.words, found.tags, strict=True)
    ]


def _groups(found: dict[str, Sentences]) -> np.ndarray[Any, Any] | None:
    documents = found["train"].documents
    return np.array(documents) if len(set(documents)) >= _LEAST_DOCUMENTS else None


def _facts(found: dict[str, Sentences], scheme: str) -> dict[str, Any]:
    return {
        "scheme": scheme,
        "documents": len(set(found["train"].documents)),
        **{f"{part}_words": sum(map(len, each.words)) for part, each in found.items()},
    }
