"""How much of what retraining gives does going on give, at a fifth of its steps?

    python benchmarks/tasks_stream.py

A stream that changes at half-time. digits: 700 pictures, then 700 others with the pixels in
another order, the rest for the test. adult: the younger half, then the older one, a fifth of
each for the test. Three seeds. Beside it in the same run: training from scratch on the new
data alone, with as many steps as its defaults say; ``learn`` has a fifth of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import SHARED_DATA, write_result
from sklearn.datasets import load_digits

import paceline

Parts = tuple[Any, Any, Any, Any, str | None]


def digits(seed: int) -> Parts:
    """Old, new, and a test of each: arrays ``(x, y)``."""
    data, random = load_digits(), np.random.default_rng(seed)
    x, order = data.images.astype(np.uint8)[:, None] * 15, random.permutation(len(data.target))
    moved = x.reshape(len(x), -1)[:, random.permutation(64)].reshape(x.shape)
    old, new, test = order[:700], order[700:1400], order[1400:]
    parts = ((x, old), (moved, new), (x, test), (moved, test))
    return (*((pictures[rows], data.target[rows]) for pictures, rows in parts), None)


def adult(seed: int) -> Parts:
    """The same as tables; ordered by age."""
    path = SHARED_DATA / "adult" / "adult-train.csv"
    table = pd.read_csv(path, skipinitialspace=True, header=None)
    table.columns = ["age", *(f"column {at}" for at in range(1, 14)), "income"]
    table = table.sample(frac=1, random_state=seed).sort_values("age", kind="stable")
    table = table.reset_index(drop=True)
    halves = table.iloc[: len(table) // 2], table.iloc[len(table) // 2 :]
    tests = [half.sample(frac=0.2, random_state=seed) for half in halves]
    old, new = (half.drop(test.index) for half, test in zip(halves, tests, strict=True))
    return old, new, *tests, "income"


def measure(seed: int, data: str = "digits", steps: int | None = None) -> dict[str, Any]:
    """Accuracies before and after, of going on and of training from scratch."""
    old, new, old_test, new_test, target = {"digits": digits, "adult": adult}[data](seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = _kept(old, folder)
        asked = {"target": target, "seed": seed, "baselines": False, "steps": steps}
        first = paceline.fit(place, out=folder / "first", **asked)
        later = first.learn(new, seed=seed, out=folder / "later")
        scratch = paceline.fit(new, out=folder / "scratch", **asked)
        return {
            "before": {"old": _accuracy(first, old_test), "new": _accuracy(first, new_test)},
            "after": {"old": _accuracy(later, old_test), "new": _accuracy(later, new_test)},
            "scratch_new": _accuracy(scratch, new_test),
            "steps": later.facts["result"]["steps"],
            "scratch_steps": scratch.facts["result"]["steps"],
            "moved": later.facts["data"]["moved"],
        }


def _kept(part: Any, folder: Path) -> Path:
    """As a file, so that old examples can be read again."""
    if isinstance(part, tuple):
        np.savez(folder / "old.npz", x=part[0], y=part[1])
        return folder / "old.npz"
    part.to_csv(folder / "old.csv", index=False)
    return folder / "old.csv"


def _accuracy(run: Any, part: Any) -> float:
    given = part if isinstance(part, tuple) else (part,)
    return float(run.evaluate(*given)["accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed of digits, a few steps")
    parser.add_argument("--data", nargs="+", default=["digits", "adult"])
    given = parser.parse_args()
    figures = {}
    for data in ["digits"] if given.smoke else given.data:
        seeds = [0] if given.smoke else [0, 1, 2]
        rows = [measure(seed, data, 30 if given.smoke else None) for seed in seeds]
        behind = [row["scratch_new"] - row["after"]["new"] for row in rows]
        forgotten = [row["before"]["old"] - row["after"]["old"] for row in rows]
        figures[data] = {
            "behind_scratch_median": statistics.median(behind),
            "forgotten_median": statistics.median(forgotten),
            "rows": rows,
        }
        print(data, figures[data])
    if not given.smoke:
        write_result(__file__, figures)


if __name__ == "__main__":
    main()
