"""paceline simulate: scheduling policies on agents in simulated time."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from paceline.cli._out import AsJson, plain_table, put_json
from paceline.report.console import Console

Policies = Annotated[
    tuple[str, ...],
    Parameter(name=["--policy", "-p"], negative="", consume_multiple=False, show_default=False),
]

_WORTH_TELLING = 0.02


def simulate(
    scenario: str,
    /,
    *,
    policies: Policies = ("model",),
    agents: int | None = None,
    rounds: int | None = None,
    seed: int = 0,
    html: Path | None = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Try scheduling policies on agents in simulated time, beside an oracle.

    Nothing is trained: speeds, failures, prices and links are those of SCENARIO, and the
    Scheduler is that of a real run. All policies meet the same chance. The oracle knows
    each true speed, but neither the noise nor who will die.

    With Paceline come drift, failures, laws, laws_held_out, memory_cliff, priced,
    slow_links, static, swap, switch, thousand and throttling.

    Examples:

        paceline simulate static

        paceline simulate switch --policy model --policy equal --agents 64

        paceline simulate laws -p thompson -p q_learning --html laws.html

        paceline simulate mine.toml --rounds 1000 --seed 3 --json

    Parameters
    ----------
    scenario
        A scenario's name, or a TOML file.
    policies
        One that shares out the work; may be repeated. `paceline parts policies` lists them.
        [default: model]
    agents
        How many there are in the beginning, instead of the scenario's own number.
    rounds
        To simulate, instead of the scenario's own number.
    seed
        Of all that is drawn.
    html
        A page to write, with the shares over time and each decision's reason.
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    with Console(quiet=quiet) as console:
        from paceline.jobs.simulation.simulate import simulate as run_simulation

        done = run_simulation(
            scenario,
            policies,
            agents=agents,
            rounds=rounds,
            seed=seed,
            html=html,
            progress=console,
        )
    if not quiet:
        console.show(_table(done))
        console.say(
            f"{done.name}: {done.agents:,} agents, {done.rounds:,} rounds, seed {done.seed};"
            " time and reward as shares of the oracle's"
        )
        for row in done.rows:
            _warn_of_slow_plans(console, done, row)
        if html is not None:
            sys.stderr.write(f"page     {html}\n")
    if as_json:
        put_json(_object(done))
    return 0


def _table(done: Any) -> Any:
    from paceline.jobs.simulation.page import HEAD, in_cells

    shown = plain_table(*HEAD, right=HEAD[1:])
    for row in done.rows:
        shown.add_row(*in_cells(row, switches=bool(done.oracle.switches)))
    return shown


def _warn_of_slow_plans(console: Console, done: Any, row: Any) -> None:
    terms = done.scenario.reward
    if terms.beta > 0 and row.score.share_over_slack > _WORTH_TELLING:
        console.warn(
            f"{row.policy}: {row.score.share_over_slack:.0%} of its plans took over"
            f" {terms.slack:g} times the shortest time, which the oracle never does"
        )


def _object(done: Any) -> dict[str, Any]:
    rows = [{"policy": row.policy, **asdict(row.score)} for row in done.rows]
    return {
        "scenario": done.name,
        "agents": done.agents,
        "rounds": done.rounds,
        "seed": done.seed,
        **rows[0],
        "policies": rows,
        "html": None if done.html is None else str(done.html),
    }
