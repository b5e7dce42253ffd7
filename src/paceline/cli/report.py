"""paceline report: a run as one HTML page."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from paceline.cli._out import AsJson, put, put_json
from paceline.report.agents import agents_line
from paceline.report.page import write_page
from paceline.report.summary import find_run


def report(
    run: str,
    /,
    *,
    open_it: Annotated[bool, Parameter(name="--open", negative="")] = False,
    as_json: AsJson = False,
) -> int:
    """Write the page of RUN from its ledger, also while it is still being trained.

    Examples:

        paceline report digits-1 --open

        paceline report runs/houses --json

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    open_it
        Open it in the browser.
    as_json
        One JSON object on the last line of stdout.
    """
    path = find_run(run)
    page = write_page(path)
    agents = agents_line(path)
    if open_it:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    if as_json:
        put_json({"run": str(path), "report": str(page), "agents": agents})
    else:
        if agents:
            put(agents)
        put(str(page))
    return 0
