"""What a task found worth looking at: tables, matrices of counts, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from paceline.core.findings import Cell, Finding
from paceline.report.markup import Html, table, tag
from paceline.report.measure import is_finite, number

_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
_DEPTHS = 8


def findings_section(findings: Iterable[Finding]) -> Html | None:
    """All of them; None where there are none."""
    shown = [_shown(each) for each in findings]
    if not shown:
        return None
    return tag("section", tag("h2", "A closer look"), *shown, class_="findings")


def _shown(finding: Finding) -> Html:
    body = {"table": _table, "matrix": _matrix, "pictures": _pictures}[finding.kind](finding)
    note = tag("p", finding.note, class_="bars-note") if finding.note else None
    return tag("div", tag("h3", finding.title), body, note, class_=f"finding {finding.kind}")


def _table(finding: Finding) -> Html:
    numeric = [
        at
        for at in range(len(finding.columns))
        if all(isinstance(row[at], (int, float, type(None))) for row in finding.rows)
    ]
    rows = [[_cell(cell) for cell in row] for row in finding.rows]
    return table(finding.columns, rows, caption=finding.title, numeric=numeric)


def _cell(cell: Cell) -> str:
    return cell if isinstance(cell, str) else number(cell)


def _matrix(finding: Finding) -> Html:
    """Counts, the darker the more of its row; those on the diagonal are right."""
    rows = [
        [row[0], *(_shaded(cell, row[1:], right=at == place) for place, cell in enumerate(row[1:]))]
        for at, row in enumerate(finding.rows)
    ]
    numeric = range(1, len(finding.columns))
    return table(finding.columns, rows, caption=finding.title, numeric=numeric)


def _shaded(cell: Cell, row: Sequence[Cell], *, right: bool) -> Html:
    values = [each for each in row if isinstance(each, (int, float)) and is_finite(each)]
    share = cell / sum(values) if isinstance(cell, (int, float)) and sum(values) > 0 else 0.0
    depth = min(_DEPTHS, round(share * _DEPTHS + (0.49 if share else 0)))
    kind = "right" if right else "wrong"
    return tag("span", _cell(cell) if cell else "·", class_=f"count {kind} depth-{depth}")


def _pictures(finding: Finding) -> Html:
    figures = [
        tag("figure", tag("img", src=row[0], alt=str(row[1])), tag("figcaption", str(row[1])))
        for row in finding.rows
        if isinstance(row[0], str) and _PICTURE.fullmatch(row[0])
    ]
    return tag("div", *figures, class_="pictures")
