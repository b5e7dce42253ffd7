"""The result in large type, beside the plain baselines."""

from __future__ import annotations

from collections.abc import Mapping

from paceline.core.duration import in_words as duration
from paceline.report.markup import Html, join, table, tag
from paceline.report.measure import (
    LOWER_IS_BETTER,
    best_of,
    fixed,
    in_order,
    in_words,
    is_finite,
    number,
)
from paceline.report.summary import Outcome, RunSummary

OWN = "this run"


def result_section(run: RunSummary) -> Html:
    """The primary metric, bars of it, and a table of all metrics."""
    outcome = run.outcome
    if outcome is None or not outcome.measured:
        note = "No result yet: the page shows what the ledger holds so far."
        return tag("section", tag("p", note, class_="muted"), aria_label="Result")
    rows = {OWN: outcome.measured} | dict(outcome.baselines)
    return tag(
        "section",
        tag("div", _figure(run, outcome), _bars(run, rows), class_="result"),
        tag("div", _table(run, rows), class_="measures"),
        _notes(outcome),
        aria_label="Result",
    )


def _figure(run: RunSummary, outcome: Outcome) -> Html:
    part = "test" if outcome.test else "validation"
    return tag(
        "div",
        tag("p", f"{in_words(run.primary)} on the {part} part", class_="figure-name"),
        tag("p", fixed(run.reached), class_="figure"),
        tag("p", _comparison(run), class_="figure-note"),
        tag("p", _effort(outcome), class_="muted"),
    )


def _comparison(run: RunSummary) -> str:
    best, own = run.best_baseline, run.reached
    if best is None or own is None or not is_finite(own):
        return "There is no baseline to compare with."
    name, value = best[0].replace("_", " "), best[1]
    if own == value:
        return f"The same as {name}, the best plain baseline."
    ahead = (own < value) == (run.primary in LOWER_IS_BETTER)
    words = "better" if ahead else "worse"
    told = f"{fixed(abs(own - value))} {words} than {name}, the best plain baseline"
    if run.primary == "accuracy" and ahead and value < 1:
        told += f": {(own - value) / (1 - value):.0%} fewer mistakes"
    return f"{told}."


def _effort(outcome: Outcome) -> str:
    told = f"{outcome.steps:,} steps in {duration(outcome.seconds)}"
    if outcome.best_step is not None and outcome.best_step != outcome.steps:
        told += f", weights of step {outcome.best_step:,}"
    return told + {"": "", "budget": ""}.get(outcome.stopped, f", ended: {outcome.stopped}") + "."


def _bars(run: RunSummary, rows: Mapping[str, Mapping[str, float]]) -> Html:
    values = {name: row[run.primary] for name, row in rows.items() if run.primary in row}
    finite = [abs(value) for value in values.values() if is_finite(value)]
    lower = run.primary in LOWER_IS_BETTER
    most = max(finite, default=1.0) or 1.0
    if not lower and most <= 1:
        most = 1.0
    ordered = sorted(values, key=lambda name: _rank(values[name], lower=lower))
    bars = [_bar(name, values[name], most) for name in ordered]
    better = "shorter is better" if lower else "longer is better"
    note = f"{in_words(run.primary)}, bars from 0 to {number(most)}; {better}"
    return tag("div", tag("ul", *bars, class_="bars"), tag("p", note, class_="bars-note"))


def _rank(value: float, *, lower: bool) -> float:
    if not is_finite(value):
        return float("inf")
    return value if lower else -value


def _bar(name: str, value: float, most: float) -> Html:
    width = 100 * max(value, 0.0) / most if is_finite(value) else 0
    picture = tag(
        "svg",
        tag("title", f"{name}: {fixed(value)}"),
        tag("rect", width=f"{width:.2f}", height=8),
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        role="img",
    )
    return tag(
        "li",
        tag("span", name.replace("_", " ")),
        picture,
        tag("span", fixed(value), class_="value"),
        class_="own" if name == OWN else None,
    )


def _table(run: RunSummary, rows: Mapping[str, Mapping[str, float]]) -> Html:
    metrics = in_order(run.goal, dict.fromkeys(name for row in rows.values() for name in row))
    best = {
        metric: best_of(metric, {name: row[metric] for name, row in rows.items() if metric in row})
        for metric in metrics
    }

    def cell(name: str, metric: str) -> Html:
        text = fixed(rows[name].get(metric))
        return tag("b", text) if best[metric] == name else join([text])

    return table(
        ("", *(in_words(metric) for metric in metrics)),
        [
            (
                tag("b", name) if name == OWN else name.replace("_", " "),
                *(cell(name, metric) for metric in metrics),
            )
            for name in rows
        ],
        caption="Metrics of this run and of the plain baselines; the best of each is bold",
        numeric=range(1, len(metrics) + 1),
    )


def _notes(outcome: Outcome) -> Html | None:
    if not outcome.notes:
        return None
    told = [f"{name.replace('_', ' ')}: {text}" for name, text in outcome.notes.items()]
    return tag("p", "; ".join(told), class_="bars-note")
