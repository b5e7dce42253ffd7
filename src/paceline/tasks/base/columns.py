"""Encodes tables: learns from the training rows what each column is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.core.signature import Field
from paceline.tasks.base.column_finder import find_column
from paceline.tasks.base.column_kinds import MISSING, Array, Column, column_from_json
from paceline.tasks.base.leaks import gives_away

FEWEST_BINS, MOST_BINS = 48, 128


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """An encoding of tables, as it was learnt from the training rows.

    Attributes:
        columns: Those that are used, in the table's order.
        kept: Which of all columns' numbers vary, by their place end to end.
        fills: What stands in for a missing number, one for each that is kept.
        indicated: Numbers that were sometimes missing; each adds a column of 0 and 1.
        numeric: Field of the kept numbers and the indicators, None where there are none.
        category: Field of the codes, None where there are none.
        notes: Warnings for a person, one line each.
    """

    columns: tuple[Column, ...]
    kept: tuple[int, ...]
    fills: tuple[float, ...]
    indicated: tuple[int, ...]
    numeric: Field | None
    category: Field | None
    notes: tuple[str, ...]

    @classmethod
    def learn(cls, frame: Any, targets: Array, classes: int | None) -> Self:
        """Looks at the training rows.

        Args:
            frame: A pandas table.
            targets: Class indices or numbers [n]; only to warn of columns that give
                them away.
            classes: How many there are; None for numbers.

        Raises:
            DataError: No column is left to learn from.
        """
        found: list[Column] = []
        blocks: list[Array] = []
        coded: list[Array] = []
        notes: list[str] = []
        for at in range(frame.shape[1]):
            series = frame.iloc[:, at].rename(str(frame.columns[at]))
            column, said = find_column(series)
            notes += said
            if column is None:
                continue
            numbers, codes = column.numbers(series), column.codes(series)
            if _is_constant(numbers, codes):
                notes.append(f"column {column.name!r} has one value only; it was left out")
                continue
            if gives_away(numbers, codes, targets, classes):
                notes.append(
                    f"column {column.name!r} alone determines the target; leave it out if it"
                    " will not be known when predicting"
                )
            found.append(column)
            blocks.append(numbers)
            coded += [] if codes is None else [codes]
        if not found:
            raise DataError(
                f"none of the {frame.shape[1]} columns can be learnt from; {'; '.join(notes)}"
            )
        return cls._assembled(tuple(found), blocks, tuple(notes))

    @classmethod
    def _assembled(
        cls, columns: tuple[Column, ...], blocks: Sequence[Array], notes: tuple[str, ...]
    ) -> Self:
        raw = np.concatenate(blocks, 1)
        starts = np.cumsum([0, *[block.shape[1] for block in blocks]])[:-1]
        kept = [at for at in range(raw.shape[1]) if _varies(raw[:, at])]
        fills = [float(np.float32(np.nanmedian(raw[:, at]))) for at in kept]
        indicated = [
            int(start)
            for start, block in zip(starts, blocks, strict=True)
            if block.shape[1] and np.isnan(block[:, 0]).any()
        ]
        numeric = _filled(raw, kept, fills, indicated)
        sizes = tuple(column.cardinality for column in columns if column.cardinality)
        category = Field(name="category", shape=(len(sizes),), dtype="int64", cardinalities=sizes)
        return cls(
            columns=columns,
            kept=tuple(kept),
            fills=tuple(fills),
            indicated=tuple(indicated),
            numeric=_numeric_field(numeric) if numeric.shape[1] else None,
            category=category if sizes else None,
            notes=notes,
        )

    def encode(self, frame: Any) -> tuple[Array | None, Array | None]:
        """Numbers float32 [n, columns] without gaps, and codes int64 [n, columns].

        Raises:
            DataError: A column is missing or holds something else than in training.
        """
        raw, codes = self._read(frame)
        numeric = None
        if self.numeric is not None:
            numeric = _filled(raw, self.kept, self.fills, self.indicated)
        return numeric, codes if self.category is not None else None

    def features(self, frame: Any) -> Array:
        """Numbers, then codes; float32 [n, columns], nan for missing."""
        raw, codes = self._read(frame)
        ordinal = codes.astype(np.float32)
        ordinal[codes == MISSING] = np.nan
        return np.concatenate([raw[:, list(self.kept)].astype(np.float32), ordinal], 1)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Which columns of ``features`` hold codes."""
        codes = 0 if self.category is None else len(self.category.cardinalities)
        return tuple(range(len(self.kept), len(self.kept) + codes))

    def _read(self, frame: Any) -> tuple[Array, Array]:
        place = {str(name): at for at, name in enumerate(frame.columns)}
        blocks, coded = [], []
        for column in self.columns:
            if column.name not in place:
                raise DataError(
                    f"the column {column.name!r} is missing{nearest(column.name, place)}"
                )
            series = frame.iloc[:, place[column.name]]
            blocks.append(column.numbers(series))
            codes = column.codes(series)
            coded += [] if codes is None else [codes]
        none = np.empty((len(frame), 0), dtype=np.int64)
        return np.concatenate(blocks, 1), np.stack(coded, 1) if coded else none

    def to_json(self) -> dict[str, Any]:
        """All that was learnt, as JSON values."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "kept": list(self.kept),
            "fills": list(self.fills),
            "indicated": list(self.indicated),
            "numeric": _field_to_json(self.numeric),
            "category": _field_to_json(self.category),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Back from what ``to_json`` gave."""
        return cls(
            columns=tuple(column_from_json(column) for column in state["columns"]),
            kept=tuple(state["kept"]),
            fills=tuple(state["fills"]),
            indicated=tuple(state["indicated"]),
            numeric=_field_from_json(state["numeric"]),
            category=_field_from_json(state["category"]),
            notes=tuple(state["notes"]),
        )


