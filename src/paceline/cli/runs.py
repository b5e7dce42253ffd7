"""paceline runs: what was trained, and how well it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paceline.cli._out import AsJson, plain_table, put, put_json
from paceline.report.measure import fixed, in_words
from paceline.report.summary import DEFAULT_FOLDER, RunSummary, find_runs

_COLUMNS = ("run", "data", "task", "state", "result", "baseline", "steps", "seconds", "when")


def runs(folder: Path = Path(DEFAULT_FOLDER), /, *, as_json: AsJson = False) -> int:
    """List the runs in FOLDER, the oldest first, each with its best plain baseline.

    Examples:

        paceline runs

        paceline runs experiments --json

    Parameters
    ----------
    folder
        Where the runs' directories lie.
    as_json
        One JSON object on the last line of stdout.
    """
    found = find_runs(folder)
    if as_json:
        put_json({"folder": str(folder), "runs": [_object(run) for run in found]})
        return 0
    if not found:
        put(f"There is no run in {folder} yet; paceline fit makes one.")
        return 0
    table = plain_table(*_COLUMNS, right=("steps", "seconds"))
    for run in found:
        table.add_row(*_row(run))
    put(table)
    return 0


def _row(run: RunSummary) -> list[str]:
    outcome, baseline = run.outcome, run.best_baseline
    return [
        run.path.name,
        run.place,
        f"{run.task} {run.goal}".strip(),
        run.state,
        "" if run.reached is None else f"{in_words(run.primary)} {fixed(run.reached)}",
        "" if baseline is None else f"{fixed(baseline[1])} {baseline[0]}",
        "" if outcome is None else f"{outcome.steps:,}",
        "" if outcome is None else f"{outcome.seconds:.1f}",
        run.created[:16].replace("T", " "),
    ]


def _object(run: RunSummary) -> dict[str, Any]:
    outcome, baseline = run.outcome, run.best_baseline
    return {
        "run": str(run.path),
        "name": run.name,
        "place": run.place,
        "task": run.task,
        "goal": run.goal,
        "state": run.state,
        "primary": run.primary,
        "reached": run.reached,
        "test": outcome.test if outcome else {},
        "best_baseline": dict([baseline]) if baseline else {},
        "steps": outcome.steps if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "created": run.created,
    }
