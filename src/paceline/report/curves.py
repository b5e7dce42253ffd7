"""Which readings of a run are drawn, and how."""

from __future__ import annotations

from collections.abc import Iterable

from paceline.core.ledger import Entry
from paceline.report.chart import Chart, Line, figure
from paceline.report.markup import Html, tag
from paceline.report.measure import LOWER_IS_BETTER, in_words, primary_metric
from paceline.report.series import Series, series_of, smoothed

_SINGLES = (
    ("episode_return", "Return of an episode"),
    ("learning_rate", "Learning rate"),
    ("gradient_norm", "Gradient norm"),
    ("examples_per_second", "Throughput, examples a second"),
)
_SMOOTHED = ("episode_return", "gradient_norm", "examples_per_second")


def curves(goal: str, entries: Iterable[Entry], best_step: int | None = None) -> Html:
    """The section of curves: loss, the primary validation metric, and how training went.

    Args:
        goal: ``classification`` or ``regression``; finds the primary metric.
        entries: A ledger's.
        best_step: Whose weights were chosen; marked on the validation curve.
    """
    readings: dict[tuple[bool, str], list[Entry]] = {}
    for entry in entries:
        if entry.kind == "reading":
            readings.setdefault((entry.source == "validation", entry.name), []).append(entry)
    series = {key: series_of(rows) for key, rows in readings.items()}
    charts = [
        _loss(series.get((False, "loss")), series.get((True, "loss"))),
        _validation(
            goal, {name: each for (judged, name), each in series.items() if judged}, best_step
        ),
        *(_single(name, title, series.get((False, name))) for name, title in _SINGLES),
    ]
    drawn = [figure(chart) for chart in charts if chart is not None]
    inside = tag("div", *drawn, class_="curves") if drawn else _nothing()
    return tag("section", tag("h2", "Curves"), inside)


def _nothing() -> Html:
    return tag("p", "The ledger holds no readings yet.", class_="empty")


def _loss(training: Series | None, validation: Series | None) -> Chart | None:
    if training is None:
        return None
    lines = [
        Line(name="training", series=training, style="faint", hover=len(training) < 5),
        Line(name="smoothed", series=smoothed(training)),
    ]
    if validation is not None:
        lines.append(Line(name="validation", series=validation, style="ink"))
    return Chart(key="loss", title="Loss", lines=tuple(lines))


def _validation(goal: str, measured: dict[str, Series], best_step: int | None) -> Chart | None:
    metric = primary_metric(goal, [name for name in measured if name != "loss"])
    if metric not in measured:
        return None
    series = measured[metric].finite
    best = None
    if best_step in series.steps:
        best = list(series.steps).index(best_step)
    elif len(series):
        choose = min if metric in LOWER_IS_BETTER else max
        best = choose(range(len(series)), key=lambda at: series.values[at])
    title = f"Validation {in_words(metric)}"
    return Chart(key="validation", title=title, lines=(Line(name="", series=series),), best=best)


def _single(name: str, title: str, series: Series | None) -> Chart | None:
    if series is None:
        return None
    if name not in _SMOOTHED or len(series) < 20:
        return Chart(key=name, title=title, lines=(Line(name="", series=series),))
    lines = (
        Line(name="raw", series=series, style="faint", hover=False),
        Line(name="smoothed", series=smoothed(series)),
    )
    return Chart(key=name, title=title, lines=lines)
