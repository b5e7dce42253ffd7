"""Learns from JSON lines as they come: each chunk is a test first, and a lesson then."""

from __future__ import annotations

import json
import time as wall
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from torch import Tensor

from paceline.core.errors import DataError, RunError, SettingError
from paceline.core.findings import Finding
from paceline.core.ledger import Ledger
from paceline.core.progress import Progress, Silence
from paceline.data.base import Examples
from paceline.jobs.continual.alerts import Alert, checked_address, post
from paceline.jobs.continual.drift import Drift, summaries
from paceline.jobs.continual.known import Known, Wish
from paceline.jobs.continual.learn import beside, gained_and_forgotten, save
from paceline.jobs.continual.training import Continual, loaded
from paceline.jobs.folder import RunFolder
from paceline.jobs.measure import public
from paceline.jobs.record import Record
from paceline.report.page import write_page
from paceline.tasks.base import Classification, Encoded

if TYPE_CHECKING:
    from paceline.jobs.run import Run

CHUNK: Final = 64
PASSES: Final = 2
REOPENED_PASSES: Final = 10
_SHOWN_ERRORS: Final = 5


@final
class Stream:
    """Goes on from a run, chunk by chunk.

    Args:
        run: To go on from; it is left as it is.
        chunk: Examples that are tested on and learnt from together.
        alerts: What to be told of.
        webhook: Where alerts are posted to, as JSON; empty for nowhere.
        out: The new run's directory.
        wish: How to go on.
        progress: Told how it goes.

    Attributes:
        fired: Lines of the alerts.
        chunks: How many were learnt from.

    Raises:
        SettingError: A number is out of range, or an alert or address is none.
    """

    def __init__(
        self,
        run: Run,
        *,
        chunk: int = CHUNK,
        alerts: Sequence[str] = (),
        webhook: str = "",
        out: Path | None = None,
        wish: Wish | None = None,
        progress: Progress | None = None,
    ) -> None:
        if chunk < 2:
            raise SettingError(f"a chunk must hold at least 2 examples, got {chunk}")
        self._alerts = [Alert.read(each) for each in alerts]
        self._webhook = checked_address(webhook) if webhook else ""
        self._progress = progress or Silence()
        self._known = Known(run, wish or Wish(), self._progress)
        self._target = run.facts["data"].get("target")
        self._folder = RunFolder(beside(run.path) if out is None else out)
        if self._folder.path.exists():
            raise RunError(f"{self._folder.path} exists already; choose another --out")
        self._chunk, self._began = chunk, wall.monotonic()
        self._cpu_began = wall.process_time()
        self._drift = Drift()
        self._rows: list[tuple[Any, ...]] = []
        self._examples, self._bad, self._steps = 0, 0, 0
        self.fired: list[str] = []
        self.chunks = 0

    def run(self, lines: Iterable[str]) -> Run | None:
        """Reads to the end, or to a Ctrl-C; keeps what was learnt, None where nothing was."""
        known = self._known
        old = known.old_test
        before = None if old is None else public(known.measured(old))
        if old is not None:
            self._drift.watch({"loss": known.losses(*known.judged(old)), **summaries(old.inputs)})
        self._folder.make()
        with Ledger(self._folder.ledger_file) as ledger:
            self._record = Record(ledger, lambda: wall.monotonic() - self._began)
            try:
                for chunk in self._chunks(lines):
                    self._take(chunk)
            except KeyboardInterrupt:
                self._progress.say("stopped by hand; what was learnt is kept")
            return self._saved(before)

    # --- reading

    def _chunks(self, lines: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
        held: list[dict[str, Any]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise DataError("it is no object")
                held.append(found)
            except ValueError as error:
                self._refused(f"line {number} is left out: {error}")
            if len(held) == self._chunk:
                yield held
                held = []
        if held:
            yield held

    def _refused(self, line: str) -> None:
        self._bad += 1
        self._record.note("warning", "stream", {"why": line}, source="data", step=self._steps)
        if self._bad <= _SHOWN_ERRORS:
            self._progress.warn(line)

    def _examples_of(self, chunk: list[dict[str, Any]]) -> Examples:
        """A table's rows by their columns; else ``inputs`` and ``target`` of each."""
        if "inputs" in chunk[0]:
            inputs: Any = np.array([each.get("inputs") for each in chunk])
            if self._known.signature.kind == "image":
                inputs = inputs.astype(np.uint8)
                inputs = inputs[:, None] if inputs.ndim == 3 else inputs
            if self._known.signature.kind == "tensors":
                inputs = (inputs,)
            return Examples(inputs=inputs, targets=_targets(chunk, "target"))
        import pandas as pd

        name = self._target or "target"
        columns = list(dict.fromkeys(key for each in chunk for key in each if key != name))
        frame = pd.DataFrame(chunk, columns=columns)
        return Examples(inputs=frame, targets=_targets(chunk, name))

    # --- a chunk

    def _take(self, chunk: list[dict[str, Any]]) -> None:
        try:
            examples = self._examples_of(chunk)
            fresh = self._known.widen(examples.targets)
            encoded = loaded(self._known.task.encode(examples))
        except (DataError, ValueError, TypeError) as error:
            self._refused(f"{len(chunk)} examples are left out: {' '.join(str(error).split())}")
            return
        answer, target = self._known.judged(encoded)
        measured = self._known.goal.metrics(answer, target)
        wrong = self._known.losses(answer, target)
        moved = self._drift.watch({"loss": wrong, **summaries(encoded.inputs)})
        self._examples += len(encoded)
        self._write_down(measured, moved, len(encoded))
        self._alert(self._numbers(answer, measured, wrong, moved))
        self._learn(encoded, reopened=bool(moved or fresh))
        self.chunks += 1

    def _learn(self, encoded: Encoded, *, reopened: bool) -> None:
        continual: Continual = self._known.continual(len(encoded))
        passes = REOPENED_PASSES if reopened else PASSES
        steps = passes * -(-len(encoded) // continual.batch_size)
        continual.train(encoded, steps, reopened=reopened)
        self._steps += steps
        self._known.replay.take(encoded, continual.generator)

    def _write_down(self, measured: dict[str, float], moved: list[str], count: int) -> None:
        for name, value in measured.items():
            self._record.note(
                "reading", name, {}, source="validation", value=value, step=self._steps
            )
        primary = self._known.goal.primary
        self._rows.append((self._examples, count, measured[primary], ", ".join(moved)))
        if moved:
            self._record.decide(
                "learning rate",
                "begins its schedule again",
                seen={"moved": moved, "examples": self._examples},
                reason="the stream moved",
                source="learn",
                step=self._steps,
            )
            self._progress.say(f"after {self._examples:,} examples the stream moved: {moved[0]}")

    def _numbers(
        self, answer: Tensor, measured: dict[str, float], wrong: Any, moved: list[str]
    ) -> dict[str, float]:
        found = {"loss": float(np.mean(wrong)), "drift": float(bool(moved))}
        goal = self._known.goal
        if not isinstance(goal, Classification):
            return found | {"error": measured["mae"]}
        found["error"] = 1 - measured["accuracy"]
        said = [str(goal.classes[at]) for at in answer.argmax(-1).tolist()]
        return found | {f"share:{each}": said.count(each) / len(said) for each in set(said)}

    def _alert(self, numbers: dict[str, float]) -> None:
        for alert in self._alerts:
            if not alert.fires(numbers):
                continue
            line = f"{alert.line(numbers)} after {self._examples:,} examples"
            self.fired.append(line)
            self._progress.warn(line)
            self._record.note("warning", "alert", {"why": line}, source="alert", step=self._steps)
            if self._webhook:
                fact = {"alert": alert.name, "line": line, "examples": self._examples}
                wrong = post(self._webhook, fact | {"run": self._folder.path.name})
                if wrong:
                    self._progress.warn(wrong)

    # --- the end

    def _saved(self, before: dict[str, float] | None) -> Run | None:
        from paceline.jobs.run import Run

        if not self.chunks:
            self._progress.warn("nothing was learnt: no example could be read")
        known = self._known
        findings = [self._finding()]
        after = None if known.old_test is None else public(known.measured(known.old_test))
        if before is not None and after is not None:
            findings.append(gained_and_forgotten({"old": before}, {"old": after}))
        save(
            known,
            self._folder,
            test=known.old_test,
            result={
                "test": self._mean(),
                "validation": {},
                "baselines": {},
                "baseline_notes": {},
                "steps": self._steps,
                "best_step": self._steps,
                "seconds": wall.monotonic() - self._began,
                "cpu_seconds": wall.process_time() - self._cpu_began,
                "stopped": "end of the stream",
                "alerts": self.fired,
                "findings": [each.to_json() for each in findings],
            },
            facts={"examples": self._examples, "left_out": self._bad, "notes": known.notes},
        )
        self._record.ledger.flush()
        write_page(self._folder.path)
        return Run(self._folder.path) if self.chunks else None

    def _mean(self) -> dict[str, float]:
        if not self._rows:
            return {}
        values, counts = [row[2] for row in self._rows], [row[1] for row in self._rows]
        return {self._known.goal.primary: float(np.average(values, weights=counts))}

    def _finding(self) -> Finding:
        primary = self._known.goal.primary
        return Finding(
            title="The stream, chunk by chunk",
            columns=("examples", "in the chunk", primary, "moved"),
            rows=tuple(self._rows[-200:]),
            note="Each chunk was tested on before it was learnt from.",
        )


def _targets(chunk: list[dict[str, Any]], name: str) -> np.ndarray[Any, Any]:
    missing = sum(each.get(name) is None for each in chunk)
    if missing:
        raise DataError(f"{missing} of {len(chunk)} have no {name!r}")
    values = [each[name] for each in chunk]
    return np.array(values, dtype=object if isinstance(values[0], str) else None)
