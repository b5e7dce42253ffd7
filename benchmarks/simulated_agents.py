"""How close do scheduling policies come to an oracle, on simulated agents?

    python benchmarks/simulated_agents.py

Three questions. Shares: scenarios with 2 to 1,000 agents, each policy beside an oracle that
knows every true speed, but neither the noise nor who will die. Choices: sync interval and batch
where what they bring follows laws that must be found out, of the forms the policies were made
with and of others, beside the best fixed choice in hindsight. Time: what a policy needs for a
round. All policies meet the same chance; figures are medians over the seeds with the lowest and
the highest. Rewards and times are simulated; only the policies' own milliseconds are measured,
and those depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from harness import write_result

from paceline.agents.simulation.scenario import read_scenario
from paceline.agents.simulation.simulator import (
    Score,
    compare,
    run_oracle,
    run_policy,
    scheduler_for,
)
from paceline.agents.simulation.world import World
from paceline.core import catalog
from paceline.core.errors import PacelineError

SCENARIOS = (
    "static", "drift", "switch", "swap", "failures", "throttling", "memory_cliff", "priced",
)  # fmt: skip
AT_A_THOUSAND = ("static", "switch", "failures", "throttling", "memory_cliff", "priced")
SIZES, THOUSAND = (2, 4, 16, 64), 1000
ARITHMETIC = ("equal", "proportional", "model")
TABULAR = ("q_learning", "sarsa", "double_q")
NETWORKS = ("dqn", "ppo", "a2c")
LAWS = ("laws", "laws_held_out", "slow_links")
ROUNDS, ROUNDS_AT_A_THOUSAND = 200, 100


def on_the_shelf(names: Iterable[str]) -> list[str]:
    """Those policies that there are."""
    return [name for name in names if name in catalog.names("policies")]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), 4),
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
    }


def scores(
    scenario: str, policies: Sequence[str], *, agents: int | None, rounds: int | None, seeds: int
) -> dict[str, list[Score]]:
    """Each policy's score for each seed; a policy that cannot be built is left out and told."""
    given, found = read_scenario(scenario), {name: [] for name in policies}
    for seed in range(seeds):
        size = {"agents": agents, "rounds": rounds, "seed": seed}
        oracle = run_oracle(given, **size)
        for name in list(found):
            try:
                trace = run_policy(World(given, **size), scheduler_for(name))
            except PacelineError as error:
                print(f"{scenario}: {name} is left out: {error}")
                del found[name]
                continue
            found[name].append(compare(trace, oracle))
    return found


def row(scenario: str, agents: int | None, name: str, own: Sequence[Score]) -> dict[str, Any]:
    """A policy's figures over the seeds, also printed."""
    told = {
        "scenario": scenario,
        "agents": agents,
        "policy": name,
        "reward_share_of_oracle": spread([each.reward_share_of_oracle for each in own]),
        "time_share_of_oracle": spread([each.time_share_of_oracle for each in own]),
        "rounds_to_adapt": spread([each.rounds_to_adapt for each in own]),
        "share_over_slack": spread([each.share_over_slack for each in own]),
        "policy_milliseconds": spread([1000 * each.policy_seconds_per_round for each in own]),
    }
    reward, adapt = told["reward_share_of_oracle"], told["rounds_to_adapt"]
    slow = told["share_over_slack"]["median"]
    print(
        f"{scenario:14} {agents or '':>5} {name:13} reward {reward['median']:7.1%}"
        f" ({reward['lowest']:.1%}…{reward['highest']:.1%})"
        f"  time {told['time_share_of_oracle']['median']:7.1%}"
        f"  adapts in {adapt['median']:5.1f}  {told['policy_milliseconds']['median']:6.2f} ms"
        + (f"  {slow:.0%} over the slack" if slow > 0.02 and scenario == "priced" else ""),
        flush=True,
    )
    return told


