"""Texts in tables: which column holds them, and how they come out of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.data.base import Corpus, Examples
from paceline.tasks.base.column_finder import find_column
from paceline.tasks.base.column_kinds import Text
from paceline.tasks.base.task import Claim

_LOOKED_AT = 5_000
_STRENGTH = 0.8


def claimed_text(corpus: Corpus, wanted: Any) -> Claim | None:
    """A table's claim for its texts; None where it has other things to learn from.

    Args:
        corpus: Of the kind ``table``.
        wanted: Name of the column, where a person said so.

    Raises:
        DataError: There is no such column.
    """
    columns = [str(name) for name in corpus.train.inputs.columns]
    if wanted is not None:
        if str(wanted) not in columns:
            raise DataError(
                f"{corpus.name} has no column {str(wanted)!r}{nearest(str(wanted), columns)}"
            )
        reason = f"the texts are said to be in the column {wanted}"
        return Claim(strength=1.0, reason=reason, corpus=_as_text(corpus, str(wanted)))
    column = _only_text(corpus.train.inputs)
    if column is None:
        return None
    return Claim(
        strength=_STRENGTH,
        reason=f"the column {column} holds sentences, and no other helps",
        corpus=_as_text(corpus, column),
    )


def texts_of(inputs: Any, column: str | None) -> list[str]:
    """Texts from what a source gave: an array of them, or a table with a column of them.

    Raises:
        DataError: They are no texts, or the column is not there.
    """
    if hasattr(inputs, "iloc"):
        return _from_table(inputs, column)
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "OU" or inputs.ndim != 1:
        raise DataError("texts are needed, as in training; give a list of them, or their table")
    texts: list[str] = inputs.tolist()
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"example {at + 1} is a {type(text).__name__}; a text is needed")
    return texts


def _from_table(table: Any, column: str | None) -> list[str]:
    names = [str(name) for name in table.columns]
    if column is None and len(names) == 1:
        column = names[0]
    if column is None:
        raise DataError(
            f"the table has {len(names)} columns, and the training texts had no name; give the"
            " texts alone"
        )
    if column not in names:
        raise DataError(f"the column {column!r} is missing{nearest(column, names)}")
    values = table.iloc[:, names.index(column)]
    missing = values.isna().to_numpy()
    return [
        "" if gone else str(value)
        for value, gone in zip(values.tolist(), missing.tolist(), strict=True)
    ]


def _only_text(table: Any) -> str | None:
    """The column of sentences, where every other is empty, constant or names its row."""
    few = table.iloc[:: max(1, len(table) // _LOOKED_AT)]
    found = []
    for at in range(few.shape[1]):
        series = few.iloc[:, at].rename(str(few.columns[at]))
        if series.nunique(dropna=False) < 2:
            continue
        kind, _ = find_column(series)
        if kind is not None and not _counts_rows(series):
            found.append(kind)
    return found[0].name if len(found) == 1 and isinstance(found[0], Text) else None


def _counts_rows(series: Any) -> bool:
    """Whether it goes up by the same step from row to row, as a running number does."""
    if series.dtype.kind not in "iu" or len(series) < 3:
        return False
    steps = np.diff(series.to_numpy())
    return bool((steps == steps[0]).all() and steps[0] != 0)


def _as_text(corpus: Corpus, column: str) -> Corpus:
    parts: dict[str, Any] = {
        name: None if part is None else _examples(part, column)
        for name, part in (
            ("train", corpus.train),
            ("validation", corpus.validation),
            ("test", corpus.test),
        )
    }
    empty = sum(not text.strip() for text in parts["train"].inputs)
    notes = corpus.notes
    if empty:
        notes = (*notes, f"{empty} of {len(parts['train'])} training texts are empty")
    return replace(corpus, kind="text", facts=corpus.facts | {"text": column}, notes=notes, **parts)


def _examples(part: Examples, column: str) -> Examples:
    return replace(part, inputs=np.array([*_from_table(part.inputs, column), None], object)[:-1])
