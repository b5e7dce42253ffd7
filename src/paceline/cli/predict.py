"""paceline predict: answers of a trained run for new examples."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from paceline.core.errors import StorageError
from paceline.core.files import write_atomically


def predict(
    run: str,
    input: str,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    weights: str = "best",
    device: str = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Predict with the model of RUN for each example of INPUT.

    INPUT is of the kind that the run was trained on: an image or a folder of images, a CSV
    or Parquet file (its target column, if there, is not looked at), an .npz.

    Examples:

        paceline predict paceline-runs/digits-1 digits

        paceline predict runs/houses new-houses.csv --out prices.csv

    Parameters
    ----------
    run
        A run's directory, or its name in paceline-runs.
    input
        What to predict for.
    out
        A CSV file for the answers, which must not exist yet. [default: stdout]
    weights
        best (by validation) or last.
    device
        auto, cpu, cuda or mps.
    as_json
        One JSON object on the last line of stdout.
    """
    if out is not None and out.exists():
        raise StorageError(f"{out} exists already; choose another --out")
    from paceline.jobs.run import load
    from paceline.report.summary import find_run

    answers = load(find_run(run), weights=weights, device=device).answers(input)
    if out is not None:
        write_atomically(out, _as_csv(answers).encode())
    if as_json:
        sys.stdout.write(json.dumps(answers) + "\n")
    elif out is None:
        sys.stdout.write(_as_csv(answers))
    return 0


def _as_csv(answers: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answers)
    for row in zip(*answers.values(), strict=True):
        writer.writerow([_as_cell(cell) for cell in row])
    return text.getvalue()


def _as_cell(value: Any) -> Any:
    """Words and tags with spaces between them; other lists as JSON."""
    if not isinstance(value, (list, dict)):
        return value
    plain = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return " ".join(value) if plain else json.dumps(value, ensure_ascii=False)