def shares(*, smoke: bool, seeds: int) -> list[dict[str, Any]]:
    """Shares alone: thompson and the networks leave these to the model, so they are not here."""
    few, many = on_the_shelf(ARITHMETIC + TABULAR), on_the_shelf(ARITHMETIC)
    plan: list[tuple[str, int, int, list[str]]] = []
    for scenario in SCENARIOS:
        plan += [(scenario, size, ROUNDS, few) for size in SIZES]
        if scenario in AT_A_THOUSAND:
            plan.append((scenario, THOUSAND, ROUNDS_AT_A_THOUSAND, many))
    if smoke:
        plan = [("switch", 2, 20, few), ("throttling", 4, 20, few), ("priced", THOUSAND, 2, many)]
    rows = []
    for scenario, size, rounds, names in plan:
        found = scores(scenario, names, agents=size, rounds=rounds, seeds=seeds)
        rows += [row(scenario, size, name, own) for name, own in found.items() if own]
    return rows


def best_fixed(scenario: str, *, rounds: int | None, seeds: int) -> dict[str, Any]:
    """The one choice that is best over all seeds, known only afterwards, and the plain one."""
    given, worths = read_scenario(scenario), []
    for seed in range(seeds):
        world = World(given, rounds=rounds, seed=seed)
        for _ in range(world.rounds):
            truth = world.truth()
            samples = truth.curves.fill(world.total, truth.up)
            compute = float(truth.curves.seconds(samples).max())
            bring = truth.steps * truth.efficiency
            seconds = truth.steps * compute + truth.communication(int((samples > 0).sum()))
            worths.append(bring / seconds / (bring / seconds).max())
            world.step(samples[: world.present])
    mean = np.mean(worths, axis=0)
    best = given.all_choices[int(mean.argmax())]
    told = {
        "scenario": scenario,
        "best_sync_interval": best.sync_interval,
        "best_batch_factor": best.batch_factor,
        "best_fixed": round(float(mean.max()), 4),
        "plain": round(float(mean[0]), 4),
    }
    print(
        f"{scenario:14} best fixed choice H = {best.sync_interval}, m = {best.batch_factor:g}:"
        f" {mean.max():.1%} of the best in each round; the plain one {mean[0]:.1%}",
        flush=True,
    )
    return told


def choices(*, smoke: bool, seeds: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sync interval and batch under laws; the model policy keeps to the plain choice."""
    names = on_the_shelf(("model", *TABULAR, "thompson", *NETWORKS))
    rounds = 15 if smoke else None
    rows, fixed = [], []
    for scenario in LAWS:
        fixed.append(best_fixed(scenario, rounds=rounds, seeds=seeds))
        found = scores(scenario, names, agents=None, rounds=rounds, seeds=seeds)
        rows += [row(scenario, None, name, own) for name, own in found.items() if own]
    return rows, fixed


def times(*, smoke: bool, seeds: int) -> list[dict[str, Any]]:
    """What each policy needs for a round of 64 agents, allocating and learning."""
    names = on_the_shelf((*ARITHMETIC, *TABULAR, "thompson", *NETWORKS))
    rounds = 10 if smoke else 300
    found = scores("static", names, agents=64, rounds=rounds, seeds=seeds)
    rows = []
    for name, own in found.items():
        if own:
            needed = spread([1000 * each.policy_seconds_per_round for each in own])
            rows.append({"policy": name, "agents": 64, "milliseconds": needed})
            print(f"64 agents      {name:13} {needed['median']:.2f} ms a round", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few rounds, to see that it runs")
    parser.add_argument("--seeds", type=int, default=5, help="of each figure about shares")
    parser.add_argument(
        "--only", choices=("shares", "choices", "times"), help="one question; has its own result"
    )
    given = parser.parse_args()
    seeds, began = 1 if given.smoke else given.seeds, time.perf_counter()
    wanted = (given.only,) if given.only else ("shares", "choices", "times")
    figures: dict[str, Any] = {"seeds": seeds, "rounds": ROUNDS}
    if "times" in wanted:
        figures["times"] = times(smoke=given.smoke, seeds=seeds)
    if "choices" in wanted:
        figures["seeds_of_choices"] = 1 if given.smoke else 2 * seeds
        figures["choices"], figures["fixed_choices"] = choices(
            smoke=given.smoke, seeds=figures["seeds_of_choices"]
        )
    if "shares" in wanted:
        figures["shares"] = shares(smoke=given.smoke, seeds=seeds)
    figures["minutes"] = round((time.perf_counter() - began) / 60, 1)
    if not given.smoke:
        name = f"simulated_agents_{given.only}" if given.only else "simulated_agents"
        write_result(name, figures, script="simulated_agents")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
