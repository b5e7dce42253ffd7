"""Which columns of a table hold users, items, ratings and times."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.core.extras import need

Array = np.ndarray[Any, Any]
ROLES = ("user", "item", "rating", "time")
_WORDS = {
    "user": "user users userid uid customer reviewer member reader listener viewer rater profile",
    "item": (
        "item itemid iid movie movieid film product book isbn anime manga song track artist album"
        " game recipe restaurant business article asin show series joke podcast app video beer wine"
    ),
    "rating": "rating ratings score scores stars star overall grade",
    "time": "timestamp time date datetime when rated",
}
_KNOWN = {role: frozenset(words.split()) for role, words in _WORDS.items()}
_NUMBERS = frozenset({"id", "ids", "key", "code", "no", "nr", "asin", "isbn"})


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RatingColumns:
    """The names of the columns by role; ``time`` may be missing.

    >>> find_columns(["userId", "movieId", "rating", "timestamp"], None, {}).item
    'movieId'
    """

    user: str
    item: str
    rating: str
    time: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """As JSON values."""
        return {role: getattr(self, role) for role in ROLES}


def find_columns(
    columns: Sequence[str], target: str | None, hints: Mapping[str, Any]
) -> RatingColumns | None:
    """The columns by the words in their names; None where a name speaks for none.

    Args:
        columns: All names, the target's included.
        target: What a person wants predicted, if that was said.
        hints: Columns by role, where a person said so.

    Raises:
        DataError: A hint names no column, or a hint is given and another role is not found.
    """
    for role, name in hints.items():
        if name not in columns:
            raise DataError(f"there is no column {name!r} for {role}={nearest(name, columns)}")
    wanted = hints.get("rating", target)
    if target is not None and wanted != target:
        raise DataError(f"rating={wanted} and --target {target} are two columns; give one of them")
    found: dict[str, str | None] = dict.fromkeys(ROLES)
    found |= {str(role): str(name) for role, name in hints.items()} | {"rating": wanted}
    for role in ROLES:
        if found[role] is None:
            found[role] = _speaks(role, [each for each in columns if each not in found.values()])
    missing = [role for role in ("user", "item", "rating") if found[role] is None]
    named = target is None or "rating" in hints or _says("rating", target)
    if not missing and (hints or named):
        return RatingColumns(**found)  # type: ignore[arg-type] # none is missing
    if hints and missing:
        raise DataError(
            f"no column looks like the {missing[0]}; name it with --set task.{missing[0]}=COLUMN"
            f" ({', '.join(columns[:8])})"
        )
    return None


def _says(role: str, name: str) -> bool:
    return bool(_words(name) & _KNOWN[role])


def _words(name: str) -> set[str]:
    """The words of a name, and all of it as one.

    >>> sorted(_words("movieId")), sorted(_words("user_id"))
    (['id', 'movie', 'movieid'], ['id', 'user', 'userid'])
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.findall(r"[a-z]+", apart.lower())
    return {*words, "".join(words)}


def _speaks(role: str, columns: Sequence[str]) -> str | None:
    """The one column whose name has a word of the role; numbers of things before their names."""
    named = [each for each in columns if _says(role, each)]
    if len(named) > 1:
        exact = [each for each in named if "".join(re.findall(r"[a-z]+", each.lower())) == role]
        counted = [each for each in named if _words(each) & _NUMBERS]
        named = exact or counted or named
    return named[0] if named and (len(named) == 1 or role in ("rating", "time")) else None


def keys(column: Any) -> Array:
    """Users or items as text, the same whether numbers were read as whole or not; "" if missing.

    >>> import pandas
    >>> keys(pandas.Series([1.0, 2.5, None, "x"], dtype=object)).tolist()
    ['1', '2.5', '', 'x']
    """
    if column.dtype.kind in "iu":
        return np.asarray(column.to_numpy().astype(str), dtype=object)
    missing = column.isna().to_numpy()
    texts = [
        "" if gone else _key(value)
        for gone, value in zip(missing.tolist(), column.tolist(), strict=True)
    ]
    return np.array([*texts, None], dtype=object)[:-1]


def _key(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value).strip()


def seconds(column: Any, name: str) -> Array:
    """Times as float64, later is larger: numbers as they are, dates since 1970.

    Raises:
        DataError: They are neither.
    """
    if column.dtype.kind in "iuf":
        times: Array = column.to_numpy(dtype=np.float64)
    else:
        pandas = need("pandas", extra="tables", purpose="reading dates")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it guesses no format: each is read by itself
                dates = pandas.to_datetime(column, utc=True)
        except (ValueError, TypeError) as error:
            first = str(error).splitlines()[0]
            raise DataError(f"the column {name!r} holds no times: {first}") from None
        began = pandas.Timestamp(0, tz="UTC")
        times = (dates - began).dt.total_seconds().to_numpy(dtype=np.float64)
    missing = int(np.isnan(times).sum())
    if missing:
        raise DataError(f"{missing} of {len(times)} rows have no {name}; fill them in")
    return times
