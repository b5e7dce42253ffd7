"""What do agents cost beside their work, how soon are they ready, and how fast are sums added?

    python benchmarks/agents_overhead.py

Control: 4 agents with equal speeds that pretend to need 200 ms a step; the overhead is what a
round takes beside its slowest agent, as a share of the round, and by itself: the coordinator's
CPU seconds in a step (scheduling, sending, adding up). Ready: from nothing to 4 agents that say
they are ready; cold in a fresh process, warm when the fork server has torch loaded. Sums: 4
processes that hold a gradient each, in turns: gloo's all-reduce, and ours, where the coordinator
adds up memory that it shares with them.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
import torch.multiprocessing as mp
from harness import write_result
from teams import examples, network, optimizer_of, pace, team_of

from paceline.agents.scheduler import Scheduler

AGENTS, BATCH, STEP_SECONDS = 4, 480, 0.2
READY = """
import sys, time
sys.path.insert(0, {folder!r})
from teams import examples, network, team_of
from paceline.agents.scheduler import Scheduler
import torch
torch.set_num_threads(1)
for _ in range(3):
    began = time.perf_counter()
    with team_of(network(), examples(480), Scheduler({agents}, "equal")):
        print(time.perf_counter() - began, flush=True)
"""


def control(policy: str, steps: int) -> dict[str, Any]:
    """What a step takes beside the work."""
    model, rows = network(), examples(BATCH)
    optimizer, scheduler = optimizer_of(model), Scheduler(AGENTS, policy)
    beside, shares, busy = [], [], []
    with team_of(model, rows, scheduler) as team:
        pace(team, [STEP_SECONDS * AGENTS / BATCH] * AGENTS)
        for number in range(steps):
            began, cpu = time.perf_counter(), time.process_time()
            team.work_on([number])
            optimizer.step()
            busy.append(time.process_time() - cpu)
            took = time.perf_counter() - began
            slowest = max(lane.compute_seconds for lane in team.lanes)
            beside.append(took - slowest)
            shares.append((took - slowest) / took)
    beside, shares, busy = beside[2:], shares[2:], busy[2:]
    return {
        "policy": policy,
        "share_of_step": statistics.median(shares),
        "milliseconds": statistics.median(beside) * 1e3,
        "least_milliseconds": min(beside) * 1e3,
        "coordinator_cpu_milliseconds": statistics.median(busy) * 1e3,
        "coordinator_cpu_share": statistics.median(busy) / STEP_SECONDS,
    }


def ready(times: int) -> dict[str, Any]:
    """Seconds until 4 agents are ready."""
    from pathlib import Path

    cold, warm = [], []
    code = READY.format(folder=str(Path(__file__).parent), agents=AGENTS)
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        first, *others = map(float, done.stdout.split())
        cold.append(first)
        warm += others
    return {
        "cold_seconds": statistics.median(cold),
        "warm_seconds": statistics.median(warm),
        "least_warm_seconds": min(warm),
    }


def rank_of_sum(rank: int, size: int, turns: int, port: int, shared: Any, talk: Any) -> None:
    """Takes part in all-reduces; beside it leaves its gradient in shared memory."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=AGENTS
    )
    gradient = torch.randn(size)
    shared[rank].copy_(gradient)
    total = torch.empty(size)
    gloo, ours = [], []
    for _ in range(turns):
        torch.distributed.barrier()
        began = time.perf_counter()
        torch.distributed.all_reduce(gradient)
        gloo.append(time.perf_counter() - began)
        gradient.div_(AGENTS)
        torch.distributed.barrier()
        if rank == 0:
            began = time.perf_counter()
            total.copy_(shared[0])
            for part in shared[1:]:
                total.add_(part)
            ours.append(time.perf_counter() - began)
    if rank == 0:
        talk.put((gloo, ours))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def sums(size: int, turns: int) -> dict[str, Any]:
    """Seconds of both sums of 4 gradients of float32."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("forkserver")
    shared = [torch.zeros(size).share_memory_() for _ in range(AGENTS)]
    talk = context.SimpleQueue()
    ranks = [
        context.Process(target=rank_of_sum, args=(rank, size, turns, port, shared, talk))
        for rank in range(AGENTS)
    ]
    for each in ranks:
        each.start()
    gloo, ours = talk.get()
    for each in ranks:
        each.join()
    row = {
        "parameters": size,
        "gloo_milliseconds": statistics.median(gloo) * 1e3,
        "shared_memory_milliseconds": statistics.median(ours) * 1e3,
        "least_gloo_milliseconds": min(gloo) * 1e3,
        "least_shared_memory_milliseconds": min(ours) * 1e3,
    }
    return row | {"times_faster": statistics.median(gloo) / statistics.median(ours)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few steps, to see that it runs")
    smoke = parser.parse_args().smoke
    torch.set_num_threads(1)
    found: dict[str, Any] = {"pretended": True, "step_seconds": STEP_SECONDS}
    found["control"] = [control(policy, 4 if smoke else 60) for policy in ("equal", "model")]
    print(*found["control"], sep="\n", flush=True)
    found["ready"] = ready(1 if smoke else 5)
    print(found["ready"], flush=True)
    sizes = (10_000,) if smoke else (1_000_000, 10_000_000)
    found["sums"] = [sums(size, 3 if smoke else 31) for size in sizes]
    print(*found["sums"], sep="\n", flush=True)
    if not smoke:
        write_result(__file__, found)


if __name__ == "__main__":
    main()
