"""paceline agents: who works on a training that runs, and more or fewer of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from paceline.cli._out import AsJson, put_json


def agents(
    run: Path,
    /,
    *,
    add: int = 0,
    remove: Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=False)] = (),
    as_json: AsJson = False,
) -> int:
    """Show the agents of a training that runs, let some join or leave.

    What is learnt does not change: the next step is shared among those that are there.

    Examples:

        paceline agents paceline-runs/digits-1

        paceline agents paceline-runs/digits-1 --add 2

        paceline agents paceline-runs/digits-1 --remove 3

    Parameters
    ----------
    run
        The directory of a run that trains with --agents.
    add
        Agents to start.
    remove
        The number of one that is to leave; may be repeated.
    as_json
        One JSON object on the last line of stdout.
    """
    from paceline.jobs.membership import ask

    answer = ask(run, add=add, remove=remove)
    if as_json:
        put_json(answer)
        return 0
    for each in answer["agents"]:
        sys.stdout.write(
            f"agent {each['number']:<4} {each['samples']:>5} samples a step"
            f" · computes {each['compute_seconds']:.3f} s · waits {each['wait_seconds']:.3f} s"
            f" · {each['place']}\n"
        )
    return 0
