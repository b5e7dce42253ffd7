"""What a table says of its items beside their ratings: genres, years, prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

Array = np.ndarray[Any, Any]
_MOST_WORDS, _LEAST_ITEMS = 64, 3
_SEPARATOR = "|"


@final
class ItemSides:
    """Columns of which each item has one value, as numbers.

    Words, several of them divided by ``|``, become ones and noughts; numbers are
    standardised. An item that comes again without its columns keeps what was learnt of it.

    Args:
        names: Of the numbers: ``genres=Drama``, ``year``.
        scales: By the column of numbers, its mean and standard deviation.
        values: Of each known item, in the order of the codes from 1, float32 [items, names].

    >>> ItemSides([], {}, []).names
    []
    """

    def __init__(
        self, names: list[str], scales: dict[str, list[float]], values: Sequence[Sequence[float]]
    ) -> None:
        self.names, self.scales = names, scales
        self._values = np.zeros((len(values) + 1, len(names)), dtype=np.float32)
        if len(values) and names:
            self._values[1:] = values

    @classmethod
    def learn(cls, frame: Any, keys: Array, items: list[str], *, beside: set[Any]) -> ItemSides:
        """From the training examples.

        Args:
            frame: The table.
            keys: Its items as text [n].
            items: Known ones, in the order of their codes.
            beside: Columns that say something else.
        """
        _, first = np.unique(keys.astype(str), return_index=True)
        once = frame.iloc[first].assign(**{_KEY: keys[first]})
        once = once.set_index(_KEY).reindex(items)
        count = len(first)
        found = [
            name
            for name in map(str, frame.columns)
            if name not in beside and _belongs(frame[name], keys, count)
        ]
        names: list[str] = []
        scales: dict[str, list[float]] = {}
        for name in found:
            if frame[name].dtype.kind in "iuf":
                numbers = once[name].astype(float)
                scales[name] = [float(numbers.mean()), float(numbers.std(ddof=0)) or 1.0]
                names.append(name)
            else:
                names += _frequent(name, once[name])
        sides = cls(names, scales, [])
        return cls(names, scales, sides._numbers(once).tolist())

    def encode(self, frame: Any, codes: Array) -> Array:
        """Float32 [n, names] of examples whose items have these codes."""
        values = self._values[codes]
        if any(name in frame for name in self._columns()) and len(frame):
            strange = codes == 0
            values[strange] = self._numbers(frame[strange])
        return values

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name.partition("=")[0] for name in self.names))

    def _numbers(self, frame: Any) -> Array:
        columns = [self._column(frame, name) for name in self.names]
        made = np.stack(columns, 1) if columns else np.zeros((len(frame), 0))
        return np.nan_to_num(made.astype(np.float32))

    def _column(self, frame: Any, name: str) -> Array:
        column, _, word = name.partition("=")
        if column not in frame:
            return np.zeros(len(frame))
        if column in self.scales:
            mean, scale = self.scales[column]
            numbers: Array = (frame[column].astype(float).to_numpy() - mean) / scale
            return numbers
        return np.array([float(word in _words(value)) for value in frame[column].tolist()])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "names": self.names,
            "scales": self.scales,
            "values": self._values[1:].astype(float).tolist() if self.names else [],
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> ItemSides:
        """Back from what ``to_json`` gave."""
        return ItemSides(list(state["names"]), dict(state["scales"]), state["values"])


_KEY = "\0item"


def _belongs(column: Any, keys: Array, items: int) -> bool:
    """Whether a column has one value for each item, and not one for each example."""
    if column.dtype.kind not in "iufO" and str(column.dtype) not in ("str", "string"):
        return False
    pairs = set(zip(keys.tolist(), map(str, column.tolist()), strict=True))
    return len(pairs) == items < len(keys) and len(column.unique()) > 1


def _frequent(name: str, column: Any) -> list[str]:
    counts = Counter(word for value in column.tolist() for word in _words(value))
    often = [word for word, count in counts.most_common(_MOST_WORDS) if count >= _LEAST_ITEMS]
    return [f"{name}={word}" for word in sorted(often)]


def _words(value: Any) -> set[str]:
    if value is None or value != value:
        return set()
    return {word.strip() for word in str(value).split(_SEPARATOR)}
