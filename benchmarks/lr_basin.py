"""How much of what could be learnt is lost by whoever must find the learning rate by itself?

    python benchmarks/lr_basin.py --scale short
    python benchmarks/lr_basin.py --scale long

Twelve workloads (workloads.py) times seven of torch's optimizers, five seeds, each started at
rates from 1e-6 to 10. The rate that the probe is started at is to change no bit of what comes:
the first seed is run from all five and compared, the other seeds from one. A run has one
budget of backward passes, counted here, out of which it pays for its own probing. Lost =
(validation loss at the end - reference) / (at the beginning - reference); the reference is the
best of a grid of 13 half-decade rates times constant, cosine and linear, three seeds each
(lr_reference.py), whose search costs it nothing. Rivals run in the same table at their best
defaults, started at torch's default rates; those that are optimizers of their own are run once
a workload, and held against the best of the seven. Nobody sees validation data.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from harness import HERE, write_result
from workloads import OPTIMIZERS, WORKLOADS

from paceline import Pacer
from paceline.core.errors import PacelineError

INITIAL = (1e-6, 1e-4, 1e-2, 1.0, 10.0)
DEFAULTS = {  # torch's default rates; momentum has the one of SGD
    "sgd": 1e-3, "momentum": 1e-3, "adagrad": 1e-2, "adadelta": 1.0, "rmsprop": 1e-2,
    "adam": 1e-3, "adamw": 1e-3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """How the rate is found.

    Attributes:
        controller: Of the Pacer.
        beside: Controllers beside it.
        start: ``any`` rate, torch's ``default``, or ``own``: an optimizer of its own,
            whatever it is given.
    """

    controller: str
    beside: tuple[str, ...] = ()
    start: str = "any"


METHODS = {
    "probe": Method("probe", ("guard",)),
    "sweep_race": Method("sweep_race", ("guard",), start="default"),
    "hypergradient": Method("hypergradient", start="default"),
    "q_learning": Method("q_learning", start="default"),
    "default_rate": Method("constant", start="default"),
    "default_rate_linear": Method("linear", start="default"),
    "mechanic": Method("mechanic", start="default"),
    "prodigy": Method("prodigy", start="own"),
    "dog": Method("dog", start="own"),
    "schedule_free": Method("schedule_free", start="own"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One run."""

    method: str
    workload: str
    optimizer: str
    rate: float
    seed: int
    scale: str

    @property
    def key(self) -> str:
        parts = (self.method, self.workload, self.optimizer, f"{self.rate:g}", str(self.seed))
        return "/".join(parts)


def final_loss(case: Case) -> float:
    """Validation loss after the budget.

    Raises:
        RuntimeError: More backward passes were made than the budget allows.
    """
    workload, method = WORKLOADS[case.workload], METHODS[case.method]
    steps = workload.steps if case.scale == "short" else workload.long_steps
    model = workload.model(case.seed)
    torch.manual_seed(case.seed)
    optimizer = OPTIMIZERS[case.optimizer](model.parameters(), case.rate)
    pacer = Pacer(
        optimizer,
        total_steps=steps,
        modules=[model],
        controller=method.controller,
        beside=method.beside,
    )
    spent = 0
    for batch in pacer.batches(workload.batches(case.seed, steps)):
        pacer.optimizer.zero_grad()
        loss = workload.loss(model, batch)
        loss.backward()
        spent += 1
        pacer.step(loss)
    if spent > steps:
        raise RuntimeError(f"{spent} backward passes of {steps}")
    with pacer.averaged():
        return workload.validation(model)