def bin_edges(values: Array, most: int | None = None) -> tuple[float, ...]:
    """Edges of up to ``most`` bins that hold about equally many values each.

    Left out, ``most`` is the root of the number of values, but 48 at least and 128 at most.

    Values that fill whole bins by themselves get an edge of their own, and what they
    leave over is shared out among the others, so that a column that is mostly zero
    still resolves the rest. There are three edges at least.

    >>> bin_edges(np.array([0.0, 0.0, 0.0, 1.0, 2.0]))
    (0.0, 1.0, 2.0)
    >>> bin_edges(np.array([0.0, 1.0]))
    (0.0, 0.5, 1.0)
    """
    if most is None:
        most = int(np.clip(np.sqrt(len(values)), FEWEST_BINS, MOST_BINS))
    distinct, counts = np.unique(values.astype(np.float32), return_counts=True)
    if len(distinct) <= most + 1:
        edges = distinct
    else:
        heavy = counts > len(values) / most
        rest = most + 1 - int(heavy.sum())
        others = np.repeat(distinct[~heavy], counts[~heavy])
        quantiles = np.quantile(others, np.linspace(0, 1, max(rest, 2))).astype(np.float32)
        edges = np.unique(np.concatenate([distinct[heavy], quantiles, distinct[[0, -1]]]))
    if len(edges) == 2:
        middle = np.float32(edges.mean(dtype=np.float64))
        edges = np.unique(np.insert(edges, 1, middle))
    return tuple(map(float, edges))


def _varies(values: Array) -> bool:
    known = values[~np.isnan(values)].astype(np.float32)
    return len(known) > 0 and bool((known != known[0]).any())


def _is_constant(numbers: Array, codes: Array | None) -> bool:
    if codes is not None:
        return bool((codes == codes[0]).all())
    gaps = np.isnan(numbers[:, 0])
    if gaps.any() and not gaps.all():
        return False
    return not any(_varies(part) for part in numbers.T)


def _filled(
    raw: Array, kept: Sequence[int], fills: Sequence[float], indicated: Sequence[int]
) -> Array:
    values = raw[:, list(kept)]
    values = np.where(np.isnan(values), np.asarray(fills), values)
    gaps = np.isnan(raw[:, list(indicated)])
    joined: Array = np.concatenate([values, gaps], 1).astype(np.float32)
    return joined


def _numeric_field(numeric: Array) -> Field:
    scale = numeric.std(0, dtype=np.float64)
    return Field(
        name="numeric",
        shape=(numeric.shape[1],),
        dtype="float32",
        mean=tuple(map(float, numeric.mean(0, dtype=np.float64))),
        scale=tuple(float(value) or 1.0 for value in scale),
        bins=tuple(bin_edges(part) for part in numeric.T),
    )


def _field_to_json(field: Field | None) -> dict[str, Any] | None:
    if field is None:
        return None
    return {
        "name": field.name,
        "shape": list(field.shape),
        "dtype": field.dtype,
        "cardinalities": list(field.cardinalities),
        "mean": list(field.mean),
        "scale": list(field.scale),
        "bins": [list(edges) for edges in field.bins],
    }


def _field_from_json(state: Mapping[str, Any] | None) -> Field | None:
    if state is None:
        return None
    return Field(
        name=state["name"],
        shape=tuple(state["shape"]),
        dtype=state["dtype"],
        cardinalities=tuple(state["cardinalities"]),
        mean=tuple(state["mean"]),
        scale=tuple(state["scale"]),
        bins=tuple(tuple(edges) for edges in state["bins"]),
    )
