"""A comparison as one HTML page that needs nothing else."""

from __future__ import annotations

import math
from pathlib import Path

from paceline.core.duration import in_words as duration
from paceline.core.files import write_atomically
from paceline.report.comparison import Attempt, Comparison, Row
from paceline.report.comparison_curves import loss_section, rate_section, sensitivity_section
from paceline.report.comparison_strips import strips
from paceline.report.document import document
from paceline.report.markup import Html, join, table, tag
from paceline.report.measure import fixed, in_words, is_finite, number

COMPARISON_PAGE = "comparison.html"
_MOST_NAMED = 4


def write_comparison_page(comparison: Comparison) -> Path:
    """Writes ``comparison.html`` into the comparison's directory, whole or not at all.

    Raises:
        StorageError: The disk is full, read-only or otherwise unwilling.
    """
    path = comparison.path / COMPARISON_PAGE
    write_atomically(path, render_comparison(comparison).encode("utf-8", errors="replace"))
    return path


def render_comparison(comparison: Comparison) -> str:
    """The page as text."""
    return document(
        f"{comparison.place} – comparison",
        _header(comparison),
        tag("main", *_sections(comparison)),
        tag(
            "footer",
            f"Made by Paceline {comparison.paceline} from comparison.json and the runs in ",
            comparison.path,
        ),
        styles=("page.css", "comparison.css"),
    )


def method_name(row: Row | Attempt) -> str:
    """Optimizer and controller; one name where the optimizer paces itself."""
    if row.optimizer == row.controller:
        return row.optimizer.replace("_", " ")
    return f"{row.optimizer} × {row.controller}".replace("_", " ")


def _sections(comparison: Comparison) -> list[Html | None]:
    if not comparison.rows:
        note = "No training has ended yet."
        return [tag("section", tag("p", note, class_="muted")), _failures(comparison)]
    return [
        _result(comparison),
        _methods(comparison),
        sensitivity_section(comparison),
        loss_section(comparison),
        rate_section(comparison),
        _failures(comparison),
        _trainings(comparison),
    ]


def _header(comparison: Comparison) -> Html:
    facts, finished = comparison.facts, comparison.state == "finished"
    model = str(facts.get("model") or "")
    if isinstance(facts.get("parameters"), int):
        model = f"{model}, {facts['parameters']:,} parameters"
    kind = f"{facts.get('task', '')} {facts.get('goal', '')}".strip()
    said = [kind, model, comparison.created[:16].replace("T", " ")]
    state = tag("span", comparison.state, class_="state" if finished else "state open")
    return tag(
        "header",
        tag("h1", f"{comparison.place} compared", state),
        tag("p", "  ·  ".join(each for each in said if each), class_="lede"),
    )


def _result(comparison: Comparison) -> Html:
    best = comparison.rows[0]
    rate = "" if best.rate is None else f" from {number(best.rate, 3)}"
    left = tag(
        "div",
        tag("p", f"lowest median validation loss, {_seeds(best)}", class_="figure-name"),
        tag("p", fixed(best.loss) if is_finite(best.loss) else "–", class_="figure"),
        tag("p", tag("b", method_name(best)), f"{rate}. {_overlap(comparison)}"),
        tag("p", _tested(comparison, best), class_="muted"),
        class_="winner",
    )
    facts = [tag(kind, text) for pair in _plan(comparison) for kind, text in pair]
    return tag("section", left, tag("dl", *facts), class_="result", aria_label="Result")


def _overlap(comparison: Comparison) -> str:
    """Which other methods cannot be told apart from the best by their seeds."""
    best, *others = comparison.rows
    if not others:
        return "There is no other method to compare with."
    if len(best.ended) == 1:
        return "One seed tells little: more of them show how far chance goes."
    worst = best.losses[-1]
    near = [method_name(row) for row in others if row.losses[0] <= worst]
    if not near:
        return "Its worst seed is better than the best seed of every other method."
    named = ", ".join(near[:_MOST_NAMED])
    named += f" and {len(near) - _MOST_NAMED} more" if len(near) > _MOST_NAMED else ""
    return f"Its seeds overlap with those of {named}."


def _tested(comparison: Comparison, best: Row) -> str:
    value = best.metric("test", comparison.metric)
    if not is_finite(value):
        return "There is no test part."
    return f"{in_words(comparison.metric)} {fixed(value)} on the test part, which ranked nothing."


