"""Finds what a column of a table is."""

from __future__ import annotations

from typing import Any

import numpy as np

from paceline.core.extras import need
from paceline.tasks.base.column_kinds import (
    Array,
    Category,
    Column,
    Date,
    Number,
    Text,
    days,
    frequent_words,
    is_plain,
    moments_of,
    parsed_numbers,
    plain_numbers,
    texts,
    words_of,
)

MOST_VALUES = 10_000
MOST_WORDS = 64
_LEAST_ROWS = 20
_SAMPLE = 1_000
_WORD_SAMPLE = 20_000
_DAYS = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d")
_WRITTEN = ("%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
FORMATS = ("ISO8601", *(day + time for day in _DAYS + _WRITTEN for time in _TIMES))


def find_column(column: Any) -> tuple[Column | None, list[str]]:
    """What a training column is, and what there is to say about it.

    Returns:
        The column, or None where it cannot help, and notes of one line each.
    """
    pandas = need("pandas", extra="tables", purpose="reading a table")
    name = str(column.name)
    if column.isna().all():
        return None, [f"column {name!r} is empty; it was left out"]
    if is_plain(column):
        infinite = int(np.isinf(plain_numbers(column)).sum())
        return Number(name=name), _infinite(name, infinite)
    if column.dtype.kind == "M":
        return _date(name, column, "ISO8601"), []
    words = texts(column)
    counts = words.value_counts()
    if not len(counts):
        return None, [f"column {name!r} is empty; it was left out"]
    if isinstance(column.dtype, pandas.CategoricalDtype):
        return _category(name, counts, len(words))
    return _find_in_words(name, words, counts)


def _find_in_words(name: str, words: Any, counts: Any) -> tuple[Column | None, list[str]]:
    distinct = counts.index.to_series()
    number = _number(name, distinct, counts)
    if number is not None:
        return number
    written = format_of(distinct)
    if written is not None:
        return _date(name, words, written), []
    present, share = int(counts.sum()), len(counts) / int(counts.sum())
    if present >= _LEAST_ROWS and share > 0.5:
        each = [len(words_of(text)) for text in _some(distinct)]
        if np.mean(each) >= 3:
            return _text(name, words), []
        if share > 0.9:
            return None, [
                f"column {name!r} has {len(counts)} different values in {present} rows, like an"
                " identifier; it was left out"
            ]
    return _category(name, counts, len(words))


def _number(name: str, distinct: Any, counts: Any) -> tuple[Column, list[str]] | None:
    if np.isnan(parsed_numbers(_some(distinct))).all():
        return None
    numbers = parsed_numbers(distinct)
    other = np.isnan(numbers)
    notes = _infinite(name, int(counts.to_numpy()[np.isinf(numbers)].sum()))
    if not other.any():
        # Words like yes and no are no numbers; true and false alone are.
        return Number(name=name), notes
    rare = counts.to_numpy()[other].sum() <= 0.05 * counts.sum()
    if not rare or other.sum() > 3 or (~other).sum() < 10:
        return None
    absent = tuple(sorted(distinct[other]))
    listed = ", ".join(map(repr, absent))
    return Number(name=name, absent=absent), [
        *notes,
        f"column {name!r} holds numbers; {listed} in {int(counts.to_numpy()[other].sum())} rows"
        " counts as missing",
    ]


def _infinite(name: str, count: int) -> list[str]:
    return [f"column {name!r} has {count} infinite values; they count as missing"] if count else []


def format_of(distinct: Any) -> str | None:
    """The format in which all of these texts are dates, or None."""
    few = _some(distinct)
    if not few.str.contains(r"\d").all() or not few.str.contains(r"[-/. ]").all():
        return None
    for written in FORMATS:
        if moments_of(few, written).notna().all() and moments_of(distinct, written).notna().all():
            return written
    return None


def _date(name: str, column: Any, written: str) -> Date:
    moments = moments_of(column, written)
    start = float(days(moments[moments.notna()]).min())
    return Date(name=name, format=written, start=start)


def _text(name: str, words: Any) -> Text:
    sentences = _some(words.dropna(), _WORD_SAMPLE)
    at_least = max(3, len(sentences) // 200)
    return Text(name=name, words=frequent_words(sentences, most=MOST_WORDS, at_least=at_least))


def _category(name: str, counts: Any, rows: int) -> tuple[Column | None, list[str]]:
    ranked = counts.sort_index().sort_values(ascending=False, kind="stable")
    often = 1 if rows < 50 else 2 if len(ranked) <= MOST_VALUES else 3
    kept = ranked[ranked >= often].index[:MOST_VALUES]
    if not len(kept):
        return None, [f"column {name!r} has no value that occurs {often} times; it was left out"]
    notes = []
    if len(ranked) > MOST_VALUES:
        notes.append(
            f"column {name!r} has {len(ranked)} different values; the {len(kept)} most frequent are"
            " kept, the others count as one"
        )
    return Category(name=name, values=tuple(map(str, kept))), notes


def _some(distinct: Any, most: int = _SAMPLE) -> Any:
    """Up to ``most`` of many values, evenly spread."""
    rows: Array = np.unique(np.linspace(0, len(distinct) - 1, min(most, len(distinct))).astype(int))
    return distinct.iloc[rows]
