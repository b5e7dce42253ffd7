"""Line charts as inline SVG: drawn once, read without scripts, hovered with a few lines of one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from paceline.report.markup import Html, join, table, tag
from paceline.report.measure import number
from paceline.report.series import Series, thinned, ticks, wants_log

_WIDTH, _HEIGHT = 560.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 14.0, 14.0, 28.0
_ROWS = 12
_MARKS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: In the legend; empty for a line that needs none.
        series: What to draw.
        style: ``faint``, ``accent``, ``ink``: a class of the style sheet.
        hover: Whether the read-out tells its values.
    """

    name: str
    series: Series
    style: str = "accent"
    hover: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What is to be drawn.

    Attributes:
        key: Makes the ids on the page unique.
        title: Above it.
        lines: The back ones first.
        best: Position of the best reading in the last line, marked; None marks nothing.
    """

    key: str
    title: str
    lines: tuple[Line, ...]
    best: int | None = None

    @property
    def log(self) -> bool:
        """Whether the values call for a logarithmic axis."""
        return wants_log([value for line in self.lines for value in line.series.values])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """Where a step and a value lie in the picture."""

    first: float
    last: float
    low: float
    high: float
    log: bool

    def x(self, step: float) -> float:
        share = (step - self.first) / (self.last - self.first)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / (high - low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def figure(chart: Chart) -> Html:
    """A chart with its title, legend, read-out and the same numbers as a table."""
    frame = _frame(chart)
    shown = frame is not None
    return tag(
        "figure",
        tag(
            "div",
            tag("h3", chart.title, tag("small", "log scale") if shown and chart.log else None),
            tag("output", "", class_="readout"),
            class_="head",
        ),
        _svg(chart, frame) if frame is not None else tag("p", "No readings yet.", class_="empty"),
        tag("figcaption", _legend(chart)) if shown else None,
        _numbers(chart) if shown else None,
    )


def _frame(chart: Chart) -> _Frame | None:
    finite = [line.series.finite for line in chart.lines]
    values = [value for series in finite for value in series.values]
    if not values:
        return None
    steps = [step for line in chart.lines for step in line.series.steps]
    first, last = min(steps), max(steps)
    low, high = min(values), max(values)
    if chart.log:
        return _Frame(first=first, last=max(last, first + 1), low=low, high=high, log=True)
    spread = 0.04 * (high - low) or 0.1 * abs(low) or 1.0
    low = 0.0 if 0 <= low < 0.25 * high else low - spread
    return _Frame(first=first, last=max(last, first + 1), low=low, high=high + spread, log=False)


def _svg(chart: Chart, frame: _Frame) -> Html:
    points = [
        {"name": line.name or chart.title, **_points(line.series, frame)}
        for line in chart.lines
        if line.hover
    ]
    return tag(
        "svg",
        tag("title", chart.title, id=f"{chart.key}-title"),
        tag("desc", _description(chart), id=f"{chart.key}-desc"),
        _axes(frame),
        *(_line(line, frame) for line in chart.lines),
        _not_finite(chart, frame),
        _best(chart, frame),
        tag("line", class_="cross", y1=_TOP, y2=_HEIGHT - _BOTTOM),
        class_="chart",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        role="img",
        tabindex="0",
        aria_labelledby=f"{chart.key}-title {chart.key}-desc",
        data_points=json.dumps(points, separators=(",", ":")),
    )


def _axes(frame: _Frame) -> Html:
    pieces = []
    for value in ticks(frame.low, frame.high, log=frame.log):
        y = frame.y(value)
        pieces.append(tag("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y))
        pieces.append(tag("text", _short(value), x=_LEFT - 9, y=y + 4, text_anchor="end"))
    pieces.append(tag("text", "step", x=_LEFT - 9, y=_HEIGHT - 7, text_anchor="end"))
    for step in ticks(frame.first, frame.last, log=False):
        if step == int(step):
            text = _short(step)
            pieces.append(tag("text", text, x=frame.x(step), y=_HEIGHT - 7, text_anchor="middle"))
    return join(pieces)


def _line(line: Line, frame: _Frame) -> Html:
    drawn = thinned(line.series)
    commands, pen_down = [], False
    for step, value in zip(drawn.steps, drawn.values, strict=True):
        if math.isfinite(value):
            commands.append(f"{'L' if pen_down else 'M'}{frame.x(step):g} {frame.y(value):g}")
        pen_down = math.isfinite(value)
    path = tag("path", d="".join(commands), class_=f"line {line.style}")
    if len(line.series.finite) > 40:
        return path
    dots = [
        tag("circle", cx=frame.x(step), cy=frame.y(value), r=2.5, class_=f"dot {line.style}")
        for step, value in zip(drawn.steps, drawn.values, strict=True)
        if math.isfinite(value)
    ]
    return join([path, *dots])


def _not_finite(chart: Chart, frame: _Frame) -> Html:
    steps = sorted({step for line in chart.lines for step in _bad_steps(line.series)})
    every = max(1, len(steps) // _MARKS)
    marks = [
        tag("line", class_="bad", x1=frame.x(step), x2=frame.x(step), y1=_TOP - 8, y2=_TOP)
        for step in steps[::every]
    ]
    return join(marks)


def _bad_steps(series: Series) -> list[int]:
    pairs = zip(series.steps, series.values, strict=True)
    return [step for step, value in pairs if not math.isfinite(value)]


def _best(chart: Chart, frame: _Frame) -> Html | None:
    if chart.best is None:
        return None
    series = chart.lines[-1].series
    step, value = series.steps[chart.best], series.values[chart.best]
    x, y = frame.x(step), frame.y(value)
    near_the_end = x > _WIDTH - 120
    above = y > _TOP + 24
    return join(
        [
            tag("circle", cx=x, cy=y, r=5, class_="best"),
            tag(
                "text",
                f"best {number(value)}",
                x=x - 4 if near_the_end else x + 4,
                y=y - 11 if above else y + 20,
                text_anchor="end" if near_the_end else "start",
                class_="mark",
            ),
        ]
    )


def _points(series: Series, frame: _Frame) -> dict[str, list[float]]:
    finite = thinned(series.finite, 100)
    return {
        "x": [frame.x(step) for step in finite.steps],
        "y": [frame.y(value) for value in finite.values],
        "s": [*finite.steps],
        "v": [float(f"{value:.5g}") for value in finite.values],
    }


def _legend(chart: Chart) -> Html:
    named = [line for line in chart.lines if line.name]
    bad = sum(len(_bad_steps(line.series)) for line in chart.lines)
    entries = [
        tag("span", tag("i", class_=line.style), line.name, class_="key")
        for line in (named if len(chart.lines) > 1 else [])
    ]
    if bad:
        words = "reading was not finite" if bad == 1 else "readings were not finite"
        entries.append(tag("span", tag("i", class_="bad"), f"{bad:,} {words}", class_="key"))
    return tag("div", *entries)


def _description(chart: Chart) -> str:
    told = []
    for line in chart.lines:
        finite = line.series.finite
        if len(finite):
            told.append(
                f"{line.name or chart.title}: {len(finite):,} readings from step"
                f" {finite.steps[0]:,} to {finite.steps[-1]:,}, first {number(finite.values[0])},"
                f" lowest {number(min(finite.values))}, highest {number(max(finite.values))},"
                f" last {number(finite.values[-1])}."
            )
    return " ".join(told)


def _numbers(chart: Chart) -> Html:
    rows: list[tuple[str, str, str]] = []
    for line in chart.lines:
        if line.hover:
            name = line.name or chart.title
            rows += [(name, f"{step:,}", number(value)) for step, value in _sample(line.series)]
    shown = table(
        ("line", "step", "value"), rows, caption=f"{chart.title}, numbers", numeric=(1, 2)
    )
    return tag("details", tag("summary", "Numbers"), shown)


def _sample(series: Series) -> Sequence[tuple[int, float]]:
    pairs = list(zip(series.steps, series.values, strict=True))
    if len(pairs) <= _ROWS:
        return pairs
    last = len(pairs) - 1
    return [pairs[round(at * last / (_ROWS - 1))] for at in range(_ROWS)]


def _short(value: float) -> str:
    size = abs(value)
    for bound, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= bound:
            scale = 1e3 if letter == "k" else bound
            return f"{value / scale:.4g}{letter}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0e}".replace("e-0", "e-") if 0 < size < 1e-3 else f"{value:.4g}"
