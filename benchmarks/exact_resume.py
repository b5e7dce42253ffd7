"""Does a run that is killed at a random moment end with the same bits as one that is not?

    python benchmarks/exact_resume.py

A run of ``paceline fit`` is killed with SIGKILL at a random moment (one time in three
while it writes a transaction), resumed, and killed again now and then, until it ends. Its
``model.safetensors`` is then compared with that of a run that nobody touched.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import write_result

RECIPES = {
    "images, AdamW, averaging, dropout": ["digits", "--steps", "240"],
    "images, momentum, accumulation, plateau": [
        "digits", "--steps", "160", "--set", "optimizer.name=sgd", "--set", "optimizer.lr=0.02",
        "--set", "optimizer.momentum=0.9", "--set", "loop.accumulate=2",
        "--set", "controller.name=reduce_on_plateau", "--set", "loop.clip=1.0",
    ],
}  # fmt: skip
COMMON = ["--no-baselines", "--quiet", "--set", "loop.save_seconds=0.2", "--set", "model.width=8"]


def command(recipe: list[str], out: Path, *, resume: bool) -> list[str]:
    """The command line of one sitting."""
    ending = ["--resume"] if resume else []
    return [sys.executable, "-m", "paceline", "fit", *recipe, *COMMON, "--out", str(out), *ending]


def digest(out: Path) -> str:
    """Of the weights."""
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def untouched(recipe: list[str], out: Path) -> tuple[str, float]:
    """The weights of a run that nobody kills, and how long it took."""
    began = time.monotonic()
    subprocess.run(command(recipe, out, resume=False), check=True)
    return digest(out), time.monotonic() - began


def sitting(
    process: subprocess.Popen[bytes], out: Path, chance: random.Random, longest: float
) -> str:
    """Waits for a moment to kill the process; says which kind it was, or that it ended."""
    in_a_save = chance.random() < 1 / 3
    begins = time.monotonic() + chance.uniform(0.2, 1.0) * longest
    while process.poll() is None:
        due = time.monotonic() >= begins
        writing = due and in_a_save and any((out / "checkpoints").glob("*.part"))
        if writing or (due and not in_a_save) or time.monotonic() > begins + longest:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return "during a save" if writing else "between"
        time.sleep(0.0002)
    return "ended"


def killed(recipe: list[str], out: Path, chance: random.Random, longest: float) -> list[str]:
    """A run that is killed once or more; gives the moments at which it was."""
    moments: list[str] = []
    while True:
        process = subprocess.Popen(command(recipe, out, resume=bool(moments)))
        moment = sitting(process, out, chance, longest) if len(moments) < 2 else "left"
        process.wait()
        if moment in {"ended", "left"}:
            if process.returncode:
                raise RuntimeError(f"the run ended with {process.returncode}")
            return moments
        moments.append(moment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--smoke", action="store_true", help="two kills, to see that it runs")
    options = parser.parse_args()
    wanted = 2 if options.smoke else options.kills
    chance = random.Random(0)
    moments: dict[str, int] = {}
    identical = runs = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        truth = {
            name: untouched(recipe, place / f"untouched-{number}")
            for number, (name, recipe) in enumerate(RECIPES.items())
        }
        while sum(moments.values()) < wanted:
            name = list(RECIPES)[runs % len(RECIPES)]
            out = place / f"killed-{runs}"
            found = killed(RECIPES[name], out, chance, truth[name][1])
            if found:
                runs += 1
                identical += digest(out) == truth[name][0]
                for moment in found:
                    moments[moment] = moments.get(moment, 0) + 1
            print(f"{sum(moments.values())} kills, {identical} of {runs} killed runs identical")
    figures = {"kills": moments, "killed_runs": runs, "identical": identical}
    print(figures)
    if not options.smoke:
        write_result(__file__, figures)
    sys.exit(0 if identical == runs else 1)


if __name__ == "__main__":
    main()