def run(case: Case) -> tuple[str, float]:
    """One run; a refusal counts as a divergence."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        loss = final_loss(case)
    except (PacelineError, RuntimeError) as error:
        print(f"{case.key}: {error}", file=sys.stderr, flush=True)
        loss = math.inf
    return case.key, loss


def cases(args: argparse.Namespace, cells: dict[str, Any]) -> Iterator[Case]:
    """All runs that were asked for, of cells that have a reference."""
    for name in args.methods:
        start = METHODS[name].start
        for workload in args.workloads:
            known = [each for each in args.optimizers if each in cells.get(workload, {})]
            for optimizer in ["adamw"] if start == "own" and known else known:
                seeds = range(args.seeds if name == "probe" else args.rival_seeds)
                for seed in seeds:
                    rates = args.initial if seed == 0 else args.initial[:1]
                    for rate in rates if start == "any" else [DEFAULTS[optimizer]]:
                        yield Case(name, workload, optimizer, rate, seed, args.scale)


def references(scale: str) -> dict[str, Any]:
    """Cells of the reference, by workload and optimizer."""
    path = HERE / "results" / f"lr_reference_{scale}.json"
    found: dict[str, Any] = json.loads(path.read_text())["cells"]
    return found


def lost(key: str, loss: float, cells: dict[str, Any]) -> float:
    """Share of the achievable improvement that was lost; infinite where it diverged.

    A method with an optimizer of its own is held against the best of the seven.
    """
    method, workload, optimizer, *_ = key.split("/")
    known = cells[workload]
    cell = next(iter(known.values())) if METHODS[method].start == "own" else known[optimizer]
    reference = cell["reference"]
    if METHODS[method].start == "own":
        reference = min(each["reference"] for each in known.values())
    share = (loss - reference) / (cell["initial"] - reference)
    return share if math.isfinite(share) else math.inf


def summary(losses: list[float]) -> dict[str, float]:
    """Median, 90th percentile, worst, and how many ended above where they began."""
    ordered = sorted(losses)
    return {
        "runs": len(ordered),
        "median": round(100 * statistics.median(ordered), 2),
        "p90": round(100 * ordered[min(math.ceil(0.9 * len(ordered)), len(ordered)) - 1], 2),
        "worst": round(100 * ordered[-1], 2),
        "diverged": sum(each > 1 for each in ordered),
    }


def table(found: dict[str, float], cells: dict[str, Any]) -> dict[str, Any]:
    """For each method: all runs, those of development and of test workloads, and each cell."""
    rows: dict[str, Any] = {}
    for method in METHODS:
        own = {
            key: lost(key, x, cells)
            for key, x in once(found).items()
            if key.split("/")[0] == method
        }
        if not own:
            continue

        def part(wanted: Callable[[list[str]], bool], own: dict[str, float] = own) -> list[float]:
            return [x for key, x in own.items() if wanted(key.split("/"))]

        rows[method] = {"all": summary(list(own.values()))}
        for name, development in (("development", True), ("test", False)):
            chosen = part(lambda k, d=development: WORKLOADS[k[1]].development == d)
            if chosen:
                rows[method][name] = summary(chosen)
        pairs = sorted({tuple(key.split("/")[1:3]) for key in own})
        rows[method]["cells"] = {
            "/".join(pair): summary(part(lambda k, pair=pair: tuple(k[1:3]) == pair))
            for pair in pairs
        }
    return rows


def not_alike(found: dict[str, float]) -> list[str]:
    """Cells of the probe whose first seed ends differently from different rates."""
    ends: dict[str, set[float]] = {}
    for key, loss in found.items():
        method, workload, optimizer, _, seed = key.split("/")
        if METHODS[method].start == "any" and seed == "0":
            ends.setdefault(f"{workload}/{optimizer}", set()).add(loss)
    return sorted(cell for cell, losses in ends.items() if len(losses) > 1)


def once(found: dict[str, float]) -> dict[str, float]:
    """Each seed of a cell once: runs from several rates that ended alike are one run."""
    kept: dict[tuple[str, ...], str] = {}
    for key, loss in found.items():
        method, workload, optimizer, _, seed = key.split("/")
        alike = (method, workload, optimizer, seed, f"{loss!r}")
        kept.setdefault(alike, key)
    return {key: found[key] for key in kept.values()}


def show(rows: dict[str, Any]) -> None:
    """The table, for people."""
    print(f"{'method':22}{'runs':>6}{'median':>9}{'p90':>9}{'worst':>9}{'diverged':>9}")
    for method, row in rows.items():
        each = row["all"]
        figures = "".join(f"{each[name]:9.1f}" for name in ("median", "p90", "worst"))
        print(f"{method:22}{each['runs']:6d}{figures}{each['diverged']:9d}", flush=True)


def main() -> None:
    args = arguments()
    cells = references(args.scale)
    wanted = {case.key: case for case in cases(args, cells)}
    kept = json.loads(args.cache.read_text()) if args.cache and args.cache.exists() else {}
    found: dict[str, float] = {key: x for key, x in kept.items() if key in wanted}
    todo = [case for key, case in wanted.items() if key not in found]
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for at, (key, loss) in enumerate(pool.imap_unordered(run, todo, chunksize=8), 1):
            found[key] = loss
            if at % 100 == 0 or at == len(todo):
                seconds = time.perf_counter() - began
                print(f"{at}/{len(todo)} runs, {seconds:.0f} s", flush=True)
                if args.cache:
                    args.cache.write_text(json.dumps(kept | found))
    apart = not_alike(found)
    print(f"cells in which the rate at the start changed the end: {len(apart)} {apart[:5]}")
    rows = table(found, cells)
    show(rows)
    if not args.smoke and not args.dry:
        name = f"lr_basin_{args.scale}"
        figures = {
            "initial_rates": args.initial,
            "cells_that_depend_on_the_initial_rate": apart,
            "percent_lost": rows,
        }
        write_result(name, figures, script="lr_basin")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", choices=("short", "long"), default="short")
    parser.add_argument("--methods", type=_names(METHODS), default=list(METHODS))
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--optimizers", type=_names(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--initial", type=_numbers, default=list(INITIAL))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rival-seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="file of finished runs, to go on with")
    parser.add_argument("--dry", action="store_true", help="write no result")
    parser.add_argument("--smoke", action="store_true", help="a few runs only")
    args = parser.parse_args()
    if args.smoke:
        args.workloads, args.optimizers = args.workloads[:1], args.optimizers[:2]
        args.seeds, args.initial = 1, args.initial[:1]
    return args


def _names(known: dict[str, Any]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: there are {', '.join(known)}")
        return names

    return read


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
