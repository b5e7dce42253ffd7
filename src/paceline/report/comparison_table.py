"""A comparison as a table on a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from paceline.report.comparison import Comparison, Row
from paceline.report.comparison_page import method_name
from paceline.report.measure import fixed, in_words, is_finite, number


def comparison_table(comparison: Comparison) -> Table:
    """One row for each method at its best starting rate, the best first.

    The spread of the validation loss is that from the lowest to the highest seed.
    """
    metric, rows = comparison.metric, comparison.rows
    grid = len(comparison.rates) > 1
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    shown.add_column("method")
    for name in (
        *(["best rate"] if grid else []),
        "validation loss",
        "low – high",
        in_words(metric),
        f"test {in_words(metric)}",
        "CPU s",
        "steps",
        "seeds",
    ):
        shown.add_column(name, justify="right")
    for at, row in enumerate(rows):
        cells = [number(row.rate, 3)] if grid else []
        cells += _cells(row, metric)
        style = "bold cyan" if at == 0 else ""
        shown.add_row(*(Text(cell, style=style) for cell in (method_name(row), *cells)))
    return shown


def _cells(row: Row, metric: str) -> list[str]:
    losses = [_loss(value) for value in row.losses]
    ended, failed = len(row.ended), len(row.failed)
    return [
        _loss(row.loss),
        f"{losses[0]} – {losses[-1]}",
        fixed(row.metric("validation", metric)),
        fixed(row.metric("test", metric)),
        f"{row.time('cpu_seconds'):.1f}" if is_finite(row.time("cpu_seconds")) else "–",
        number(row.time("steps")) if is_finite(row.time("steps")) else "–",
        f"{ended - failed} of {ended}" if failed else str(ended),
    ]


def _loss(value: float) -> str:
    return fixed(value) if is_finite(value) else "none"
