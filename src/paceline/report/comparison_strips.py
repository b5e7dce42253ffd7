"""Seeds and medians of each method on one axis, a strip for each row of a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from paceline.report.comparison import Row
from paceline.report.comparison_chart import short
from paceline.report.markup import Html, tag
from paceline.report.measure import fixed
from paceline.report.series import ticks

_WIDTH, _HEIGHT, _SIDE, _RIGHT = 300.0, 22.0, 8.0, 24.0
_LOG_RATIO = 4.0
_FAR = 40.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Strips:
    """The pictures of a table's column.

    Attributes:
        axis: For the head.
        rows: One for each row.
    """

    axis: Html
    rows: tuple[Html, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    low: float
    high: float
    log: bool

    def x(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return round(_SIDE + share * (_WIDTH - _SIDE - _RIGHT), 1)


def strips(rows: Sequence[Row]) -> Strips:
    """A strip for each row, all on the same axis, logarithmic where the losses call for it.

    A loss far above the best ones is drawn at the right edge, one that is not finite as a
    cross beyond it.
    """
    scale = _scale(rows)
    marks = ticks(scale.low, scale.high, log=scale.log)
    lines = [tag("line", class_="grid", x1=x, x2=x, y1=0, y2=_HEIGHT) for x in map(scale.x, marks)]
    texts = [
        tag("text", short(value), x=scale.x(value), y=16, text_anchor="middle") for value in marks
    ]
    axis = tag(
        "svg",
        tag("title", "validation loss" + (", logarithmic" if scale.log else "")),
        *texts,
        class_="strip chart-text",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
    )
    drawn = [_strip(row, scale, lines, best=at == 0) for at, row in enumerate(rows)]
    return Strips(axis=axis, rows=tuple(drawn))


def _scale(rows: Sequence[Row]) -> _Scale:
    finite = [value for row in rows for value in row.losses if math.isfinite(value)]
    if not finite:
        return _Scale(low=0.0, high=1.0, log=False)
    low, high = min(finite), max(finite)
    log = low > 0 and high / low > _LOG_RATIO
    if log:
        high = min(high, _FAR * max(statistics.median(finite), 2 * low))
        more = (high / low) ** 0.03
        return _Scale(low=low / more, high=high * more, log=True)
    more = 0.05 * (high - low) or 0.1 * abs(low) or 1.0
    return _Scale(low=low - more, high=high + more, log=False)


def _strip(row: Row, scale: _Scale, lines: Sequence[Html], *, best: bool) -> Html:
    middle = _HEIGHT / 2
    finite = [value for value in row.losses if math.isfinite(value)]
    pieces = []
    if finite:
        x1, x2 = scale.x(finite[0]), scale.x(finite[-1])
        pieces.append(tag("line", class_="range", x1=x1, x2=x2, y1=middle, y2=middle))
        pieces += [
            tag("circle", class_="seed", cx=scale.x(value), cy=middle, r=3) for value in finite
        ]
    if math.isfinite(row.loss):
        x = scale.x(row.loss)
        pieces.append(tag("line", class_="median", x1=x, x2=x, y1=middle - 7, y2=middle + 7))
    if len(finite) < len(row.losses):
        left, top = _WIDTH - 12, middle - 4
        pieces.append(tag("path", class_="bad", d=f"M{left:g} {top:g}l8 8m0 -8l-8 8"))
    told = ", ".join(fixed(value) if math.isfinite(value) else "none" for value in row.losses)
    return tag(
        "svg",
        tag("title", f"validation loss of each seed: {told}"),
        *lines,
        *pieces,
        class_="strip own" if best else "strip",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
    )
