"""Does the default for ratings err less than tuned factorisations on MovieLens (small)?

    python benchmarks/tasks_ratings.py

Five random divisions, four fifths to learn from. Beside ours, on the same divisions: the
biases, and scikit-surprise's SVD and SVD++, each as it comes and with the settings that are
best on a tenth of the first division's training ratings, trained on all of each division's.
Ours is trained on all of them too, for the epochs that it takes by default, with nothing tuned.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import pandas as pd
from harness import data_folder, write_result

import paceline

GRIDS = {
    "svd": {"n_factors": [20, 100], "n_epochs": [40, 80], "reg_all": [0.06, 0.1]},
    "svd_plus_plus": {"n_factors": [20], "n_epochs": [40, 80], "reg_all": [0.06, 0.1]},
}
_CHOSEN: dict[str, dict[str, Any]] = {}


def measure(seed: int, *, smoke: bool = False, given: str | None = None) -> dict[str, Any]:
    """RMSE and CPU seconds of each on one division."""
    ratings = pd.read_csv(data_folder(given, "movielens-small") / "ratings.csv")
    if smoke:
        ratings = ratings.iloc[:5000]
    order = np.random.default_rng(seed).permutation(len(ratings))
    held = len(ratings) // 5
    test, train = ratings.iloc[order[:held]], ratings.iloc[order[held:]]
    return {"paceline": ours(train, test, seed, smoke)} | rivals(train, test, seed, smoke)


def ours(train: Any, test: Any, seed: int, smoke: bool) -> dict[str, float]:
    """The default, with no validation part to choose weights by."""
    settings = {"data.validation": 0.0, "data.test": 0.0, "task.split": "random"}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = paceline.fit(
            train,
            seed=seed,
            steps=20 if smoke else None,
            settings=settings,
            baselines=False,
            out=f"{folder}/run",
        )
        reached = run.evaluate(test)
    return {"rmse": reached["rmse"], "cpu_seconds": time.process_time() - began}


def rivals(train: Any, test: Any, seed: int, smoke: bool) -> dict[str, Any]:
    """Those of scikit-surprise, plain and tuned."""
    from surprise import SVD, BaselineOnly, SVDpp

    made = {"biases": lambda **_: BaselineOnly(verbose=False), "svd": SVD, "svd_plus_plus": SVDpp}
    found: dict[str, Any] = {}
    for name, kind in made.items():
        if smoke and name == "svd_plus_plus":
            continue
        chance = {} if name == "biases" else {"random_state": seed}
        found[name] = _reached(kind(**chance), train, test)
        if name in GRIDS:
            began = time.process_time()
            if name not in _CHOSEN:
                _CHOSEN[name] = _best(kind, GRIDS[name], train, seed, smoke)
            best = _CHOSEN[name]
            tuned = _reached(kind(**best, random_state=seed), train, test)
            tuned["cpu_seconds"] = time.process_time() - began
            found[f"{name}_tuned"] = tuned | {"settings": best}
    return found


def _best(kind: Any, grid: Any, train: Any, seed: int, smoke: bool) -> dict[str, Any]:
    """The settings that are best on a tenth of the training ratings."""
    held = len(train) // 10
    tried = [dict(zip(grid, each, strict=True)) for each in itertools.product(*grid.values())]
    errors = [
        _reached(kind(**each, random_state=seed), train.iloc[held:], train.iloc[:held])["rmse"]
        for each in tried[: 1 if smoke else None]
    ]
    return tried[int(np.argmin(errors))]


def _reached(method: Any, train: Any, test: Any) -> dict[str, Any]:
    from surprise import Dataset, Reader, accuracy

    columns = ["userId", "movieId", "rating"]
    began = time.process_time()
    learnt = Dataset.load_from_df(train[columns], Reader(rating_scale=(0.5, 5)))
    method.fit(learnt.build_full_trainset())
    said = method.test(list(test[columns].itertuples(index=False, name=None)))
    error = float(accuracy.rmse(said, verbose=False))
    return {"rmse": error, "cpu_seconds": time.process_time() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a few steps")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", help="the folder with ratings.csv")
    given = parser.parse_args()
    seeds = list(range(1, 2 if given.smoke else 1 + given.seeds))  # nought was looked at
    rows = []
    for seed in seeds:
        rows.append(measure(seed, smoke=given.smoke, given=given.data))
        print(seed, {name: round(each["rmse"], 4) for name, each in rows[-1].items()}, flush=True)
    figures = {}
    for name in rows[0]:
        reached = [row[name]["rmse"] for row in rows]
        figures[name] = {
            "rmse_median": statistics.median(reached),
            "rmse": reached,
            "cpu_seconds": [row[name]["cpu_seconds"] for row in rows],
        }
        print(
            f"{name:20} RMSE {statistics.median(reached):.4f}"
            f" ({min(reached):.4f}…{max(reached):.4f})"
        )
    if not given.smoke:
        write_result(__file__, {"seeds": seeds} | figures)


if __name__ == "__main__":
    main()
