"""paceline policy: the tables of the learned controllers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from paceline.cli._out import AsJson, put_json
from paceline.report.console import Console


def policy(
    action: Literal["train"],
    name: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    episodes: int = 400,
    seed: int = 0,
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Train the table of a learned controller on many small trainings of all kinds.

    The table is tested on trainings of kinds that it never saw. A recipe uses it with
    ``--set controller.name=NAME --set controller.policy=FILE``.

    Examples:

        paceline policy train q_learning --out mine.json

        paceline policy train sarsa --out mine.json --episodes 2000 --seed 1

    Parameters
    ----------
    action
        train.
    name
        bandit, double_q, q_learning or sarsa.
    out
        The table's file; one that is there must be a table too, and is replaced.
    episodes
        Small trainings to learn from.
    seed
        Of all that is drawn.
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    with Console(quiet=quiet) as console:
        from paceline.jobs.policy import train_policy

        found = train_policy(name, out, episodes=episodes, seed=seed, progress=console)
    if as_json:
        put_json({"action": action, "name": name, **asdict(found)})
    elif not quiet:
        sys.stderr.write(
            f"table   {found.out}  ({found.states} states, {found.episodes} episodes)\n"
            f"test    of {found.tests} trainings of other kinds, {found.beat_constant:.0%} ended"
            f" below the same rate kept constant, {found.beat_linear:.0%} below a linear decay\n"
        )
    return 0