def _plan(comparison: Comparison) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    plan, facts = comparison.plan, comparison.facts
    counts = [f"{facts[part]:,} {part}" for part in ("train", "validation", "test") if facts[part]]
    rates = ", ".join(number(rate, 3) for rate in comparison.rates)
    ended, failed = comparison.ended, len(comparison.failed)
    trainings = f"{ended} of {len(comparison.attempts)}"
    trainings += f", {failed} failed" if failed else ""
    spent = sum(attempt.cpu_seconds for attempt in comparison.attempts)
    said = {
        "optimizers": ", ".join(plan["optimizers"]).replace("_", " "),
        "controllers": ", ".join(plan["controllers"]).replace("_", " "),
        "starting rates": rates or "each optimizer's own default",
        "budget of each": _budget(comparison),
        "examples": ", ".join(counts),
        "trainings": trainings,
        "CPU time": duration(spent),
    }
    return [(("dt", name), ("dd", text)) for name, text in said.items() if text]


def _budget(comparison: Comparison) -> str:
    budget = comparison.plan["recipe"].get("budget", {})
    if budget.get("seconds"):
        return duration(budget["seconds"])
    for unit in ("steps", "epochs"):
        if budget.get(unit):
            return f"{number(budget[unit])} {unit}"
    return f"{number(comparison.rows[0].time('steps'))} steps, the task's default"


def _methods(comparison: Comparison) -> Html:
    rows, metric = comparison.rows, comparison.metric
    picture = strips(rows)
    grid = len(comparison.rates) > 1
    tested = any(row.metric("test", metric) == row.metric("test", metric) for row in rows)
    head = [
        "method",
        *(["best rate"] if grid else []),
        picture.axis,
        "validation loss",
        in_words(metric),
        *([f"test {in_words(metric)}"] if tested else []),
        "CPU seconds",
        "steps",
    ]
    body = [
        [
            tag("b", method_name(row)) if at == 0 else method_name(row),
            *([number(row.rate, 3)] if grid else []),
            picture.rows[at],
            _loss_cell(row, best=at == 0),
            _known(row.metric("validation", metric)),
            *([_known(row.metric("test", metric))] if tested else []),
            f"{row.time('cpu_seconds'):.1f}" if is_finite(row.time("cpu_seconds")) else "–",
            number(row.time("steps")) if is_finite(row.time("steps")) else "–",
        ]
        for at, row in enumerate(rows)
    ]
    first = 3 if grid else 2
    numeric = [*([1] if grid else []), *range(first, len(head))]
    note = (
        "Sorted by the median of the validation loss over the seeds. A dot is a seed, the bar the"
        " median. The test part is told, and ranks nothing."
    )
    shown = table(head, body, caption="Methods, the best first", numeric=numeric)
    return tag(
        "section",
        tag("h2", "Methods"),
        tag("div", shown, class_="methods"),
        tag("p", note, class_="bars-note"),
    )


def _known(value: float) -> str:
    return fixed(value) if is_finite(value) else "–"


def _loss_cell(row: Row, *, best: bool) -> Html:
    text = fixed(row.loss) if is_finite(row.loss) else "not finite"
    lost = len(row.failed)
    if lost:
        text = f"failed {lost} of {len(row.ended)}" if not is_finite(row.loss) else text
    return tag("b", text) if best else join([text])


def _failures(comparison: Comparison) -> Html | None:
    failed = comparison.failed
    if not failed:
        return None
    items = [tag("li", f"{method_name(each)}, seed {each.seed}: {each.error}") for each in failed]
    return tag("section", tag("h2", "Failed"), tag("ul", *items, class_="warnings"))


def _trainings(comparison: Comparison) -> Html:
    metric = comparison.metric
    grid = bool(comparison.rates)
    rows = [
        [
            _linked(comparison, attempt),
            *([number(attempt.rate, 3)] if grid else []),
            number(attempt.seed),
            attempt.state,
            fixed(attempt.validation_loss) if attempt.counts else "–",
            fixed(attempt.validation.get(metric, math.nan)) if attempt.validation else "–",
            fixed(attempt.test.get(metric, math.nan)) if attempt.test else "–",
            duration(attempt.seconds) if attempt.seconds else "–",
        ]
        for attempt in comparison.attempts
    ]
    rate = ["rate"] if grid else []
    words = in_words(metric)
    head = ["method", *rate, "seed", "state", "validation loss", words, f"test {words}", "time"]
    numeric = [at for at in range(1, len(head)) if head[at] != "state"]
    shown = table(head, rows, caption="All trainings", numeric=numeric)
    title = f"All {len(rows)} trainings"
    return tag("section", tag("h2", "Trainings"), tag("details", tag("summary", title), shown))


def _linked(comparison: Comparison, attempt: Attempt) -> Html:
    name = method_name(attempt)
    if not (comparison.path / attempt.run / "report.html").is_file():
        return join([name])
    return tag("a", name, href=f"{attempt.run}/report.html")


def _seeds(row: Row) -> str:
    count = len(row.ended)
    return "1 seed" if count == 1 else f"{count} seeds"
