"""Tag schemes: how words' tags say where a thing begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from paceline.core.errors import DataError

OUTSIDE = "O"
_MARKS = frozenset("BIESLUM")
_PLAIN = {"L": "E", "U": "S", "M": "I"}
_WRITTEN = {"BILOU": {"E": "L", "S": "U"}, "BMES": {"I": "M"}}
SCHEMES = ("IO", "bare", "BIO", "IOB1", "IOE", "BIOES", "BILOU", "BMES")
_ENCLOSED = ("BIOES", "BILOU", "BMES")


@final
@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Some words in a row that are one thing.

    Attributes:
        first: Its first word, from 0.
        end: The word after its last.
        kind: Its type, as ``PER``; empty where the tags name none.
    """

    first: int
    end: int
    kind: str


def marked(tag: str) -> bool:
    """Whether a tag is ``O`` or begins with a mark of place, as ``B-PER`` or ``I`` do."""
    return tag == OUTSIDE or (tag[:1] in _MARKS and (len(tag) == 1 or tag[1] == "-"))


@lru_cache(maxsize=65_536)
def parted(tag: str, scheme: str) -> tuple[str, str]:
    """A tag's place (one of B I E S O, whatever the scheme calls it) and type.

    >>> parted("U-PER", "BILOU"), parted("PER", "bare")
    (('S', 'PER'), ('I', 'PER'))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if scheme == "bare":
        return "I", tag
    return _PLAIN.get(tag[0], tag[0]), tag[2:]


def find_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """The name of the scheme that all tags together are of, one of ``SCHEMES``.

    Raises:
        DataError: Marks of several schemes are mixed.

    >>> find_scheme([["O", "B-PER", "I-PER"]]), find_scheme([["I-PER", "B-PER"], ["I-LOC"]])
    ('BIO', 'IOB1')
    """
    rows = [list(tags) for tags in sentences]
    tags = {tag for row in rows for tag in row}
    if not all(marked(tag) for tag in tags):
        return "bare"
    marks = {tag[0] for tag in tags} - {OUTSIDE}
    for scheme, own in (("BILOU", "LU"), ("BMES", "M")):
        if marks & set(own):
            strange = marks - {*own, "B", "I"} if scheme == "BILOU" else marks - set("BMES")
            if strange:
                raise DataError(
                    f"the tags mix schemes: {', '.join(sorted(marks))} stand together; use one of"
                    f" {', '.join(SCHEMES)}"
                )
            return scheme
    if marks & {"E", "S"}:
        return "IOE" if marks <= {"I", "E"} else "BIOES"
    if "B" not in marks:
        return "IO"
    return "IOB1" if _begins_within(rows) else "BIO"


def _begins_within(rows: list[list[str]]) -> bool:
    """Whether B only parts things that touch, and something begins with I."""
    begun = False
    for row in rows:
        before = ("O", "")
        for tag in row:
            now = parted(tag, "BIO")
            same = before[0] != OUTSIDE and before[1] == now[1]
            if now[0] == "B" and not same:
                return False
            begun = begun or (now[0] == "I" and not same)
            before = now
    return begun


def spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """What a sentence's tags enclose; tags in a wrong order are read as conlleval reads them.

    A type that changes, or an inside after an outside, begins something new.

    >>> spans(["B-PER", "I-PER", "O", "I-LOC"], "BIO")
    [Span(first=0, end=2, kind='PER'), Span(first=3, end=4, kind='LOC')]
    """
    found, first, before = [], 0, (OUTSIDE, "")
    for at, now in enumerate([*(parted(tag, scheme) for tag in tags), (OUTSIDE, "")]):
        if _ends(before, now):
            found.append(Span(first, at, before[1]))
        if _begins(before, now):
            first = at
        before = now
    return found


def _ends(before: tuple[str, str], now: tuple[str, str]) -> bool:
    if before[0] in "BI":
        return now[0] in "BSO" or before[1] != now[1]
    return before[0] != OUTSIDE


def _begins(before: tuple[str, str], now: tuple[str, str]) -> bool:
    if now[0] in "IE":
        return before[0] in "ESO" or before[1] != now[1]
    return now[0] != OUTSIDE


@lru_cache(maxsize=65_536)
def may_follow(scheme: str, before: str, now: str) -> bool:
    """Whether a tag may stand after another; ``O`` also stands for either end of a sentence.

    >>> may_follow("BIO", "O", "I-PER"), may_follow("BIOES", "B-PER", "O")
    (False, False)
    """
    (mark, kind), (next_mark, next_kind) = parted(before, scheme), parted(now, scheme)
    same = mark != OUTSIDE and kind == next_kind
    if scheme == "BIO":
        return next_mark != "I" or same
    if scheme == "IOB1":
        return next_mark != "B" or same
    if scheme == "IOE":
        return mark != "I" or (same and next_mark in "IE")
    if scheme in _ENCLOSED:
        open_now = mark in "BI"
        return (same and next_mark in "IE") if open_now else next_mark not in "IE"
    return True


def wrong_transitions(tags: Sequence[str], scheme: str) -> list[int]:
    """Which tags stand where they may not, from 0; the last word's where the end comes early.

    >>> wrong_transitions(["O", "I-PER", "B-PER"], "BIO")
    [1]
    """
    row = [OUTSIDE, *tags, OUTSIDE]
    return sorted(
        {
            min(at, len(tags) - 1)
            for at in range(len(tags) + 1)
            if not may_follow(scheme, row[at], row[at + 1])
        }
    )


def written(found: Iterable[Span], length: int, scheme: str) -> list[str]:
    """The tags of a sentence of so many words.

    >>> written([Span(0, 2, "PER"), Span(3, 4, "LOC")], 4, "BILOU")
    ['B-PER', 'L-PER', 'O', 'U-LOC']
    """
    tags, taken = [OUTSIDE] * length, (-1, "")
    for span in sorted(found):
        touching = taken == (span.first, span.kind)
        for at in range(span.first, span.end):
            first, last = at == span.first, at == span.end - 1
            mark = _mark(scheme, first=first, last=last, touching=touching)
            tags[at] = span.kind if scheme == "bare" else f"{mark}-{span.kind}".rstrip("-")
        taken = (span.end, span.kind)
    return tags


def _mark(scheme: str, *, first: bool, last: bool, touching: bool) -> str:
    if scheme == "BIO":
        return "B" if first else "I"
    if scheme == "IOB1":
        return "B" if first and touching else "I"
    if scheme == "IOE":
        return "E" if last else "I"
    if scheme in _ENCLOSED:
        plain = {(True, True): "S", (True, False): "B", (False, True): "E"}.get((first, last), "I")
        return _WRITTEN.get(scheme, {}).get(plain, plain)
    return "I"
