"""paceline why: the decisions of a run in plain language."""

from __future__ import annotations

import dataclasses

from paceline.cli._out import AsJson, put, put_json
from paceline.report.summary import find_run
from paceline.report.why import explain


def why(run: str, /, *, as_json: AsJson = False) -> int:
    """Tell each decision of RUN: who chose what, because of what, and what it gave.

    Examples:

        paceline why digits-1

        paceline why runs/houses --json

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    as_json
        One JSON object on the last line of stdout.
    """
    path = find_run(run)
    decisions = explain(path)
    if as_json:
        told = [dataclasses.asdict(each) | {"line": each.line} for each in decisions]
        put_json({"run": str(path), "decisions": told})
        return 0
    for each in decisions:
        put(each.line)
    if not decisions:
        put(f"{path} has written down no decision yet.")
    return 0
