"""Which curves of a comparison are drawn: losses, learning rates, sensitivity to the rate."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from paceline.core.errors import RunError
from paceline.core.ledger import read_ledger
from paceline.report.comparison import Attempt, Comparison, Row
from paceline.report.comparison_chart import COLOURS, Panel, Trace, axes_of, legend, multiples
from paceline.report.markup import Html, tag
from paceline.report.series import Series, series_of, smoothed, thinned

_GRID = 120
_SMOOTH_SHARE = 0.05
_FIRST = "probe"
_DECADES = 5
_LOG_RATIO = 5.0


def loss_section(comparison: Comparison) -> Html | None:
    """Training loss of each method, smoothed, the median and the range over the seeds."""
    layout = _Layout(comparison.rows)
    panels = layout.panels("loss", lambda row, name, colour: _loss(comparison, row, name, colour))
    medians = [trace for panel in panels for trace in panel.traces]
    axes = axes_of(panels, high=_worth_showing(medians), ratio=_LOG_RATIO)
    if axes is None:
        return None
    note = "Smoothed; lines are medians over the seeds, bands reach from the lowest to the highest."
    return tag(
        "section",
        tag("h2", "Training loss"),
        legend(layout.keys),
        multiples(panels, axes),
        tag("p", note, _at_best(comparison), class_="bars-note"),
    )


def rate_section(comparison: Comparison) -> Html | None:
    """Learning rate of each method, one line a seed."""
    layout = _Layout(comparison.rows)
    panels = layout.panels("rate", lambda row, name, colour: _rates(comparison, row, name, colour))
    ys = [y for panel in panels for trace in panel.traces for y in trace.ys]
    axes = axes_of(panels, low=max(ys, default=1.0) * 10.0**-_DECADES)
    if axes is None:
        return None
    note = "One line for each seed; where they agree, they lie on each other."
    return tag(
        "section",
        tag("h2", "Learning rate"),
        legend(layout.keys),
        multiples(panels, axes),
        tag("p", note, _at_best(comparison), class_="bars-note"),
    )


def sensitivity_section(comparison: Comparison) -> Html | None:
    """Final loss against the starting rate, where there is a grid of them."""
    if len(comparison.rates) < 2:
        return None
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in comparison.cells:
        cells.setdefault((row.optimizer, row.controller), []).append(row)
    layout = _Layout(comparison.rows)
    panels = layout.panels(
        "sensitivity",
        lambda row, name, colour: _sensitivity(cells[row.optimizer, row.controller], name, colour),
    )
    medians = [trace for panel in panels for trace in panel.traces]
    high = _start_of(comparison, medians)
    axes = axes_of(panels, across="rate", log_x=True, high=high, ratio=1.5)
    if axes is None:
        return None
    note = (
        "Validation loss at the end of the budget against the starting rate: medians over the"
        " seeds, bands from the lowest to the highest. The flatter, the less the rate matters."
        " Where there is no point, no loss was finite."
    )
    return tag(
        "section",
        tag("h2", "Sensitivity to the starting rate"),
        legend(layout.keys),
        multiples(panels, axes),
        tag("p", note, class_="bars-note"),
    )


class _Layout:
    """Panels for optimizers and lines for controllers, or the other way round.

    A panel holds few lines, and a colour means the same in every panel.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        optimizers = sorted({row.optimizer for row in rows})
        controllers = sorted({row.controller for row in rows})
        self.by_optimizer = len(controllers) <= COLOURS or len(controllers) <= len(optimizers)
        alone = {row.controller for row in rows if row.controller == row.optimizer}
        lines = [name for name in self._lines() if name not in alone] + sorted(alone)
        self.colours = {name: at for at, name in enumerate(dict.fromkeys(lines))}

    @property
    def keys(self) -> list[tuple[str, int]]:
        """What is said in the legend."""
        return [(_words(name), colour) for name, colour in self.colours.items()]

    def panels(self, key: str, draw: Callable[[Row, str, int], Iterable[Trace]]) -> list[Panel]:
        """One panel for each group, in the order of its best method."""
        grouped: dict[str, list[Trace]] = {}
        for row in self.rows:
            title, line = (row.optimizer, row.controller)
            if not self.by_optimizer:
                title, line = line, title
            grouped.setdefault(title, []).extend(draw(row, line, self.colours[line]))
        return [
            Panel(key=f"{key}-{at}", title=_words(title), traces=tuple(reversed(traces)))
            for at, (title, traces) in enumerate(grouped.items())
            if traces
        ]

    def _lines(self) -> list[str]:
        names = {row.controller if self.by_optimizer else row.optimizer for row in self.rows}
        return sorted(names, key=lambda name: (name != _FIRST, name))


