"""Decisions, warnings, data and settings of a run as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paceline.core.duration import in_words as duration
from paceline.core.ledger import Entry
from paceline.report.markup import Html, table, tag
from paceline.report.summary import RunSummary
from paceline.report.why import explained, in_words

_MOST_DECISIONS = 200
_MOST_WARNINGS = 100
_LONGEST = 300
_HEAD = ("step", "time", "who", "what", "chosen", "why", "seen", "expected", "outcome")


def decisions_section(entries: Iterable[Entry]) -> Html:
    """What was decided, by whom and why."""
    decisions = [entry for entry in entries if entry.kind == "decision"]
    if not decisions:
        empty = tag("p", "No decision was written down.", class_="empty")
        return tag("section", tag("h2", "Decisions"), empty)
    half = _MOST_DECISIONS // 2
    left_out = max(0, len(decisions) - _MOST_DECISIONS)
    shown = [*decisions[:half], *decisions[-half:]] if left_out else decisions
    told = [explained(entry) for entry in shown]
    rows = [
        (
            f"{each.step:,}",
            duration(each.elapsed_seconds),
            each.who,
            each.what,
            tag("b", _cut(each.chosen)),
            _cut(each.reason),
            _cut("; or: ".join(part for part in (each.seen, each.choices) if part)),
            _cut(each.expected),
            _cut(each.outcome),
        )
        for each in told
    ]
    kept = [at for at, _ in enumerate(_HEAD) if at < 5 or any(row[at] for row in rows)]
    return tag(
        "section",
        tag("h2", "Decisions"),
        table(
            [_HEAD[at] for at in kept],
            [[row[at] for at in kept] for row in rows],
            caption="Decisions, in the order in which they were made",
            numeric=(0, 1),
        ),
        tag("p", f"{left_out:,} decisions in the middle are left out.", class_="bars-note")
        if left_out
        else None,
        class_="decisions",
    )


def warnings_section(run: RunSummary, entries: Iterable[Entry]) -> Html | None:
    """What was warned of; nothing where there was nothing."""
    found = [
        f"Step {entry.step:,}, {entry.source}: {_words_of(entry)}"
        if entry.step
        else f"{entry.source}: {_words_of(entry)}"
        for entry in entries
        if entry.kind == "warning"
    ]
    notes = run.data.get("notes")
    known = " ".join(found)
    if isinstance(notes, list):
        found = [f"data: {note}" for note in notes if str(note) not in known] + found
    if not found:
        return None
    items = [tag("li", line) for line in found[:_MOST_WARNINGS]]
    if len(found) > _MOST_WARNINGS:
        items.append(tag("li", f"and {len(found) - _MOST_WARNINGS:,} more"))
    return tag("section", tag("h2", "Warnings"), tag("ul", *items, class_="warnings"))


def data_section(run: RunSummary) -> Html:
    """What was learnt from, and by which network."""
    data = [("place", run.place)] + [
        (name, value) for name, value in run.data.items() if name != "notes"
    ]
    model = [(name, value) for name, value in run.model.items() if name != "signature"]
    return tag(
        "section",
        tag(
            "div",
            tag("div", tag("h2", "Data"), _facts(data)),
            tag("div", tag("h2", "Model"), _facts(model)),
            class_="facts",
        ),
    )


def settings_section(run: RunSummary, entries: Iterable[Entry]) -> Html:
    """All settings, and the machine."""
    environment = {
        key: value
        for entry in entries
        if entry.kind == "setting" and entry.name == "environment"
        for key, value in entry.detail.items()
    } or {"paceline": run.paceline}
    return tag(
        "section",
        tag(
            "div",
            tag("div", tag("h2", "Settings"), _facts(_flat(run.recipe))),
            tag("div", tag("h2", "Environment"), _facts(environment.items())),
            class_="facts",
        ),
    )


def _facts(pairs: Iterable[tuple[str, Any]]) -> Html:
    rows = []
    for name, value in pairs:
        words = _cut(in_words(value))
        if words:
            rows += [tag("dt", str(name).replace("_", " ")), tag("dd", words)]
    return tag("dl", *rows) if rows else tag("p", "Nothing was written down.", class_="empty")


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((prefix + str(name), value))
    return flat


def _words_of(entry: Entry) -> str:
    why = entry.detail.get("why")
    return str(why) if why else f"{entry.name} {in_words(entry.detail)}".strip()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
