"""What do small networks reach on MNIST, a plain MLP, and colour pictures on two cores?

    python benchmarks/tasks_images.py mnist
    python benchmarks/tasks_images.py mlp
    python benchmarks/tasks_images.py cifar10 --seeds 1

``mnist``: a convolutional network of under 100,000 parameters, three seeds. ``mlp``: the
network of many articles, 784-256-10 with Adagrad and 10 epochs, no learning rate given.
``cifar10``: the JPEG copy of CIFAR-10, 24 minutes from the start of the process to its end,
which covers unpacking, decoding, training and testing. Settings were chosen on validation
examples, or taken from the network's reference (docs/tasks.md says what was seen of the test).
``--go-on`` keeps the seeds that were measured with the same settings before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import HERE, commit, data_folder, write_result
from safetensors import safe_open

MILD = ["--set", "task.shift=0.04", "--set", "task.turn=6", "--set", "task.zoom=0.05"]
CASES: dict[str, tuple[str, float, list[str]]] = {
    "mnist": (
        "mnist",
        0.994,
        ["--model", "conv", "--set", "model.width=14", "--set", "model.depth=2"],
    ),
    "mlp": (
        "mnist",
        0.986,
        ["--model", "mlp", "--set", "model.depth=1", "--set", "model.width=256",
         "--set", "optimizer.name=adagrad", *MILD, "--epochs", "10",
         "--set", "data.validation=0.05"],
    ),
    "cifar10": (
        "cifar10",
        0.90,
        ["--model", "airbench", "--time", "24m", "--set", "model.views=6",
         "--set", "task.smoothing=0.2", "--set", "task.turn=0", "--set", "task.zoom=0",
         "--set", "task.shift=0.0625", "--set", "data.validation=0.05",
         "--set", "loop.validations=8"],
    ),
}  # fmt: skip


def measured(case: str, data: Path, seed: int, *, smoke: bool) -> dict[str, Any]:
    """One run of the command line."""
    _, _, settings = CASES[case]
    place, held_out = [str(data)], []
    if case == "cifar10":
        place = [str(data / "cifar10-train-jpg.tar.xz")]
        held_out = ["--test-data", str(data / "cifar10-test-jpg.tar.xz")]
    if smoke:
        settings = [*(each for each in settings if each not in ("--time", "24m")), "--steps", "4"]
        settings = [each for each in settings if each not in ("--epochs", "10")]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "paceline", "fit", *place, *held_out, *settings,
            "--seed", str(seed), "--no-baselines", "--out", f"{folder}/run", "--json",
        ]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        seconds = time.monotonic() - began
        parameters = _trained(Path(folder) / "run" / "model.safetensors")
    result = json.loads(done.stdout.splitlines()[-1])
    return {
        "seed": seed,
        "commit": commit(),
        "accuracy": result["test"]["accuracy"],
        "validation": result["validation"]["accuracy"],
        "steps": result["steps"],
        "parameters": parameters,
        "wall_seconds_of_the_whole_process": seconds,
        "cpu_seconds": result["cpu_seconds"],
    }


def before(case: str, settings: str) -> list[dict[str, Any]]:
    """The runs of the results file, if they had the same settings."""
    file = HERE / "results" / f"tasks_images_{case}.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if known.get("settings") != settings:
        return []
    return [{"commit": known["commit"]} | each for each in known["runs"]]


def _trained(file: Path) -> int:
    """Numbers in the weights, but for running statistics."""
    with safe_open(file, "pt") as weights:
        names = [each for each in weights.keys() if not each.endswith(_NOT_TRAINED)]  # noqa: SIM118 - no mapping
        shapes = [weights.get_slice(each).get_shape() for each in names]
    total = 0
    for shape in shapes:
        entries = 1
        for size in shape:
            entries *= size
        total += entries
    return total


_NOT_TRAINED = ("running_mean", "running_var", "num_batches_tracked", "mean", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=list(CASES), nargs="?", default="mnist")
    parser.add_argument("--data", help="the folder with the files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--go-on", action="store_true", help="keep the seeds measured before")
    parser.add_argument("--smoke", action="store_true", help="one seed, four steps")
    options = parser.parse_args()
    name, wanted, settings = CASES[options.case]
    data = data_folder(options.data, name)
    seeds = range(1 if options.smoke else options.seeds)
    runs = before(options.case, " ".join(settings)) if options.go_on else []
    for seed in seeds[len(runs) :]:
        runs.append(measured(options.case, data, seed, smoke=options.smoke))
        print(runs[-1], flush=True)
    figures = {
        "settings": " ".join(settings),
        "wanted": wanted,
        "accuracy_median": statistics.median(each["accuracy"] for each in runs),
        "runs": runs,
    }
    if not options.smoke:
        write_result(f"tasks_images_{options.case}", figures, script="tasks_images")


if __name__ == "__main__":
    main()
