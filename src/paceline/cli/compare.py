"""paceline compare: the same training with several optimizers and controllers."""

from __future__ import annotations

import sys
import time as wall
from pathlib import Path
from typing import Annotated, Any, final

from cyclopts import Parameter

from paceline.cli._out import AsJson, put_json
from paceline.report.console import Console

Many = Annotated[tuple[str, ...], Parameter(name="--set", negative="", consume_multiple=False)]


def compare(
    data: str,
    /,
    *,
    optimizers: str = "momentum,adamw",
    controllers: str = "constant,cosine,probe",
    seeds: int = 3,
    lr: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    time: str | None = None,
    target: Annotated[str | None, Parameter(name=["--target", "-t"])] = None,
    task: str | None = None,
    model: str | None = None,
    test: Annotated[str | None, Parameter(name="--test-data")] = None,
    device: str | None = None,
    recipe: Path | None = None,
    assignments: Many = (),
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Train on DATA once for each optimizer, controller, rate and seed, and compare them.

    All share the model, and for each seed the division of the data, the first weights, the
    batches and the budget; probing is paid from the same budget. Methods are ranked by their
    validation loss; the test part is told, and ranks nothing. The guard watches over all of
    them; --set beside.guard=false leaves it out. The same command goes on where it was
    interrupted, and lists that have grown add only what is new.

    Examples:

        paceline compare digits --steps 300

        paceline compare houses.csv --target price --optimizers sgd,adam,lamb --seeds 5

        paceline compare digits --steps 300 --lr 1e-4..1e-1 --controllers constant,probe

        paceline compare photos/ --time 10m --out night --json

    Parameters
    ----------
    data
        What to learn from.
    optimizers
        Names with commas: torch's, `paceline parts optimizers`, momentum (sgd with 0.9), and
        schedule_free, mechanic, prodigy, dog, which set their own rate.
    controllers
        Names with commas; `paceline parts controllers` lists them.
    seeds
        Trainings of each method.
    lr
        Starting rates, 1e-4,1e-3 or 1e-4..1e-1 (half decades) or 1e-4..1e-1:9 (nine of them);
        each optimizer's own default when left out.
    steps
        Budget of each training in updates of the weights.
    epochs
        Budget of each in passes over the training examples.
    time
        Budget of each as time, 90s or 10m or 1h30m.
    target
        The column to predict, for tables.
    task
        image, tabular, tensors, or the goal: classification, regression. Found from DATA.
    model
        A network by name; `paceline parts models` lists them.
    test
        A file or folder to test on, instead of a part split off.
    device
        auto, cpu, cuda, cuda:1 or mps. [default: auto]
    recipe
        A TOML file with settings that all share.
    assignments
        A setting that all share, section.key=value; may be repeated.
    skip_bad
        Leave out files that cannot be read.
    out
        The comparison's directory. [default: a new one under paceline-comparisons]
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    with Console(quiet=quiet) as console:
        from paceline.jobs.compare import compare as run_compare

        comparison = run_compare(
            data,
            optimizers=optimizers,
            controllers=controllers,
            seeds=seeds,
            lr=lr,
            steps=steps,
            epochs=epochs,
            time=time,
            target=target,
            task=task,
            model=model,
            test=test,
            device=device,
            recipe=recipe,
            assignments=assignments,
            skip_bad=skip_bad,
            out=out,
            progress=console if sys.stderr.isatty() else _TimeLeft(console),
        )
    from paceline.report.comparison_table import comparison_table

    if not quiet:
        console.show(comparison_table(comparison))
        _say_where(comparison)
    if as_json:
        put_json(_object(comparison))
    return 130 if comparison.state == "interrupted" else 0


@final
class _TimeLeft:
    """Adds to each note how long it will take; on a terminal the bar tells that."""

    def __init__(self, console: Console) -> None:
        self._console, self._began = console, (0.0, -1.0)

    def say(self, line: str) -> None:
        self._console.say(line)

    def warn(self, line: str) -> None:
        self._console.warn(line)

    def gauge(self, what: str, level: float, note: str = "") -> None:
        self._console.gauge(what, level, note)

    def advance(self, what: str, done: float, note: str = "") -> None:
        from paceline.core.duration import in_words

        now = wall.monotonic()
        if self._began[1] < 0:
            self._began = (now, done)
        began, before = self._began
        if before < done < 1:
            note += f" · {in_words((now - began) * (1 - done) / (done - before))} left"
        self._console.advance(what, done, note)


def _object(comparison: Any) -> dict[str, Any]:
    rows = [row.to_json(comparison.metric) for row in comparison.rows]
    return {
        "comparison": str(comparison.path),
        "report": str(comparison.path / "comparison.html"),
        "state": comparison.state,
        "trainings": len(comparison.attempts),
        "ended": comparison.ended,
        "failed": len(comparison.failed),
        "metric": comparison.metric,
        "best": rows[0] if rows else None,
        "rows": rows,
    }


def _say_where(comparison: Any) -> None:
    lines = [
        f"numbers  {comparison.path / 'comparison.json'}",
        f"report   {comparison.path / 'comparison.html'}",
    ]
    if comparison.state == "interrupted":
        lines.append(
            f"stopped by hand and saved; go on with the same command and --out {comparison.path}"
        )
    sys.stderr.write("\n".join(lines) + "\n")
