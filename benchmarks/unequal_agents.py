"""How much of the speed of unequal agents is used, by each policy and by DDP with equal shares?

    python benchmarks/unequal_agents.py

Real processes that pretend to be slow: an agent of speed s sleeps until its share of b examples
has taken b · u / s seconds, with u such that the ideal step, in which nobody waits, takes
0.55 s; so contention for the cores is small beside it. Shares are whole examples of a batch of
480. The figure is throughput over the ideal: (Σ speeds) · (seconds of the ideal step) / measured
seconds, the sum being over the agents that are up. ``fixed`` is told the true speeds: the
oracle. DDP is torch.distributed with gloo, equal shares and the same pretended speeds; where an
agent dies it has no answer, so it is left out there. ``steady`` is the mean after the first 3
rounds (after 3 rounds of the new state in ``swap`` and ``death``).

The model is small and in float64: what is learnt is compared with one process, weight by weight.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import statistics
import time
from typing import Any

import torch
import torch.multiprocessing as mp
from harness import write_result
from teams import examples, network, one_process, optimizer_of, pace, team_of, weights_of
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from paceline.agents.scheduler import Scheduler
from paceline.core import catalog

BATCH = 480
SKIPPED = 3
GOOD = 0.9
POLICIES = ("model", "proportional", "q_learning", "sarsa", "equal", "fixed")

Plan = list[tuple[int, list[float]]]
"""From which round on, the speeds; 0 is one that dies."""


def plans(rounds: int) -> dict[str, Plan]:
    """Speeds by scenario."""
    swapped = rounds // 2
    return {
        "1:1": [(0, [1, 1])],
        "1:2": [(0, [1, 2])],
        "1:4": [(0, [1, 4])],
        "1:1:2:4": [(0, [1, 1, 2, 4])],
        "1:2:4:8": [(0, [1, 2, 4, 8])],
        "swap": [(0, [1, 2, 4, 8]), (swapped, [8, 2, 4, 1])],
        "death": [(0, [1, 2, 4, 8]), (swapped, [1, 2, 0, 8])],
    }


def unit_of(plan: Plan, ideal_seconds: float) -> float:
    """Seconds for an example at speed 1 with which the first ideal step takes as long as said."""
    return ideal_seconds * sum(plan[0][1]) / BATCH


def shares_of(seconds: list[float], plan: Plan, unit: float) -> list[float]:
    """Throughput over the ideal, round by round."""
    found = []
    for number, took in enumerate(seconds):
        speeds = [speeds for first, speeds in plan if first <= number][-1]
        found.append(BATCH * unit / sum(speeds) / took)
    return found


def ours(policy: str, plan: Plan, unit: float, rounds: int, seed: int) -> dict[str, Any]:
    """Rounds of a team."""
    model, rows = network(), examples(BATCH)
    settings = {"shares": [float(each) for each in plan[0][1]]} if policy == "fixed" else {}
    scheduler = Scheduler(len(plan[0][1]), policy, seed=seed, settings=settings)
    optimizer, seconds, given = optimizer_of(model), [], []
    changes = dict(plan)
    with team_of(model, rows, scheduler) as team:
        for number in range(rounds):
            if number in changes:
                change(team, changes[number], unit, oracle=policy == "fixed")
            began = time.perf_counter()
            team.work_on([number])
            optimizer.step()
            seconds.append(time.perf_counter() - began)
            given.append(list(scheduler.decisions.samples))
    apart = (weights_of(model) - one_process(rounds, BATCH)).abs().max().item()
    return {"seconds": seconds, "shares": given, "apart": apart}


def change(team: Any, speeds: list[float], unit: float, *, oracle: bool) -> None:
    """New speeds, which nobody is told of but the oracle; who has none is killed."""
    for number, speed in enumerate(speeds, 1):
        if not speed and number in team.members:
            os.kill(team.members[number].process_id, signal.SIGKILL)
    alive = [speed or 1.0 for speed in speeds]
    with contextlib.suppress(OSError):
        pace(team, [unit / speed for speed in alive])
    if oracle:
        fresh = Scheduler(len(speeds), "fixed", settings={"shares": [float(s) for s in alive]})
        for at, speed in enumerate(speeds):
            if not speed:
                fresh.leave(at)
        team.scheduler.policy = fresh.policy
        team.scheduler._pending = None


def rank_of_ddp(rank: int, plan: Plan, unit: float, rounds: int, port: int, answer: Any) -> None:
    """One process of DDP with equal shares."""
    torch.set_num_threads(1)
    world = len(plan[0][1])
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world
    )
    bare, rows = network(), examples(BATCH)
    for each in bare.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.0  # its chance is its own in each process: weights are not compared
    model = DistributedDataParallel(bare)
    optimizer, seconds, size = optimizer_of(bare), [], BATCH // world
    for number in range(rounds):
        speed = [speeds for first, speeds in plan if first <= number][-1][rank]
        torch.distributed.barrier()
        began = time.perf_counter()
        batch = rows.pick(rows.rows(number)[rank * size : (rank + 1) * size])
        loss = nn.functional.cross_entropy(model(*batch.inputs), batch.targets)
        left = size * unit / speed - (time.perf_counter() - began)
        time.sleep(max(0.0, left))  # before the gradients are exchanged, as a slow machine would
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - began)
    if rank == 0:
        answer.put(seconds)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def ddp(plan: Plan, unit: float, rounds: int) -> list[float]:
    """Seconds of the rounds of DDP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("forkserver")
    answer = context.SimpleQueue()
    ranks = [
        context.Process(target=rank_of_ddp, args=(rank, plan, unit, rounds, port, answer))
        for rank in range(len(plan[0][1]))
    ]
    for each in ranks:
        each.start()
    seconds = answer.get()
    for each in ranks:
        each.join()
    return list(seconds)


