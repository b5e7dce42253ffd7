"""What do the defaults reach on Adult and on California housing?

    python benchmarks/tabular.py

Adult: the published test part; the seed chooses validation examples, weights and order.
California housing: 80 % for training (validation taken from it) and 20 % for the test,
divided anew by each seed; RMSE in units of 100,000 dollars. Five seeds. Beside it in the
same run, on the same division: scikit-learn's histogram gradient boosting with its
defaults and tuned (the best of four
random settings by 3-fold cross-validation).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import data_folder, write_result
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import RandomizedSearchCV

import paceline
from paceline.core.progress import Silence
from paceline.core.recipe import read_recipe
from paceline.jobs.prepare import prepare

GRID = {
    "learning_rate": [0.03, 0.06, 0.1, 0.2],
    "max_leaf_nodes": [15, 31, 63],
    "max_iter": [150, 300, 600],
    "min_samples_leaf": [10, 20, 40],
}
CASES = {
    "adult": ("adult", "column_15", "accuracy", 1.0),
    "california": ("california-housing/housing.csv", "median_house_value", "rmse", 1e5),
}


def ours(place: Path, target: str, seed: int, steps: int | None) -> dict[str, float]:
    """Test metrics of ``paceline.fit`` with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = paceline.fit(
            str(place), target=target, seed=seed, steps=steps, out=f"{folder}/run", baselines=False
        )
        return run.test | {"cpu_seconds": time.process_time() - began}


def boosting(place: Path, target: str, seed: int, tries: int) -> dict[str, float]:
    """The same of boosted trees: the defaults, or the best of some random settings."""
    recipe = read_recipe(overrides={"seed": seed, "target": target})
    prepared = prepare(str(place), recipe, Silence())
    task, parts = prepared.task, prepared.parts
    few = list(task.categorical_features())
    regression = task.goal.name == "regression"
    kind: Any = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    method = kind(categorical_features=few or None, random_state=seed)
    if tries:
        method = RandomizedSearchCV(method, GRID, n_iter=tries, cv=3, random_state=seed)
    began = time.process_time()
    method.fit(task.features(parts.train), parts.train.targets)
    given = method.predict(task.features(parts.test))
    seconds = time.process_time() - began
    truth = parts.test.targets
    if regression:
        return {"rmse": float(((given - truth) ** 2).mean() ** 0.5), "cpu_seconds": seconds}
    return {"accuracy": float((given == truth).mean()), "cpu_seconds": seconds}


def measure(name: str, seeds: list[int], *, steps: int | None, tries: int) -> dict[str, Any]:
    """All rivals on one case."""
    relative, target, metric, unit = CASES[name]
    place = data_folder(None, relative)
    rows = {
        "paceline": [ours(place, target, seed, steps) for seed in seeds],
        "boosting, defaults": [boosting(place, target, seed, 0) for seed in seeds],
        "boosting, tuned": [boosting(place, target, seed, tries) for seed in seeds],
    }
    figures: dict[str, Any] = {}
    for rival, row in rows.items():
        reached = [each[metric] / unit for each in row]
        cpu = statistics.median(each["cpu_seconds"] for each in row)
        figures[rival] = {
            f"{metric}_median": statistics.median(reached),
            metric: reached,
            "cpu_seconds_median": cpu,
        }
        print(
            f"{name:10} {rival:19} {metric} {statistics.median(reached):.4f}"
            f" ({min(reached):.4f}…{max(reached):.4f}), {cpu:.0f} CPU s",
            flush=True,
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a few steps")
    parser.add_argument("case", nargs="?", choices=CASES, help="one of the two; both if left out")
    options = parser.parse_args()
    smoke = options.smoke
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", "2")
    seeds = [0] if smoke else [0, 1, 2, 3, 4]
    steps, tries = (5, 1) if smoke else (None, 4)
    for name in [options.case] if options.case else CASES:
        figures = measure(name, seeds, steps=steps, tries=tries)
        if not smoke:
            write_result(f"tabular_{name}", {"seeds": seeds} | figures, script="tabular")


if __name__ == "__main__":
    main()
