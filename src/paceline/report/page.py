"""A run as one HTML page that needs nothing else: no requests, no scripts to be read."""

from __future__ import annotations

from pathlib import Path

from paceline.core.files import write_atomically
from paceline.core.ledger import Entry, read_ledger
from paceline.report.agents import is_shares
from paceline.report.agents_section import agents_section
from paceline.report.curves import curves
from paceline.report.document import document
from paceline.report.facts import (
    data_section,
    decisions_section,
    settings_section,
    warnings_section,
)
from paceline.report.findings import findings_section
from paceline.report.markup import Html, tag
from paceline.report.measure import in_words, number
from paceline.report.result import result_section
from paceline.report.summary import RunSummary, read_run


def write_page(run_dir: Path) -> Path:
    """Writes ``report.html`` into a run's directory, whole or not at all; gives its path.

    Raises:
        RunError: There is no run there, or it is damaged.
        StorageError: The disk is full, read-only or otherwise unwilling.
    """
    run_dir = Path(run_dir)
    page = render(read_run(run_dir), _entries(run_dir / "ledger.db"))
    path = run_dir / "report.html"
    write_atomically(path, page.encode("utf-8", errors="replace"))
    return path


def render(run: RunSummary, entries: list[Entry]) -> str:
    """The page as text."""
    made = f"Made by Paceline {run.paceline} from ledger.db and run.json in "
    return document(
        _title(run),
        _header(run),
        tag(
            "main",
            result_section(run),
            curves(run.goal, entries, run.outcome.best_step if run.outcome else None),
            findings_section(run.outcome.findings if run.outcome else ()),
            agents_section(entries),
            decisions_section(each for each in entries if not is_shares(each)),
            warnings_section(run, entries),
            data_section(run),
            settings_section(run, entries),
        ),
        tag("footer", made, run.path),
        styles=("page.css",),
    )


def _header(run: RunSummary) -> Html:
    ended = run.state == "finished"
    model = run.model.get("name", "")
    if isinstance(run.model.get("parameters"), int):
        model = f"{model}, {run.model['parameters']:,} parameters"
    kind = f"{run.task} {run.goal}".strip()
    facts = [run.place, kind, model, run.created[:16].replace("T", " ")]
    state = tag("span", run.state, class_="state" if ended else "state open")
    return tag(
        "header",
        tag("h1", run.name, state),
        tag("p", "  ·  ".join(str(fact) for fact in facts if fact), class_="lede"),
    )


def _title(run: RunSummary) -> str:
    if run.reached is None:
        return f"{run.name} – {run.state}"
    return f"{run.name} – {in_words(run.primary)} {number(run.reached)}"


def _entries(file: Path) -> list[Entry]:
    """The ledger's rows; none where the run was killed before its first."""
    return read_ledger(file) if file.is_file() else []
