"""Every example runs, and every benchmark runs its smoke version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# What benchmarks share, and the search for the reference, which takes hours and has no small form.
SHARED = {"harness", "faults", "workloads", "lr_reference", "teams", "torchft_rank"}
BENCHMARKS = sorted(file for file in (ROOT / "benchmarks").glob("*.py") if file.stem not in SHARED)
# The number after these words, and from where to where it must lie.
PRINTED = {
    "accumulation_amp": ("test accuracy", 0.85, 1.0),
    "dqn": ("mean return", 0.8, 1.0),
    "plain_loop": ("worst paced accuracy", 0.88, 1.0),
    "two_optimizers": ("radius", 1.7, 2.3),
}
NEEDS_DATA = {
    "do_no_harm": "fashion-mnist",
    "fashion_mnist": "fashion-mnist",
    "lr_basin": "fashion-mnist",
    "tabular": "adult",
    "tasks_audio": "spoken-digits",
    "tasks_images": "mnist",
    "tasks_language": "tinyshakespeare",
    "tasks_ratings": "movielens-small",
    "tasks_tagging": "ncbi-disease",
    "tasks_text": "sst2",
}
RIVALS = {  # what a benchmark compares with, from the extra `bench`, which tests do without
    "fault_gauntlet": ["lightning", "skorch"],
    "loop_overhead": ["lightning"],
    "tasks_ratings": ["surprise"],
}


def run(file: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(file), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def number_after(words: str, text: str) -> float:
    found = re.search(rf"{words} (-?[\d.]+)", text)
    assert found is not None, text
    return float(found[1])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_runs(file):
    assert len(file.read_text().splitlines()) < 60
    said = run(file)
    if file.stem in PRINTED:
        words, least, most = PRINTED[file.stem]
        assert least <= number_after(words, said) <= most


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_the_benchmark_runs_its_smoke_version(file):
    needed = NEEDS_DATA.get(file.stem)
    if needed and not (ROOT.parent / "shared" / "data" / needed).is_dir():
        pytest.skip(f"{needed} is not beside the checkout")
    for rival in RIVALS.get(file.stem, []):
        pytest.importorskip(rival, reason="the benchmark's rival is not installed")
    first = file.read_text().splitlines()[0]
    assert first.startswith('"""')
    assert first.endswith("?")
    run(file, "--smoke")
