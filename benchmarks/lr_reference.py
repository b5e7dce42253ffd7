"""What does the best learning rate with the best schedule reach on each workload?

    python benchmarks/lr_reference.py --scale short
    python benchmarks/lr_reference.py --scale long        # after the short one
    python benchmarks/lr_reference.py --check             # the fast way against a plain loop

For each workload × optimizer: the least mean final validation loss over three seeds (two at the
long scale), among half-decade rates × {constant, linear, cosine, and the last two with a
warm-up of 5 %}. The warmed linear schedule is tried at 13 rates, the others within a decade of
its best (at the long scale all of them at four rates about the short one's best); whatever
proves best must have worse neighbours on both sides, or the window grows. Cells that are in
the file are skipped.

All points of a cell are trained at once: their parameters are the rows of one matrix. A row's
rate multiplies the step that torch's own optimizer would take at rate 1, which is right for
every optimizer here because their steps are proportional to the rate.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from harness import HERE, write_result
from torch import Tensor
from torch.func import functional_call, vmap
from workloads import OPTIMIZERS, WORKLOADS, Batch, Workload

SEEDS = {"short": (0, 1, 2), "long": (0, 1)}
DECAY = {"adamw": 0.01}
"""Decoupled weight decay at rate 1 (torch's default): the one part of a step that is not the
optimizer's displacement from zero."""
CENTRE = {"sgd": -1.0, "momentum": -2.0, "adagrad": -1.5, "adadelta": 0.5}
"""log10 of the middle of the first window; -2.5 for the others."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda u: 1.0,
    "linear": lambda u: 1 - u,
    "cosine": lambda u: 0.5 * (1 + math.cos(math.pi * u)),
    "warm_linear": lambda u: min(1.0, (u + 1e-3) / 0.05) * (1 - u),
    "warm_cosine": lambda u: min(1.0, (u + 1e-3) / 0.05) * 0.5 * (1 + math.cos(math.pi * u)),
}
"""Share of the budget spent → factor of the rate."""

Point = tuple[str, int]
"""A schedule, and a rate as a whole number of half-decades."""


class Stack:
    """Many copies of a workload's model as the rows of one matrix."""

    def __init__(self, workload: Workload, seeds: list[int]) -> None:
        self.workload = workload
        self.module = workload.model(0)
        models = {seed: workload.model(seed) for seed in set(seeds)}
        flat = {
            seed: torch.cat([p.detach().flatten() for p in model.parameters()])
            for seed, model in models.items()
        }
        self.parameters = torch.stack([flat[seed] for seed in seeds]).requires_grad_()
        self.shapes = {name: p.shape for name, p in self.module.named_parameters()}
        self.sizes = [p.numel() for p in self.module.parameters()]
        self.buffers = {
            name: torch.stack([dict(models[seed].named_buffers())[name] for seed in seeds])
            for name, _ in self.module.named_buffers()
        }

    def losses(self, batch: Batch, *, shared: bool = False) -> Tensor:
        """Each row's loss on its own batch, or all on one ``shared`` batch."""

        def one(parameters: Any, buffers: Any, x: Tensor, y: Tensor) -> Tensor:
            model = lambda x: functional_call(self.module, (parameters, buffers), (x,))  # noqa: E731
            return self.workload.loss(model, (x, y))

        rows = len(self.parameters)
        pieces = self.parameters.split(self.sizes, dim=1)
        named = {
            name: piece.view(rows, *shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }
        data = None if shared else 0
        mapped: Callable[..., Tensor] = vmap(one, in_dims=(0, 0, data, data))
        return mapped(named, self.buffers, *batch)

    def gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """``losses (rows,)`` and their gradients ``(rows, parameters)``."""
        losses = self.losses(batch)
        (gradient,) = torch.autograd.grad(losses.sum(), self.parameters)
        return losses.detach(), gradient

    def validations(self) -> list[float]:
        """Each row's validation loss; not a number becomes infinite."""
        self.module.eval()
        with torch.no_grad():
            losses = self.losses(self.workload.held_out(), shared=True)
        self.module.train()
        return losses.nan_to_num(nan=math.inf).tolist()


@cache
def _batches(workload: str, steps: int, seed: int) -> list[Batch]:
    return [WORKLOADS[workload].batch(seed, index, steps) for index in range(steps)]


def train(
    workload: Workload, optimizer: str, points: list[Point], steps: int, seeds: tuple[int, ...]
) -> dict[Point, Any]:
    """Final validation losses, one a seed, of each point."""
    rows = [(point, seed) for point in points for seed in seeds]
    stack = Stack(workload, [seed for _, seed in rows])
    rates = torch.tensor(
        [
            [10 ** (half / 2) * SCHEDULES[schedule](step / steps) for (schedule, half), _ in rows]
            for step in range(steps)
        ]
    )
    which = torch.tensor([seeds.index(seed) for _, seed in rows])
    batches = [_batches(workload.name, steps, seed) for seed in seeds]
    displacement = torch.zeros_like(stack.parameters)
    stepper = OPTIMIZERS[optimizer]([displacement], 1.0)  # type: ignore[list-item]
    for step in range(steps):
        x, y = (torch.stack(part)[which] for part in zip(*(b[step] for b in batches), strict=True))
        _, displacement.grad = stack.gradient((x, y))
        displacement.zero_()  # the displacement from zero is exact, and free of weight decay
        stepper.step()
        rate = rates[step, :, None]
        with torch.no_grad():
            stack.parameters.mul_(1 - rate * DECAY.get(optimizer, 0.0)).addcmul_(rate, displacement)
    ends = stack.validations()
    return {point: ends[len(seeds) * i :][: len(seeds)] for i, point in enumerate(points)}


def plain(workload: Workload, optimizer: str, point: Point, steps: int, seed: int) -> float:
    """The same for one seed, as anyone would write it."""
    schedule, half = point
    model = workload.model(seed)
    stepper = OPTIMIZERS[optimizer](model.parameters(), 1.0)
    for step, batch in zip(range(steps), workload.batches(seed, steps), strict=False):
        stepper.param_groups[0]["lr"] = 10 ** (half / 2) * SCHEDULES[schedule](step / steps)
        stepper.zero_grad()
        workload.loss(model, batch).backward()  # type: ignore[no-untyped-call]
        stepper.step()
    return workload.validation(model)


def search(
    workload: Workload, optimizer: str, scale: str, middle: int, reach: int
) -> dict[Point, Any]:
    """Tries points until the best of each schedule has worse neighbours on both sides."""
    steps = workload.steps if scale == "short" else workload.long_steps
    found: dict[Point, list[float]] = {}

    def best(schedule: str) -> int:
        halves = [half for name, half in found if name == schedule]
        return min(halves, key=lambda half: statistics.fmean(found[schedule, half]))

    wanted = {("warm_linear", half) for half in range(middle - reach, middle + reach + 1)}
    if scale == "long":
        wanted = {(name, middle + by) for name in SCHEDULES for by in (-2, -1, 0, 1)}
    while wanted:
        found |= train(workload, optimizer, sorted(wanted), steps, SEEDS[scale])
        around = best("warm_linear")
        wanted = {(name, around + by) for name in SCHEDULES for by in (-2, -1, 0, 1, 2)}
        if len(found) > 2 * reach + 1:
            wanted = {(name, best(name) + by) for name in SCHEDULES for by in (-1, 1)}
        wanted -= set(found)
    return found


def cell(workload: Workload, optimizer: str, scale: str, short: dict[str, Any]) -> dict[str, Any]:
    """One workload × optimizer: the reference and the whole grid."""
    middle, reach = round(2 * CENTRE.get(optimizer, -2.5)), 6
    if scale == "long":
        middle, reach = short[workload.name][optimizer]["half_decades"], 2
    began = time.monotonic()
    found = search(workload, optimizer, scale, middle, reach)
    best = min(found, key=lambda point: statistics.fmean(found[point]))
    initial = statistics.fmean(workload.validation(workload.model(seed)) for seed in SEEDS[scale])
    grid = {
        name: {
            str(half): min(statistics.median(found[schedule, half]), 1e30)
            for schedule, half in sorted(found)
            if schedule == name
        }
        for name in SCHEDULES
    }
    return {
        "reference": statistics.fmean(found[best]),
        "initial": initial,
        "schedule": best[0],
        "rate": 10 ** (best[1] / 2),
        "half_decades": best[1],
        "seeds": found[best],
        "steps": workload.steps if scale == "short" else workload.long_steps,
        "median_by_half_decade": grid,
        "seconds": time.monotonic() - began,
    }


def written(scale: str) -> dict[str, dict[str, Any]]:
    """The finished cells, ``workload → optimizer → figures``."""
    path = HERE / "results" / f"lr_reference_{scale}.json"
    if not path.exists():
        return {}
    cells: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def check(names: Iterable[str]) -> None:
    """Prints the fast way beside the plain loop; they differ by rounding only."""
    for i, name in enumerate(names):
        workload = WORKLOADS[name]
        optimizer = list(OPTIMIZERS)[i % len(OPTIMIZERS)]
        point = ("warm_cosine", round(2 * CENTRE.get(optimizer, -2.5)) - 1)
        fast = train(workload, optimizer, [("constant", point[1]), point], 60, (0, 1))[point][1]
        slow = plain(workload, optimizer, point, 60, 1)
        print(f"{name:22} {optimizer:9} {fast:.6g} {slow:.6g}", flush=True)
        if abs(fast - slow) > 1e-3 * abs(slow):
            raise SystemExit(f"error: the two ways disagree on {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=("short", "long"), default="short")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--check", action="store_true", help="against a plain loop, then stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if options.check:
        return check(options.workloads)
    short = written("short")
    for name in options.workloads:
        for optimizer in options.optimizers:
            cells = written(options.scale)
            if optimizer in cells.get(name, {}):
                continue
            figures = cell(WORKLOADS[name], optimizer, options.scale, short)
            print(
                f"{name:22} {optimizer:9} {figures['initial']:.4g} → {figures['reference']:.4g}"
                f" {figures['schedule']} at {figures['rate']:.3g}, {figures['seconds']:.0f} s",
                flush=True,
            )
            cells.setdefault(name, {})[optimizer] = figures
            write_result(f"lr_reference_{options.scale}", {"cells": cells}, script="lr_reference")
        _batches.cache_clear()
    return None


if __name__ == "__main__":
    main()