def _loss(comparison: Comparison, row: Row, name: str, colour: int) -> list[Trace]:
    found = [_series(comparison, attempt, "loss") for attempt in row.ended]
    whole = [series for series in found if len(series.finite)]
    if not whole:
        return []
    even = [smoothed(each, max(5.0, len(each) * _SMOOTH_SHARE)) for each in whole]
    first, last = min(each.steps[0] for each in even), max(each.steps[-1] for each in even)
    columns = []
    for at in range(_GRID):
        step = first + (last - first) * at / (_GRID - 1)
        values = [_at(each, step) for each in even if each.steps[0] <= step <= each.steps[-1]]
        if values:
            columns.append((step, statistics.median(values), min(values), max(values)))
    xs, ys, lows, highs = zip(*columns, strict=True)
    many = len(even) > 1
    return [
        Trace(
            name=_words(name),
            colour=colour,
            xs=xs,
            ys=ys,
            lows=lows if many else (),
            highs=highs if many else (),
            broken=any(len(each.finite) < len(each) for each in whole),
        )
    ]


def _rates(comparison: Comparison, row: Row, name: str, colour: int) -> list[Trace]:
    found = [_series(comparison, attempt, "learning_rate").finite for attempt in row.ended]
    drawn = [thinned(series, 60) for series in found if len(series)]
    return [
        Trace(
            name=_words(name),
            colour=colour,
            xs=tuple(map(float, series.steps)),
            ys=series.values,
            thin=at > 0,
        )
        for at, series in enumerate(drawn)
    ]


def _sensitivity(cells: Iterable[Row], name: str, colour: int) -> list[Trace]:
    columns = []
    for row in sorted(cells, key=lambda row: row.rate or 0.0):
        finite = [each.final_loss for each in row.ended if math.isfinite(each.final_loss)]
        if row.rate is not None and finite and math.isfinite(row.final_loss):
            columns.append((row.rate, row.final_loss, min(finite), max(finite)))
    if not columns:
        return []
    xs, ys, lows, highs = zip(*columns, strict=True)
    return [
        Trace(name=_words(name), colour=colour, xs=xs, ys=ys, lows=lows, highs=highs, dotted=True)
    ]


def _series(comparison: Comparison, attempt: Attempt, name: str) -> Series:
    """A run's readings; none where it left no ledger, or half of one."""
    file = comparison.path / attempt.run / "ledger.db"
    try:
        entries = read_ledger(file, kind="reading", name=name)
    except RunError:
        return Series(steps=(), values=())
    return series_of(entry for entry in entries if entry.source == "loop")


def _at(series: Series, step: float) -> float:
    """The value at a step, along the line between its neighbours."""
    after = bisect.bisect_left(series.steps, step)
    if series.steps[after] == step or after == 0:
        return series.values[after]
    x0, x1 = series.steps[after - 1], series.steps[after]
    y0, y1 = series.values[after - 1], series.values[after]
    return y0 + (y1 - y0) * (step - x0) / (x1 - x0)


def _worth_showing(traces: Sequence[Trace]) -> float | None:
    """Highest loss to draw: what the bulk of the lines began with, and a little more."""
    firsts = [trace.ys[0] for trace in traces if trace.ys]
    return 1.5 * statistics.median(firsts) if firsts else None


def _start_of(comparison: Comparison, traces: Sequence[Trace]) -> float | None:
    """A loss far above that of a training which learnt nothing is not worth its space."""
    lows = [min(trace.ys) for trace in traces if trace.ys]
    begun = [
        series.values[0]
        for row in comparison.rows[:1]
        for series in [_series(comparison, each, "loss").finite for each in row.ended]
        if len(series)
    ]
    return max(2 * statistics.median(begun), 2 * max(lows)) if begun and lows else None


def _at_best(comparison: Comparison) -> str:
    return " Each method at its best starting rate." if len(comparison.rates) > 1 else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
