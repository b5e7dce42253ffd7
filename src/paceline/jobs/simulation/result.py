"""What a simulation gave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paceline.agents.simulation.scenario import Scenario
from paceline.agents.simulation.simulator import Score, Trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A policy with its figures and what it did."""

    policy: str
    score: Score
    trace: Trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """What a simulation gave.

    Attributes:
        name: As the scenario was asked for.
        scenario: Its content.
        agents: In the beginning.
        rounds: That were done.
        seed: Of all chance.
        rows: One for each policy, in the order of asking.
        oracle: What the oracle did.
        html: The page, where one was asked for.
    """

    name: str
    scenario: Scenario
    agents: int
    rounds: int
    seed: int
    rows: tuple[Row, ...]
    oracle: Trace
    html: Path | None = None
