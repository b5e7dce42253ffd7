"""Does a run that is killed at a random moment end with the same bits as one that is not?

    python benchmarks/exact_resume.py

A run of ``paceline fit`` is killed with SIGKILL at a random moment (one time in three
while it writes a transaction), resumed, and killed again now and then, until it ends. Its
``model.safetensors`` is then compared with that of a run that nobody touched. Every sitting
is a process of its own, forked from one that has imported torch, with one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from harness import write_result

from paceline.cli.main import run
from paceline.jobs import fit  # noqa: F401 # imported before the fork

FORK = multiprocessing.get_context("fork")

RECIPES = {
    "images, AdamW, averaging, dropout": ["digits", "--steps", "240"],
    "images, momentum, accumulation, plateau": [
        "digits", "--steps", "160", "--set", "optimizer.name=sgd", "--set", "optimizer.lr=0.02",
        "--set", "optimizer.momentum=0.9", "--set", "loop.accumulate=2",
        "--set", "controller.name=reduce_on_plateau", "--set", "loop.clip=1.0",
    ],
}  # fmt: skip
COMMON = ["--no-baselines", "--quiet", "--set", "loop.save_seconds=0.2", "--set", "model.width=8"]


def sit_down(recipe: list[str], out: Path, *, resume: bool) -> BaseProcess:
    """Starts one sitting of the command line."""
    words = ["fit", *recipe, *COMMON, "--out", str(out), *(["--resume"] if resume else [])]
    process = FORK.Process(target=lambda: sys.exit(run(words)))
    process.start()
    return process


def digest(out: Path) -> str:
    """Of the weights."""
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def untouched(recipe: list[str], out: Path) -> tuple[str, float]:
    """The weights of a run that nobody kills, and how long it took."""
    began = time.monotonic()
    process = sit_down(recipe, out, resume=False)
    process.join()
    return digest(out), time.monotonic() - began


def end(process: BaseProcess, out: Path, chance: random.Random, longest: float) -> str:
    """Waits for a moment to kill the process; says which kind it was, or that it ended."""
    in_a_save = chance.random() < 1 / 3
    due = time.monotonic() + chance.uniform(0.02, 1.0) * longest
    while process.is_alive():
        now = time.monotonic()
        writing = any((out / "checkpoints").glob("*.part"))
        if now >= due and (writing or not in_a_save or now > due + longest):
            process.kill()
            process.join()
            return "during a save" if writing else "between"
        time.sleep(0.0002)
    return "ended"


def killed(recipe: list[str], out: Path, chance: random.Random, longest: float) -> list[str]:
    """A run that is killed up to three times; gives the moments at which it was."""
    moments: list[str] = []
    while True:
        process = sit_down(recipe, out, resume=bool(moments))
        moment = end(process, out, chance, longest) if len(moments) < 3 else "left"
        process.join()
        if moment in {"ended", "left"}:
            if process.exitcode:
                raise RuntimeError(f"the run ended with {process.exitcode}")
            return moments
        moments.append(moment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--smoke", action="store_true", help="two kills, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = 2 if options.smoke else options.kills
    chance = random.Random(0)
    moments: dict[str, int] = {}
    identical = runs = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        truth = {
            name: untouched(recipe, place / f"untouched-{number}")
            for number, (name, recipe) in enumerate(RECIPES.items())
        }
        while sum(moments.values()) < wanted:
            name = list(RECIPES)[runs % len(RECIPES)]
            out = place / f"killed-{tried}"
            tried += 1
            found = killed(RECIPES[name], out, chance, truth[name][1])
            if found:
                runs += 1
                identical += digest(out) == truth[name][0]
                for moment in found:
                    moments[moment] = moments.get(moment, 0) + 1
            print(
                f"{sum(moments.values())} kills, {identical} of {runs} killed runs identical",
                flush=True,
            )
    figures = {"kills": moments, "killed_runs": runs, "identical": identical}
    print(figures)
    if not options.smoke:
        write_result(__file__, figures)
    sys.exit(0 if identical == runs else 1)


if __name__ == "__main__":
    main()
