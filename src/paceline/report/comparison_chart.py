"""Small multiples: panels that share their axes, a few coloured lines in each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paceline.report.markup import Html, join, table, tag
from paceline.report.measure import number
from paceline.report.series import ticks, wants_log

COLOURS = 6
WIDE, NARROW = (560.0, 250.0), (360.0, 210.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 10.0, 12.0, 28.0
_ROWS = 8
_HOVERED = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One line of a panel.

    Attributes:
        name: What it stands for.
        colour: A number; lines of one colour in all panels are of one kind.
        xs: Rising.
        ys: Finite.
        lows: Lower edge of the band around it; empty for none.
        highs: Upper edge.
        thin: One of several that say the same; not told when hovered.
        dotted: Marks each point.
        broken: It ended because the numbers were not finite any more.
    """

    name: str
    colour: int
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    thin: bool = False
    dotted: bool = False
    broken: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        key: Makes the ids on the page unique.
        title: Above it.
        traces: The back ones first.
    """

    key: str
    title: str
    traces: tuple[Trace, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Where numbers lie in a picture, the same for all panels of a section.

    Attributes:
        across: What x is called.
        log_x: Whether x is logarithmic.
        log_y: Whether y is.
    """

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    log_x: bool
    log_y: bool
    across: str
    width: float
    height: float

    def x(self, value: float) -> float:
        """From the left."""
        share = _share(value, self.low_x, self.high_x, self.log_x)
        return round(_LEFT + share * (self.width - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """From above; what lies outside is put at the edge."""
        share = min(max(_share(value, self.low_y, self.high_y, self.log_y), 0.0), 1.0)
        return round(self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM), 1)


def axes_of(
    panels: Sequence[Panel],
    *,
    across: str = "step",
    log_x: bool = False,
    high: float | None = None,
    low: float | None = None,
    ratio: float | None = None,
) -> Axes | None:
    """Axes that hold the lines of all panels; None where there is nothing to draw.

    Args:
        panels: The section's.
        across: What x is called.
        log_x: Whether x is logarithmic.
        high: Highest y worth its space; higher ones are drawn at the edge.
        low: Lowest y worth its space on a logarithmic axis.
        ratio: Highest to lowest y from which on y is logarithmic; where the bulk of them
            calls for it when left out.
    """
    traces = [trace for panel in panels for trace in panel.traces if trace.xs]
    if not traces:
        return None
    xs = [x for trace in traces for x in trace.xs]
    ys = [y for trace in traces for y in (*trace.ys, *trace.lows, *trace.highs)]
    positive = [y for y in ys if y > 0]
    log_y = min(ys) >= 0 and (wants_log(positive) if ratio is None else _spans(positive, ratio))
    ys = positive if log_y else ys
    low_y = max(min(ys), low) if low is not None and log_y else min(ys)
    high_y = min(max(ys), high) if high is not None else max(ys)
    width, height = WIDE if len(panels) <= 2 else NARROW
    low_y, high_y = _padded(low_y, max(high_y, low_y), log=log_y)
    low_x, high_x = min(xs), max(xs)
    if log_x or low_x == high_x:
        low_x, high_x = (low_x / 1.6, high_x * 1.6) if log_x else (low_x - 1, high_x + 1)
    return Axes(
        low_x=low_x,
        high_x=high_x,
        low_y=low_y,
        high_y=high_y,
        log_x=log_x,
        log_y=log_y,
        across=across,
        width=width,
        height=height,
    )


def multiples(panels: Sequence[Panel], axes: Axes) -> Html:
    """The panels of a section beside each other."""
    columns = "curves" if len(panels) <= 2 else "curves many"
    return tag("div", *(_figure(panel, axes) for panel in panels), class_=columns)


def legend(names: Iterable[tuple[str, int]]) -> Html:
    """Which colour stands for what; said once for all panels."""
    keys = [
        tag("span", tag("i", class_=f"c{colour % COLOURS}"), name, class_="key")
        for name, colour in names
    ]
    return tag("p", *keys, class_="legend")


def _figure(panel: Panel, axes: Axes) -> Html:
    return tag(
        "figure",
        tag(
            "div",
            tag("h3", panel.title),
            tag("output", "", class_="readout"),
            class_="head",
        ),
        _svg(panel, axes),
        _numbers(panel, axes),
    )


def _svg(panel: Panel, axes: Axes) -> Html:
    return tag(
        "svg",
        tag("title", panel.title, id=f"{panel.key}-title"),
        tag("desc", _description(panel, axes), id=f"{panel.key}-desc"),
        _scales(axes),
        *(_band(trace, axes) for trace in panel.traces if trace.lows),
        *(_line(trace, axes) for trace in panel.traces),
        tag("line", class_="cross", y1=_TOP, y2=axes.height - _BOTTOM),
        class_="chart",
        viewBox=f"0 0 {axes.width:g} {axes.height:g}",
        role="img",
        tabindex="0",
        aria_labelledby=f"{panel.key}-title {panel.key}-desc",
        data_across=axes.across,
        data_points=json.dumps(_points(panel, axes), separators=(",", ":")),
    )


def _scales(axes: Axes) -> Html:
    pieces = []
    for value in ticks(axes.low_y, axes.high_y, log=axes.log_y):
        y = axes.y(value)
        pieces.append(tag("line", class_="grid", x1=_LEFT, x2=axes.width - _RIGHT, y1=y, y2=y))
        pieces.append(tag("text", short(value), x=_LEFT - 9, y=y + 4, text_anchor="end"))
    below = axes.height - 7
    pieces.append(tag("text", axes.across, x=_LEFT - 9, y=below, text_anchor="end"))
    for value in ticks(axes.low_x, axes.high_x, log=axes.log_x):
        if axes.log_x or value == int(value):
            x = axes.x(value)
            pieces.append(tag("text", short(value), x=x, y=below, text_anchor="middle"))
    return join(pieces)


def _band(trace: Trace, axes: Axes) -> Html:
    above = [f"{axes.x(x):g} {axes.y(y):g}" for x, y in zip(trace.xs, trace.highs, strict=True)]
    under = [f"{axes.x(x):g} {axes.y(y):g}" for x, y in zip(trace.xs, trace.lows, strict=True)]
    path = "M" + "L".join([*above, *reversed(under)]) + "Z"
    return tag("path", d=path, class_=f"band c{trace.colour % COLOURS}")


def _line(trace: Trace, axes: Axes) -> Html:
    places = [(axes.x(x), axes.y(y)) for x, y in zip(trace.xs, trace.ys, strict=True)]
    colour = f"c{trace.colour % COLOURS}" + (" dashed" if trace.colour >= COLOURS else "")
    kind = "line thin" if trace.thin else "line"
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    pieces = [tag("path", d=path, class_=f"{kind} {colour}")] if len(places) > 1 else []
    if trace.dotted or len(places) == 1:
        pieces += [tag("circle", cx=x, cy=y, r=2.75, class_=f"dot {colour}") for x, y in places]
    if trace.broken and places:
        pieces.append(_cross(*places[-1], colour))
    return join(pieces)


def _cross(x: float, y: float, colour: str) -> Html:
    arms = f"M{x - 4:g} {y - 4:g}l8 8m0 -8l-8 8"
    return tag("path", d=arms, class_=f"line {colour}")


def _points(panel: Panel, axes: Axes) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    for trace in panel.traces:
        if trace.thin:
            continue
        every = max(1, math.ceil(len(trace.xs) / _HOVERED))
        xs, ys = trace.xs[::every], trace.ys[::every]
        told.append(
            {
                "name": trace.name,
                "x": [axes.x(x) for x in xs],
                "s": [float(f"{x:.4g}") if axes.log_x else round(x) for x in xs],
                "v": [float(f"{y:.3g}") for y in ys],
            }
        )
    return told


def _description(panel: Panel, axes: Axes) -> str:
    told = [
        f"{trace.name}: from {number(trace.ys[0])} at {axes.across} {number(trace.xs[0])} to"
        f" {number(trace.ys[-1])} at {number(trace.xs[-1])}"
        + (", where the numbers were not finite any more." if trace.broken else ".")
        for trace in panel.traces
        if not trace.thin and trace.xs
    ]
    return " ".join(told)


def _numbers(panel: Panel, axes: Axes) -> Html:
    rows = []
    for trace in panel.traces:
        if not trace.thin:
            last = len(trace.xs) - 1
            chosen = sorted({round(at * last / (_ROWS - 1)) for at in range(_ROWS)})
            rows += [(trace.name, number(trace.xs[at]), number(trace.ys[at])) for at in chosen]
    shown = table(
        ("line", axes.across, "value"), rows, caption=f"{panel.title}, numbers", numeric=(1, 2)
    )
    return tag("details", tag("summary", "Numbers"), shown)


def short(value: float) -> str:
    """A number for an axis.

    >>> short(0.0001), short(0.5), short(20000)
    ('1e-4', '0.5', '20k')
    """
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value / 1000:.4g}k" if abs(value) >= 1e4 else f"{value:.4g}"


def _spans(values: Sequence[float], ratio: float) -> bool:
    return bool(values) and max(values) > ratio * min(values)


def _share(value: float, low: float, high: float, log: bool) -> float:
    if not log:
        return (value - low) / (high - low)
    return math.log(max(value, low) / low) / math.log(high / low)


def _padded(low: float, high: float, *, log: bool) -> tuple[float, float]:
    if log:
        more = (high / low) ** 0.04 if high > low else 1.5
        return low / more, high * more
    more = 0.05 * (high - low) or 0.1 * abs(low) or 1.0
    return (0.0 if 0 <= low < 0.25 * high else low - more), high + more
