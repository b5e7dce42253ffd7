"""What a run's directory says about the run, as small frozen values."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paceline.core.errors import RunError, nearest
from paceline.core.findings import KINDS, Finding
from paceline.report.measure import best_of, primary_metric

DEFAULT_FOLDER = "paceline-runs"
FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run reached.

    Attributes:
        test: Metrics on the test part, by name; empty where there is none.
        validation: Metrics of the chosen weights on the validation part.
        baselines: Metrics on the test part of each plain baseline.
        notes: Remarks on baselines, by name.
        steps: Updates done.
        best_step: Whose weights were chosen; None where that is not known.
        seconds: The whole run, testing and saving included.
        cpu_seconds: Processor time of the process.
        stopped: Why it ended: ``budget``, ``interrupted`` or a controller's reason.
        findings: What is worth looking at beside the metrics.
    """

    test: Mapping[str, float]
    validation: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    notes: Mapping[str, str]
    steps: int
    best_step: int | None
    seconds: float
    cpu_seconds: float
    stopped: str
    findings: tuple[Finding, ...] = ()

    @property
    def measured(self) -> Mapping[str, float]:
        """The test's metrics, or the validation's where there was no test."""
        return self.test or self.validation


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """One run as its ``run.json`` tells it; what is not there yet is empty.

    Attributes:
        path: The run's directory.
        state: ``training``, ``finished``, ``interrupted``, ``failed``; ``damaged`` in a
            list of runs where ``run.json`` cannot be read.
        outcome: None until the run has ended.
        primary: The metric that counts first; empty while none is known.
        sha256: Checksum of each file that has one.
    """

    path: Path
    name: str
    state: str
    created: str
    paceline: str
    place: str
    task: str
    goal: str
    primary: str
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    recipe: Mapping[str, Any]
    sha256: Mapping[str, str]
    outcome: Outcome | None

    @property
    def reached(self) -> float | None:
        """The primary metric, on the test part where there is one."""
        return None if self.outcome is None else self.outcome.measured.get(self.primary)

    @property
    def best_baseline(self) -> tuple[str, float] | None:
        """Name and primary metric of the best plain baseline."""
        if self.outcome is None:
            return None
        values = {
            name: metrics[self.primary]
            for name, metrics in self.outcome.baselines.items()
            if self.primary in metrics
        }
        best = best_of(self.primary, values)
        return None if best is None else (best, values[best])


def read_run(run_dir: Path) -> RunSummary:
    """A run from its directory, finished or not.

    Raises:
        RunError: There is no run there, or its ``run.json`` is damaged.
    """
    file = run_dir / "run.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"there is no run in {run_dir}: it has no run.json") from None
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise RunError(f"{file} is damaged: it is not JSON") from None
    return summary_of(facts, run_dir)


def summary_of(facts: Any, run_dir: Path) -> RunSummary:
    """A run from what ``run.json`` holds.

    Raises:
        RunError: The facts do not have the shape that Paceline writes, or a newer one.
    """
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int):
        raise RunError(f"{run_dir / 'run.json'} is damaged: it has no format number")
    if facts["format"] > FORMAT:
        raise RunError(f"{run_dir / 'run.json'} is from a newer Paceline; upgrade to read it")
    task, result = _section(facts, "task"), _section(facts, "result")
    goal = str(_section(task, "goal").get("name", ""))
    metric = _section(task, "goal").get("metric")
    outcome = _outcome(result) if result else None
    return RunSummary(
        path=run_dir,
        name=str(facts.get("name") or run_dir.name),
        state=str(facts.get("state", "unknown")),
        created=str(facts.get("created", "")),
        paceline=str(facts.get("paceline", "")),
        place=str(facts.get("place", "")),
        task=str(task.get("name", "")),
        goal=goal,
        primary=metric
        if outcome and isinstance(metric, str) and metric in outcome.measured
        else primary_metric(goal, outcome.measured if outcome else ()),
        data=_section(facts, "data"),
        model=_section(facts, "model"),
        recipe=_section(facts, "recipe"),
        sha256=_section(facts, "sha256"),
        outcome=outcome,
    )


def find_runs(folder: Path) -> list[RunSummary]:
    """The runs in a folder, the oldest first.

    A folder without ``run.json`` is none; one with a damaged ``run.json`` is listed as
    ``damaged``, so that it hides no other.

    Raises:
        RunError: The folder is not there.
    """
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}; paceline fit makes runs in {DEFAULT_FOLDER}")
    found = []
    for file in sorted(folder.glob("*/run.json")):
        try:
            found.append(read_run(file.parent))
        except RunError:
            damaged = {"format": FORMAT, "state": "damaged"}
            found.append(summary_of(damaged, file.parent))
    return sorted(found, key=lambda run: (run.created, run.name))


def find_run(run: Path | str, folder: Path | str = DEFAULT_FOLDER) -> Path:
    """The directory of a run, given as a path or as a name in ``folder``.

    Raises:
        RunError: There is none; names the nearest one.
    """
    for place in (Path(run), Path(folder) / run):
        if (place / "run.json").is_file():
            return place
    if Path(run).is_dir():
        raise RunError(f"there is no run in {run}: it has no run.json")
    known = [file.parent.name for file in Path(folder).glob("*/run.json")]
    guess = nearest(Path(run).name, known) or "; paceline fit makes one"
    raise RunError(f"there is no run {str(run)!r}, neither as a folder nor in {folder}{guess}")


def _outcome(result: Mapping[str, Any]) -> Outcome:
    best_step = result.get("best_step")
    return Outcome(
        test=_metrics(result.get("test")),
        validation=_metrics(result.get("validation")),
        baselines={
            str(name): _metrics(metrics) for name, metrics in _section(result, "baselines").items()
        },
        notes={str(name): str(text) for name, text in _section(result, "baseline_notes").items()},
        steps=int(_number(result.get("steps"))),
        best_step=best_step if isinstance(best_step, int) else None,
        seconds=_number(result.get("seconds")),
        cpu_seconds=_number(result.get("cpu_seconds")),
        stopped=str(result.get("stopped", "")),
        findings=_findings(result.get("findings")),
    )


def _findings(value: Any) -> tuple[Finding, ...]:
    """Those that can be read; one that is damaged takes nothing with it."""
    found = []
    for each in value if isinstance(value, list) else ():
        with contextlib.suppress(KeyError, TypeError, AttributeError):
            finding = Finding.from_json(each)
            wide = all(len(row) == len(finding.columns) for row in finding.rows)
            if finding.kind in KINDS and (wide or finding.kind == "pictures"):
                found.append(finding)
    return tuple(found)


def _section(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def _metrics(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    return {
        str(name): float("nan") if each is None else _number(each, float("nan"))
        for name, each in value.items()
        if name != "loss"
    }


def _number(value: Any, otherwise: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return otherwise
    return float(value) if not math.isnan(value) else otherwise
