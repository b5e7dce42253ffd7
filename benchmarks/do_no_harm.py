"""What does the Pacer cost someone who has tuned the learning rate already?

    python benchmarks/do_no_harm.py

Each workload and optimizer of workloads.py is started at the best rate of the reference's grid
and trained three ways with the same budget, batches and seeds: by hand with the schedule that
the grid found best; with the Pacer's probe, which knows that rate as a hint and pays for its
trials; and by hand with the guard alone beside that schedule. Lost = (validation loss - that
of by hand) / (by hand's whole improvement), in per cent; noise is how far the seeds of by hand
lie apart, in the same unit. The guard is tried on the first seed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import warnings
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from harness import write_result
from lr_basin import references
from workloads import OPTIMIZERS, WORKLOADS

from paceline import Pacer
from paceline.controllers.base import Controller
from paceline.controllers.constant import Constant
from paceline.controllers.cosine import Cosine
from paceline.controllers.linear import Linear
from paceline.controllers.probe import Probe

WAYS = ("by hand", "probe", "guard")


def tuned(schedule: str, rate: float) -> Controller:
    """The schedule that the grid found best, as a controller."""
    kind, warmup = schedule.removeprefix("warm_"), 0.05 if "warm" in schedule else 0.0
    if kind == "constant":
        return Constant(rate)
    return (Cosine if kind == "cosine" else Linear)(rate, warmup=warmup)


def trained(workload_name: str, optimizer_name: str, way: str, seed: int, scale: str) -> float:
    """Validation loss at the end."""
    workload = WORKLOADS[workload_name]
    cell = references(scale)[workload_name][optimizer_name]
    steps = workload.steps if scale == "short" else workload.long_steps
    model = workload.model(seed)
    torch.manual_seed(seed)
    optimizer = OPTIMIZERS[optimizer_name](model.parameters(), cell["rate"])
    controller = tuned(cell["schedule"], cell["rate"])
    pacer = Pacer(
        optimizer,
        total_steps=steps,
        modules=[model],
        controller=Probe(cell["rate"]) if way == "probe" else controller,
        beside=() if way == "by hand" else ("guard",),
    )
    for batch in pacer.batches(workload.batches(seed, steps)):
        optimizer.zero_grad()
        loss = workload.loss(model, batch)
        loss.backward()
        pacer.step(loss)
    return workload.validation(model)


def cell(task: tuple[str, str, int, str]) -> dict[str, Any]:
    """All ways and seeds of one workload and optimizer."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    workload, optimizer, seeds, scale = task
    ends = {
        way: [
            trained(workload, optimizer, way, seed, scale)
            for seed in range(1 if way == "guard" else seeds)
        ]
        for way in WAYS
    }
    hand = statistics.fmean(ends["by hand"])
    whole = references(scale)[workload][optimizer]["initial"] - hand
    row: dict[str, Any] = {"workload": workload, "optimizer": optimizer}
    row["noise"] = 100 * statistics.pstdev(ends["by hand"]) / whole
    for way in WAYS[1:]:
        apart = [a - b for a, b in zip(ends[way], ends["by hand"], strict=False)]
        row[way] = 100 * statistics.median(apart) / whole
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", choices=("short", "long"), default="short")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    tasks = [
        (workload, optimizer, args.seeds, args.scale)
        for workload, optimizers in references(args.scale).items()
        for optimizer in optimizers
    ]
    if args.smoke:
        tasks = [(*tasks[0][:2], 1, args.scale)]
    rows = []
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for row in pool.imap_unordered(cell, tasks):
            rows.append(row)
            print(
                f"{row['workload']:24}{row['optimizer']:10}"
                + "".join(f"{way} {row[way]:+7.2f} %  " for way in ("noise", *WAYS[1:])),
                flush=True,
            )
    figures: dict[str, Any] = {"seeds": args.seeds, "rows": rows}
    for way in WAYS[1:]:
        by_workload = {
            name: statistics.median(row[way] for row in rows if row["workload"] == name)
            for name in {row["workload"] for row in rows}
        }
        worst = max(by_workload, key=by_workload.__getitem__)
        median = statistics.median(row[way] for row in rows)
        figures[way] = {
            "median": median, "by_workload": by_workload, "worst_workload": worst,
            "worst": by_workload[worst],
        }  # fmt: skip
        print(f"{way}: median {median:+.2f} %, worst workload {worst} {by_workload[worst]:+.2f} %")
    if not args.smoke:
        write_result(f"do_no_harm_{args.scale}", figures, script="do_no_harm")


if __name__ == "__main__":
    main()
