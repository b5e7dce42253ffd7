"""A simulation as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from paceline.agents.simulation.simulator import Trace
from paceline.agents.simulation.speed_curves import Floats
from paceline.core.files import write_atomically
from paceline.jobs.simulation.result import Row, Simulation
from paceline.report import comparison_chart as chart
from paceline.report.document import document
from paceline.report.markup import Html, table, tag

_POINTS = 300
_REASONS = 200


def write_simulation_page(simulation: Simulation, path: Path) -> None:
    """Writes the page, whole or not at all.

    Raises:
        StorageError: The disk is full, read-only or otherwise unwilling.
    """
    page = render_simulation(simulation)
    write_atomically(path, page.encode("utf-8", errors="replace"))


def render_simulation(simulation: Simulation) -> str:
    """The page as text."""
    told = f"{simulation.agents:,} agents  ·  {simulation.rounds:,} rounds"
    header = tag(
        "header",
        tag("h1", Path(simulation.name).stem.replace("_", " ")),
        tag("p", f"{told}  ·  seed {simulation.seed}", class_="lede"),
        tag("p", simulation.scenario.title, class_="lede") if simulation.scenario.title else None,
    )
    main = tag(
        "main",
        _scores(simulation),
        _reward(simulation),
        _shares(simulation),
        _reasons(simulation),
    )
    return document(
        f"{Path(simulation.name).stem} – simulation",
        header,
        main,
        styles=("page.css", "comparison.css"),
    )


def in_cells(row: Row, *, switches: bool) -> tuple[str, ...]:
    """A policy's figures as people read them.

    Args:
        row: The policy.
        switches: Whether there is anything to adapt to.
    """
    score = row.score
    return (
        row.policy,
        f"{score.time_share_of_oracle:.1%}",
        f"{score.reward_share_of_oracle:.1%}",
        f"{score.rounds_to_adapt:.1f}" if switches else "–",
        f"{1000 * score.policy_seconds_per_round:.2f}",
    )


HEAD = ("policy", "time", "reward", "rounds to adapt", "policy ms a round")


def _scores(simulation: Simulation) -> Html:
    switches = bool(simulation.oracle.switches)
    rows = [in_cells(row, switches=switches) for row in simulation.rows]
    note = (
        "Time and reward are shares of what an oracle reaches that knows every true speed, but"
        " neither the noise nor who will die. The oracle and all policies met the same chance."
    )
    return tag(
        "section",
        tag("h2", "Beside the oracle"),
        table(HEAD, rows, caption="Policies beside the oracle", numeric=range(1, len(HEAD))),
        tag("p", note, class_="bars-note"),
    )


def _reward(simulation: Simulation) -> Html | None:
    best = simulation.oracle

    def share(trace: Trace) -> Floats:
        return np.asarray(trace.expected_reward / best.expected_reward)

    traces = [
        _line(row.policy, number, share(row.trace)) for number, row in enumerate(simulation.rows)
    ]
    panel = chart.Panel(key="reward", title="The plan's worth over the oracle's", traces=(*traces,))
    return _section("Plans, in the mean over the noise", [panel], _names(simulation))


def _shares(simulation: Simulation) -> Html | None:
    panels = []
    for row in simulation.rows:
        shares = row.trace.shares / (simulation.scenario.examples_per_agent * simulation.agents)
        lines = [
            _line(f"agent {agent}", agent, shares[:, agent]) for agent in range(_shown(shares))
        ]
        panels.append(chart.Panel(key=f"shares-{row.policy}", title=row.policy, traces=(*lines,)))
    names = [(f"agent {agent}", agent) for agent in range(_shown(simulation.oracle.shares))]
    return _section("Shares of the first agents", panels, names)


def _shown(shares: Floats) -> int:
    return min(int(shares.shape[1]), chart.COLOURS)


def _section(
    title: str, panels: list[chart.Panel], names: Iterable[tuple[str, int]]
) -> Html | None:
    axes = chart.axes_of(panels, across="round", ratio=float("inf"))
    if axes is None:
        return None
    shown = chart.multiples(panels, axes)
    return tag("section", tag("h2", title), chart.legend(names), shown)


def _line(name: str, colour: int, values: Floats) -> chart.Trace:
    every = max(1, -(-len(values) // _POINTS))
    xs = range(0, len(values), every)
    return chart.Trace(
        name=name,
        colour=colour,
        xs=tuple(float(x) for x in xs),
        ys=tuple(float(values[x]) for x in xs),
    )


def _names(simulation: Simulation) -> list[tuple[str, int]]:
    return [(row.policy, number) for number, row in enumerate(simulation.rows)]


def _reasons(simulation: Simulation) -> Html | None:
    rows = [
        (row.policy, f"{number:,}", reason)
        for row in simulation.rows
        for number, reason in row.trace.reasons[:_REASONS]
    ]
    if not rows:
        return None
    shown = table(("policy", "round", "reason"), rows, caption="Decisions", numeric=(1,))
    folded = tag("details", tag("summary", f"{len(rows):,} decisions"), shown)
    return tag("section", tag("h2", "Decisions and their reasons"), folded)
