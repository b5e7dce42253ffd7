"""What does the demo reach on scikit-learn's digits, and for how much work?

    python benchmarks/digits.py

Five seeds, defaults, each seed with its own division. Beside it in the same run, on the
same division: a support vector classifier, which a good engineer would try first, with C
and gamma chosen by cross-validation on the training part. CPU seconds count everything
after imports: reading, training, validating, testing, saving; the plain baselines that
are printed beside the result are counted apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

from harness import write_result
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import paceline
from paceline.core.progress import Silence
from paceline.core.recipe import read_recipe
from paceline.jobs.prepare import prepare

GRID = {"svc__C": [1, 3, 10, 30], "svc__gamma": [0.003, 0.01, 0.03]}


def ours(seed: int, steps: int | None) -> dict[str, float]:
    """Test accuracy and CPU seconds of ``paceline.fit``."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = paceline.fit("digits", seed=seed, steps=steps, out=f"{folder}/run", baselines=False)
        seconds = time.process_time() - began
        return {"accuracy": run.test["accuracy"], "cpu_seconds": seconds}


def svc(seed: int) -> dict[str, float]:
    """The same of a tuned support vector classifier, trained on the training part."""
    prepared = prepare("digits", read_recipe(overrides={"seed": seed}), Silence())
    parts, task = prepared.parts, prepared.task
    began = time.process_time()
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), GRID, cv=3)
    search.fit(task.features(parts.train), parts.train.targets)
    accuracy = search.score(task.features(parts.test), parts.test.targets)
    return {"accuracy": float(accuracy), "cpu_seconds": time.process_time() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a few steps")
    smoke = parser.parse_args().smoke
    seeds = [0] if smoke else [0, 1, 2, 3, 4]
    ours(99, 4)  # imports and first calls are not counted
    rows = {
        "paceline": [ours(seed, 20 if smoke else None) for seed in seeds],
        "svc": [svc(seed) for seed in seeds],
    }
    figures = {}
    for name, row in rows.items():
        reached = [each["accuracy"] for each in row]
        seconds = [each["cpu_seconds"] for each in row]
        figures[name] = {
            "accuracy_median": statistics.median(reached),
            "accuracy": reached,
            "cpu_seconds_median": statistics.median(seconds),
            "cpu_seconds": seconds,
        }
        print(
            f"{name:9} accuracy {statistics.median(reached):.4f}"
            f" ({min(reached):.4f}…{max(reached):.4f}),"
            f" {statistics.median(seconds):.1f} CPU s (at most {max(seconds):.1f})"
        )
    if not smoke:
        write_result(__file__, {"seeds": seeds} | figures)


if __name__ == "__main__":
    main()
