"""The agents of a simulated world, drawn from the classes of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paceline.agents.simulation.scenario import AgentClass, Heat, Scenario
from paceline.agents.simulation.speed_curves import Counts, Floats

_SALT = 7_919


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """One entry for each agent that ever joins; those that join later come last.

    Attributes:
        names: The class of each.
        joins: The round in which each joins; 0 for those that are there from the beginning.
        start: Seconds before the first example; shape (agents,), like all that follow.
        slope: Seconds for an example.
        noise: Standard deviation of the logarithm of the seconds.
        drift: Standard deviation of a round's change of the logarithm of the slope.
        price: Of a second.
        knee: Examples beyond which the slope is steeper, inf where there is none.
        beyond: How many times steeper.
        most: Examples that fit into the memory, inf where all do.
        heat_rate: Heat of a round at full use, 0 for those that never throttle.
        heat_above: Share of use that heats nothing.
        cool: Heat at which a hot agent is cool again.
        slowdown: Of a hot agent.
        fails: Chance to go away in a round.
        returns: Chance to come back after a round.
    """

    names: tuple[str, ...]
    joins: Counts
    start: Floats
    slope: Floats
    noise: Floats
    drift: Floats
    price: Floats
    knee: Floats
    beyond: Floats
    most: Floats
    heat_rate: Floats
    heat_above: Floats
    cool: Floats
    slowdown: Floats
    fails: Floats
    returns: Floats

    def __len__(self) -> int:
        return len(self.names)


def counts_of(weights: list[int], agents: int) -> list[int]:
    """So many agents in the proportion of the weights; each class has one while there are any.

    >>> counts_of([1, 1, 2], 8), counts_of([1, 1, 2], 2)
    ([2, 2, 4], [1, 1, 0])
    """
    counts = [1 if number < agents else 0 for number in range(len(weights))]
    while sum(counts) < agents:
        behind = [
            agents * weight / sum(weights) - count
            for weight, count in zip(weights, counts, strict=True)
        ]
        most = max(behind)
        step = max(1, int(most) - 1)
        counts[behind.index(most)] += min(step, agents - sum(counts))
    return counts


def drawn(low_high: tuple[float, float], count: int, chance: np.random.Generator) -> Floats:
    """Numbers from a range, evenly in the logarithm; evenly where it begins at 0.

    >>> drawn((2.0, 2.0), 3, np.random.default_rng(0)).tolist()
    [2.0, 2.0, 2.0]
    """
    low, high = low_high
    where = chance.random(count)
    if low == high:
        return np.full(count, low)
    if low > 0:
        return np.asarray(low * (high / low) ** where)
    return np.asarray(low + (high - low) * where)


def draw_fleet(scenario: Scenario, agents: int | None, rounds: int, seed: int) -> Fleet:
    """The agents of a scenario.

    Args:
        scenario: With their classes.
        agents: How many there are in the beginning; the classes' counts when None.
        rounds: Of the simulation: moments are shares of it.
        seed: At least 0.
    """
    weights = [each.count for each in scenario.agents]
    counts = weights if agents is None else counts_of(weights, agents)
    groups = [(each, count, 0) for each, count in zip(scenario.agents, counts, strict=True)]
    classes = {each.name: each for each in scenario.agents}
    scale = 1.0 if agents is None else agents / sum(weights)
    for join in sorted(scenario.join, key=lambda each: each.at):
        at = max(1, scenario.round_of(join.at, rounds))
        groups.append((classes[join.of], max(1, round(join.count * scale)), at))
    chance = np.random.default_rng((seed, _SALT))
    columns: dict[str, list[Any]] = {}
    names: list[str] = []
    for kind, count, at in groups:
        names += [kind.name] * count
        for key, values in _columns(kind, count, chance).items():
            columns.setdefault(key, []).append(values)
        columns.setdefault("joins", []).append(np.full(count, at, dtype=np.int64))
    return Fleet(names=tuple(names), **{key: np.concatenate(each) for key, each in columns.items()})


def _columns(kind: AgentClass, count: int, chance: np.random.Generator) -> dict[str, Floats]:
    heat = kind.heat or Heat(rate=1.0, slowdown=1.0)
    failures = kind.failures
    constant = {
        "noise": kind.noise,
        "drift": kind.drift,
        "beyond": kind.knee_slope,
        "most": np.inf if kind.most_samples is None else float(kind.most_samples),
        "heat_rate": heat.rate if kind.heat else 0.0,
        "heat_above": heat.above,
        "cool": heat.cool,
        "slowdown": heat.slowdown,
        "fails": 1 / failures.rounds_up if failures else 0.0,
        "returns": 1 / failures.rounds_away if failures else 1.0,
    }
    return {
        "start": drawn(kind.start_seconds, count, chance),
        "slope": drawn(kind.seconds_per_example, count, chance),
        "price": drawn(kind.price, count, chance),
        "knee": drawn(kind.knee, count, chance) if kind.knee else np.full(count, np.inf),
    } | {key: np.full(count, value) for key, value in constant.items()}
