"""What is worth looking at beside a result's metrics: tables, matrices, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Cell = str | float | int | None
KINDS = ("table", "matrix", "pictures")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A table, a matrix or some pictures, with a title.

    Attributes:
        title: A few words.
        kind: ``table``; ``matrix``, a table of counts whose first column names its rows;
            ``pictures``, whose rows are (a PNG as ``data:image/png;base64,…``, a caption).
        columns: Heads, one a column.
        rows: Cells, as many in each as there are columns.
        note: A sentence below, or nothing.

    >>> Finding(title="Recall", columns=("class", "recall"), rows=(("cat", 0.5),)).to_json()["rows"]
    [['cat', 0.5]]
    """

    title: str
    kind: Literal["table", "matrix", "pictures"] = "table"
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        plain = asdict(self)
        return plain | {"columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Finding:
        """Back from what ``to_json`` gave."""
        rows = tuple(tuple(row) for row in value.get("rows", ()))
        return Finding(
            title=str(value["title"]),
            kind=value.get("kind", "table"),
            columns=tuple(value.get("columns", ())),
            rows=rows,
            note=str(value.get("note", "")),
        )