def told(shares: list[float], plan: Plan) -> dict[str, Any]:
    """What the rounds come to."""
    last = plan[-1][0]
    steady = shares[last + SKIPPED :]
    row: dict[str, Any] = {
        "steady": statistics.mean(steady) if steady else shares[-1],
        "rounds": [round(each, 4) for each in shares],
    }
    if last:
        after = shares[last:]
        good = [at for at in range(len(after)) if min(after[at : at + 2]) > GOOD]
        row["rounds_until_good"] = good[0] if good else None
    return row


def measure(name: str, plan: Plan, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All policies on one scenario."""
    unit, rows = unit_of(plan, options.ideal), []
    there = set(catalog.names("policies"))
    for policy in [each for each in options.policies if each in there]:
        many = range(options.seeds) if policy == "model" else range(1)
        for seed in many:
            plain = policy == "equal" and not plan[-1][0]
            rounds = min(options.rounds, SKIPPED + 3) if plain else options.rounds
            run = ours(policy, plan, unit, rounds, seed)
            row = {"scenario": name, "policy": policy, "seed": seed, "apart": run["apart"]}
            row |= told(shares_of(run["seconds"], plan, unit), plan)
            rows.append(row | {"shares": run["shares"]})
            say(row)
    if "ddp" in options.policies and not any(0 in speeds for _, speeds in plan):
        rounds = options.rounds if plan[-1][0] else min(options.rounds, SKIPPED + 3)
        shares = shares_of(ddp(plan, unit, rounds), plan, unit)
        rows.append({"scenario": name, "policy": "ddp", "seed": 0} | told(shares, plan))
        say(rows[-1])
    return rows


def say(row: dict[str, Any]) -> None:
    """One line."""
    until = f"  > {GOOD} after {row['rounds_until_good']}" if "rounds_until_good" in row else ""
    apart = f"  apart {row['apart']:.1e}" if "apart" in row else ""
    print(
        f"{row['scenario']:8} {row['policy']:12} seed {row['seed']}"
        f"  steady {row['steady']:.3f}{until}{apart}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="short steps, to see that it runs")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3, help="of the model policy")
    parser.add_argument("--ideal", type=float, default=0.55, help="seconds of the ideal step")
    parser.add_argument("--policies", nargs="*", default=[*POLICIES, "ddp"])
    parser.add_argument("--only", nargs="*", help="scenarios")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seeds, options.ideal = 5, 1, 0.02
        options.only = options.only or ["1:4", "swap", "death"]
    torch.set_num_threads(1)
    rows = []
    for name, plan in plans(options.rounds).items():
        if not options.only or name in options.only:
            rows += measure(name, plan, options)
    if not options.smoke:
        figures = {"pretended": True, "batch": BATCH, "ideal_seconds": options.ideal, "rows": rows}
        write_result(__file__, figures)


if __name__ == "__main__":
    main()
