"""What a column of a table can be, and how each kind becomes numbers or codes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import numpy as np

from paceline.core.errors import DataError
from paceline.core.extras import need

Array = np.ndarray[Any, Any]
UNKNOWN, MISSING, FIRST_VALUE = 0, 1, 2
# Squares of larger numbers leave float32.
LARGEST = 1e18
_DAY_MICROSECONDS = 86_400_000_000
_TRUTH = {"true": 1.0, "false": 0.0}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column(ABC):
    """How one column is encoded; a value that JSON keeps exactly.

    Attributes:
        name: Of the column in the table.
    """

    kind: ClassVar[str]
    name: str

    @abstractmethod
    def numbers(self, column: Any) -> Array:
        """Float64 [n, parts], nan where missing; no parts where the kind gives codes.

        Raises:
            DataError: A value is not of this kind; names column, row and value.
        """

    def codes(self, column: Any) -> Array | None:
        """Int64 [n], 0 unknown, 1 missing; None where the kind gives numbers."""
        return None

    @property
    def cardinality(self) -> int:
        """How many codes there are."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"kind": self.kind, **asdict(self)}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Number(Column):
    """Integers, floats, truth values, lengths of time in days, and numbers kept as text.

    Attributes:
        absent: Words that stand for a missing number, as in ``n/a``.
    """

    kind = "number"
    absent: tuple[str, ...] = ()

    def numbers(self, column: Any) -> Array:
        if is_plain(column):
            values = plain_numbers(column)
        else:
            words = texts(column)
            values = parsed_numbers(words)
            bad = np.isnan(values) & words.notna().to_numpy()
            if bad.any():
                bad &= ~words.isin(self.absent).to_numpy()
                _refuse(self.name, words, bad, "a number")
        # Comparing nan is false, which leaves it as it is.
        values[np.abs(values) > LARGEST] = np.nan
        return values[:, None]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Category(Column):
    """One of several values, compared as text.

    Attributes:
        values: By code, from 2 on; the most frequent first.
    """

    kind = "category"
    values: tuple[str, ...]

    def numbers(self, column: Any) -> Array:
        return np.empty((len(column), 0))

    def codes(self, column: Any) -> Array:
        pandas = need("pandas", extra="tables", purpose="reading a table")
        words = texts(column)
        found: Array = pandas.Index(self.values, dtype=object).get_indexer(words.astype(object))
        codes = np.where(found >= 0, found + FIRST_VALUE, UNKNOWN)
        codes[words.isna().to_numpy()] = MISSING
        return codes.astype(np.int64)

    @property
    def cardinality(self) -> int:
        return len(self.values) + FIRST_VALUE


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Date(Column):
    """A moment: elapsed days, year, month, day, weekday (Monday is 0) and hour, in UTC.

    Attributes:
        format: As ``strptime`` has it, or ``ISO8601``.
        start: Days from 1970 to the moment from which days are counted.
    """

    kind = "date"
    format: str
    start: float

    def numbers(self, column: Any) -> Array:
        moments = moments_of(column, self.format)
        if column.dtype.kind != "M":
            words = texts(column)
            bad = moments.isna() & words.notna().to_numpy()
            _refuse(self.name, words, bad, f"a date in the format {self.format}")
        parts = (moments.year, moments.month, moments.day, moments.day_of_week, moments.hour)
        named = [np.asarray(part, dtype=np.float64) for part in parts]
        values = np.stack([days(moments) - self.start, *named], 1)
        values[moments.isna()] = np.nan
        return values


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Text(Column):
    """Sentences: their length in characters and words, and which frequent words they hold.

    Attributes:
        words: In lower case, the most frequent first.
    """

    kind = "text"
    words: tuple[str, ...]

    def numbers(self, column: Any) -> Array:
        place = {word: at + 2 for at, word in enumerate(self.words)}
        values = np.zeros((len(column), 2 + len(place)))
        for row, text in enumerate(texts(column).fillna("")):
            found = words_of(text)
            values[row, :2] = len(text), len(found)
            values[row, [place[word] for word in found if word in place]] = 1.0
        return values


_KINDS: dict[str, type[Column]] = {
    "number": Number,
    "category": Category,
    "date": Date,
    "text": Text,
}


def column_from_json(state: Mapping[str, Any]) -> Column:
    """Back from what a column's ``to_json`` gave."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in state.items()
        if key != "kind"
    }
    return _KINDS[state["kind"]](**values)


def is_plain(column: Any) -> bool:
    """Whether a column's type is that of numbers, truth values or lengths of time."""
    pandas = need("pandas", extra="tables", purpose="reading a table")
    return bool(pandas.api.types.is_numeric_dtype(column.dtype)) or column.dtype.kind == "m"


def plain_numbers(column: Any) -> Array:
    """A numeric column as float64, nan where missing; lengths of time in days."""
    if column.dtype.kind == "c":
        raise DataError(f"column {column.name!r} holds complex numbers; split them into two")
    if column.dtype.kind == "m":
        column = column.dt.total_seconds() / 86_400
    values: Array = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    return values


def texts(column: Any) -> Any:
    """A column as text without blanks around it; nothing left counts as missing.

    Whole floats are written as integers, for a column of integers turns to floats as
    soon as one of them is missing.
    """
    if column.dtype.kind in "fc" or (column.dtype == object):
        column = column.map(_word, na_action="ignore")
    words = column.astype("str").str.strip()
    return words.mask(words == "")


def _word(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value)


def parsed_numbers(words: Any) -> Array:
    """Numbers that are written out, and true and false; nan for everything else."""
    pandas = need("pandas", extra="tables", purpose="reading a table")
    values = pandas.to_numeric(words, errors="coerce")
    numbers: Array = values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    rest = np.flatnonzero(np.isnan(numbers) & words.notna().to_numpy())
    if len(rest):
        truth = words.iloc[rest].str.lower().map(_TRUTH)
        numbers[rest] = truth.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def moments_of(column: Any, written: str) -> Any:
    """A pandas DatetimeIndex in UTC; NaT where missing or written otherwise."""
    pandas = need("pandas", extra="tables", purpose="reading a table")
    if column.dtype.kind == "M":
        return pandas.DatetimeIndex(pandas.to_datetime(column, utc=True))
    return pandas.DatetimeIndex(
        pandas.to_datetime(texts(column), format=written, errors="coerce", utc=True)
    )


def days(moments: Any) -> Array:
    """Days from 1970 on; nothing sensible where missing."""
    microseconds = moments.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    elapsed: Array = microseconds / _DAY_MICROSECONDS
    return elapsed


def words_of(text: str) -> list[str]:
    """Words in lower case.

    >>> words_of("Braund, Mr. Owen")
    ['braund', 'mr', 'owen']
    """
    return _WORD.findall(text.lower())


def frequent_words(sentences: Iterable[str], *, most: int, at_least: int) -> tuple[str, ...]:
    """The words that most sentences hold, ties in alphabetical order.

    >>> frequent_words(["a b", "b c", "b b"], most=2, at_least=1)
    ('b', 'a')
    """
    counts = Counter(word for text in sentences for word in set(words_of(text)))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, count in ranked[:most] if count >= at_least)


def _refuse(name: str, words: Any, bad: Array, wanted: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"column {name!r}, row {row + 1}: {words.iloc[row]!r} is not {wanted}, as the"
            " column held in training; correct it or leave it empty"
        )
