"""Simulates a scenario with one or several policies, beside the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from paceline.agents.simulation.scenario import read_scenario
from paceline.agents.simulation.simulator import (
    Tick,
    compare,
    run_oracle,
    run_policy,
    scheduler_for,
)
from paceline.agents.simulation.world import World
from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.progress import Progress, Silence
from paceline.jobs.simulation.page import write_simulation_page
from paceline.jobs.simulation.result import Row, Simulation


def simulate(
    scenario: str | Path,
    policies: Sequence[str] = ("model",),
    *,
    agents: int | None = None,
    rounds: int | None = None,
    seed: int = 0,
    html: Path | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Lets each policy work in the same world, with the same chance, beside the oracle.

    Args:
        scenario: A shipped scenario by its name, or a TOML file.
        policies: Names on the shelf of policies, or ``package.module:Class``; at least one.
        agents: How many there are in the beginning; the scenario's own number when None.
        rounds: The scenario's own number when None.
        seed: At least 0.
        html: A page to write.
        progress: Is told how far it is.

    Raises:
        SettingError: A scenario, a policy or a number is not as it must be.
        StorageError: The page cannot be written.
    """
    listener = progress or Silence()
    asked = tuple(dict.fromkeys(policies))
    given = read_scenario(scenario)
    _refuse(asked, html)
    world = World(given, agents=agents, rounds=rounds, seed=seed)
    for policy in asked:
        scheduler_for(policy)(world)  # what cannot be built is refused before the long work
    said = _Steps(listener, len(asked) + 1)
    oracle = run_oracle(given, agents=agents, rounds=rounds, seed=seed, tick=said.part(0, "oracle"))
    rows = []
    for number, policy in enumerate(asked):
        own = World(given, agents=agents, rounds=rounds, seed=seed)
        tick = said.part(number + 1, policy)
        trace = run_policy(own, scheduler_for(policy), tick=tick)
        rows.append(Row(policy=policy, score=compare(trace, oracle), trace=trace))
    done = Simulation(
        name=str(scenario),
        scenario=given,
        agents=world.first,
        rounds=world.rounds,
        seed=seed,
        rows=tuple(rows),
        oracle=oracle,
        html=html,
    )
    if html is not None:
        write_simulation_page(done, html)
    return done


@final
class _Steps:
    """One bar over the oracle and all policies."""

    def __init__(self, progress: Progress, parts: int) -> None:
        self._progress, self._parts = progress, parts

    def part(self, number: int, name: str) -> Tick:
        def tick(share: float) -> None:
            self._progress.advance("simulate", (number + share) / self._parts, name)

        return tick


def _refuse(policies: tuple[str, ...], html: Path | None) -> None:
    if not policies:
        raise SettingError("policies: name at least one")
    for policy in policies:
        catalog.find("policies", policy)
    if html is not None and not html.parent.is_dir():
        raise SettingError(f"{html}: there is no directory {html.parent}; make it first")
