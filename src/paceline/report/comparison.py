"""What a comparison's directory says: its attempts, and one row for each method."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paceline.core.errors import RunError
from paceline.core.ledger import read_ledger
from paceline.report.measure import is_finite, primary_metric
from paceline.report.summary import read_run

COMPARISON_FILE = "comparison.json"
COMPARISON_FORMAT = 1
_KIND = "comparison"
_TIMES = ("steps", "seconds", "cpu_seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One training of one method with one seed.

    Attributes:
        optimizer: As it was asked for.
        controller: What set the learning rate.
        rate: Learning rate to begin with; None is the optimizer's own default.
        seed: Of the division, the weights and the order of the batches.
        state: ``waiting``, ``interrupted``, ``finished`` or ``failed``.
        run: The run's directory within the comparison's.
        error: Why it failed.
        validation_loss: The lowest there was; nan where none was finite.
        final_loss: Validation loss at the end of the budget.
        validation: Metrics of the chosen weights.
        test: Metrics on the test part; told, never ranked by.
    """

    optimizer: str
    controller: str
    rate: float | None
    seed: int
    state: str
    run: str
    error: str = ""
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    validation_loss: float = math.nan
    final_loss: float = math.nan
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)

    @property
    def method(self) -> tuple[str, str]:
        """Optimizer and controller."""
        return self.optimizer, self.controller

    @property
    def counts(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.state in ("finished", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One method at one starting rate, over its seeds.

    A training that failed or whose loss was never finite counts as the worst there is.
    """

    attempts: tuple[Attempt, ...]

    @property
    def optimizer(self) -> str:
        """As it was asked for."""
        return self.attempts[0].optimizer

    @property
    def controller(self) -> str:
        """What set the learning rate."""
        return self.attempts[0].controller

    @property
    def rate(self) -> float | None:
        """The starting rate; None is the optimizer's own default."""
        return self.attempts[0].rate

    @property
    def ended(self) -> list[Attempt]:
        """The attempts that have come to an end."""
        return [attempt for attempt in self.attempts if attempt.counts]

    @property
    def failed(self) -> list[Attempt]:
        """The attempts that ended with an error."""
        return [attempt for attempt in self.attempts if attempt.state == "failed"]

    @property
    def losses(self) -> list[float]:
        """Best validation loss of each ended attempt, in order; inf stands for none."""
        found = [attempt.validation_loss for attempt in self.ended]
        return sorted(value if is_finite(value) else math.inf for value in found)

    @property
    def loss(self) -> float:
        """Median of the best validation losses; inf where most attempts have none."""
        return median(self.losses)

    @property
    def final_loss(self) -> float:
        """Median validation loss at the end of the budget."""
        return median(
            attempt.final_loss if is_finite(attempt.final_loss) else math.inf
            for attempt in self.ended
        )

    def metric(self, part: str, name: str) -> float:
        """Median of a metric on ``validation`` or ``test``; nan where there is none."""
        found = [getattr(attempt, part).get(name, math.nan) for attempt in self.ended]
        finite = [value for value in found if is_finite(value)]
        return statistics.median(finite) if finite else math.nan

    def time(self, name: str) -> float:
        """Median of ``steps``, ``seconds`` or ``cpu_seconds`` over the finished attempts."""
        found = [getattr(each, name) for each in self.attempts if each.state == "finished"]
        return statistics.median(found) if found else math.nan

    def to_json(self, metric: str) -> dict[str, Any]:
        """The row for machines; what is not known is None."""
        losses = self.losses
        return {
            "optimizer": self.optimizer,
            "controller": self.controller,
            "learning_rate": self.rate,
            "seeds": len(self.ended),
            "failed": len(self.failed),
            "validation_loss": _known(self.loss),
            "validation_loss_low": _known(losses[0]) if losses else None,
            "validation_loss_high": _known(losses[-1]) if losses else None,
            "final_validation_loss": _known(self.final_loss),
            f"validation_{metric}": _known(self.metric("validation", metric)),
            f"test_{metric}": _known(self.metric("test", metric)),
            **{name: _known(self.time(name)) for name in _TIMES},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A comparison as its ``comparison.json`` tells it.

    Attributes:
        path: Its directory.
        state: ``training``, ``interrupted`` or ``finished``.
        plan: Optimizers, controllers, seeds, rates and the recipe that all share.
        facts: Task, goal, model and counts of examples, of the first run.
        attempts: Every training, in the order in which they are done.
    """

    path: Path
    state: str
    created: str
    paceline: str
    place: str
    plan: Mapping[str, Any]
    facts: Mapping[str, Any]
    attempts: tuple[Attempt, ...]

    @property
    def metric(self) -> str:
        """The task's metric that counts first."""
        measured = next((each.validation for each in self.attempts if each.validation), {})
        return primary_metric(str(self.facts.get("goal", "")), measured) or "metric"

    @property
    def cells(self) -> list[Row]:
        """One row for each method and rate that has an ended attempt, the best first."""
        grouped: dict[tuple[str, str, float | None], list[Attempt]] = {}
        for attempt in self.attempts:
            grouped.setdefault((*attempt.method, attempt.rate), []).append(attempt)
        rows = [Row(attempts=tuple(each)) for each in grouped.values()]
        return sorted([row for row in rows if row.ended], key=_order)

    @property
    def rows(self) -> list[Row]:
        """The best cell of each method, the best first."""
        best: dict[tuple[str, str], Row] = {}
        for row in self.cells:
            best.setdefault((row.optimizer, row.controller), row)
        return list(best.values())

    @property
    def rates(self) -> list[float]:
        """The grid of starting rates; empty where each optimizer had its own default."""
        return sorted({each.rate for each in self.attempts if each.rate is not None})

    @property
    def ended(self) -> int:
        """How many attempts have come to an end."""
        return sum(attempt.counts for attempt in self.attempts)

    @property
    def failed(self) -> list[Attempt]:
        """The attempts that ended with an error."""
        return [attempt for attempt in self.attempts if attempt.state == "failed"]

    def to_json(self) -> dict[str, Any]:
        """What ``comparison.json`` holds."""
        return {
            "format": COMPARISON_FORMAT,
            "kind": _KIND,
            "state": self.state,
            "created": self.created,
            "paceline": self.paceline,
            "place": self.place,
            "plan": dict(self.plan),
            "facts": dict(self.facts),
            "rows": [row.to_json(self.metric) for row in self.rows],
            "attempts": [_attempt_to_json(attempt) for attempt in self.attempts],
        }


def read_comparison(path: Path) -> Comparison:
    """A comparison from its directory, finished or not.

    Raises:
        RunError: There is none, it is damaged, or from a newer Paceline.
    """
    file = path / COMPARISON_FILE
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"there is no comparison in {path}: it has no {COMPARISON_FILE}") from None
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise RunError(f"{file} is damaged: it is not JSON") from None
    if not isinstance(facts, dict) or facts.get("kind") != _KIND:
        raise RunError(f"{file} is damaged: it does not say that it is a comparison")
    if facts.get("format") != COMPARISON_FORMAT:
        raise RunError(f"{file} is from a newer Paceline; upgrade to read it")
    try:
        return Comparison(
            path=path,
            **{name: str(facts[name]) for name in ("state", "created", "paceline", "place")},
            plan=facts["plan"],
            facts=facts["facts"],
            attempts=tuple(_attempt_from_json(each) for each in facts["attempts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{file} is damaged: it is not what Paceline wrote") from None


def ended_attempt(attempt: Attempt, run_dir: Path) -> Attempt:
    """An attempt with what its finished run reached.

    Raises:
        RunError: The run is missing or damaged.
    """
    run = read_run(run_dir)
    if run.outcome is None:
        return attempt
    entries = read_ledger(run_dir / "ledger.db", kind="reading", name="loss")
    losses = {
        row.step: math.nan if row.value is None else row.value
        for row in entries
        if row.source == "validation"
    }
    lowest = min(filter(math.isfinite, losses.values()), default=math.nan)
    return dataclasses.replace(
        attempt,
        state=run.state,
        steps=run.outcome.steps,
        seconds=run.outcome.seconds,
        cpu_seconds=run.outcome.cpu_seconds,
        validation_loss=lowest,
        final_loss=losses.get(max(losses, default=-1), math.nan),
        validation=run.outcome.validation,
        test=run.outcome.test,
    )


def median(values: Iterable[float]) -> float:
    """The median, inf included; nan of nothing.

    >>> median([3.0, 1.0, math.inf]), median([1.0, math.inf])
    (3.0, inf)
    """
    found = list(values)
    return statistics.median(found) if found else math.nan


def _order(row: Row) -> tuple[float, float, str]:
    losses = row.losses
    return row.loss, statistics.fmean(losses), f"{row.optimizer} {row.controller}"


def _known(value: float) -> float | None:
    return value if is_finite(value) else None


def _attempt_to_json(attempt: Attempt) -> dict[str, Any]:
    found = dataclasses.asdict(attempt)
    for name in ("validation_loss", "final_loss"):
        found[name] = _known(found[name])
    for part in ("validation", "test"):
        found[part] = {name: _known(value) for name, value in found[part].items()}
    return found


def _attempt_from_json(facts: Mapping[str, Any]) -> Attempt:
    found = dict(facts)
    for name in ("validation_loss", "final_loss"):
        found[name] = math.nan if found[name] is None else float(found[name])
    for part in ("validation", "test"):
        found[part] = {
            name: math.nan if value is None else float(value) for name, value in found[part].items()
        }
    return Attempt(**found)
