"""Goes on from a trained run with data that came later, and says what was gained and forgotten."""

from __future__ import annotations

import functools
import time as wall
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import Tensor

import paceline
from paceline.core.errors import DataError, RunError
from paceline.core.findings import Finding
from paceline.core.ledger import Ledger
from paceline.core.progress import Progress, Silence
from paceline.data.base import Examples
from paceline.jobs.continual.drift import Drift, summaries
from paceline.jobs.continual.known import KEPT_TEST, MEMORY_FILE, Known, Wish, sample
from paceline.jobs.continual.training import (
    divided,
    joined,
    loaded,
    rows_of,
)
from paceline.jobs.folder import RunFolder
from paceline.jobs.measure import public
from paceline.jobs.record import Record
from paceline.report.page import write_page
from paceline.tasks.base import Encoded
from paceline.train.transaction import write_tensors

if TYPE_CHECKING:
    from paceline.jobs.run import Run

HELD_OUT: Final = 0.2
SHARE_OF_STEPS: Final = 0.2
_SHARE_TO_TRAIN: Final = 0.7  # what a training of its own would leave for learning
_LEAST: Final = 5


def learn(
    run: Run,
    examples: Examples,
    *,
    out: Path | str | None = None,
    steps: int | None = None,
    replay: int = 2000,
    ewc: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Run:
    """Goes on from a trained run; the run itself is left as it is.

    A fifth of the new examples is held out. Old ones come back from the run's own data, or
    from what an earlier ``learn`` kept of them. Where the losses or the inputs have moved,
    the learning rate begins its schedule again; elsewhere it is small and stays.

    Args:
        run: To go on from.
        examples: New ones with their targets, of the kind that the run was trained on.
        out: The new run's directory; ``RUN-learn-1`` beside the old one when left out.
        steps: Updates; a fifth of what training on the new examples alone takes by default.
        replay: Old examples to keep and mix in, at most; 0 is none.
        ewc: λ of the pull towards the old weights; 0 is none.
        seed: Of divisions and order.
        progress: Told how it goes.

    Returns:
        The new run.

    Raises:
        DataError: There are no targets, or too few examples.
        SettingError: The run cannot go on, or a number is out of range.
    """
    began, progress = wall.monotonic(), progress or Silence()
    known = Known(run, Wish(steps=steps, replay=replay, ewc=ewc, seed=seed), progress)
    if examples.targets is None:
        raise DataError("there are no targets to learn from; give y, or data that hold them")
    if len(examples) < _LEAST or len(examples.targets) != len(examples):
        raise DataError(
            f"{len(examples)} examples with {len(examples.targets)} targets; as many of both are"
            f" needed, at least {_LEAST}"
        )
    folder = RunFolder(beside(run.path) if out is None else Path(out))
    if folder.path.exists():
        raise RunError(f"{folder.path} exists already; choose another --out")
    return _Lesson(known, examples, folder, began).run(progress)


def beside(path: Path) -> Path:
    """The first free ``RUN-learn-N`` beside a run."""
    stem, _, number = path.name.rpartition("-learn-")
    stem = stem if number.isdigit() and stem else path.name
    at = 1
    while (path.parent / f"{stem}-learn-{at}").exists():
        at += 1
    return path.parent / f"{stem}-learn-{at}"


class _Lesson:
    """One ``learn`` from beginning to end."""

    def __init__(self, known: Known, examples: Examples, folder: RunFolder, began: float) -> None:
        self.known, self.folder, self.began = known, folder, began
        self.cpu_began = wall.process_time()
        fresh = known.widen(examples.targets)
        encoded = loaded(known.task.encode(examples))
        rows, out = divided(len(encoded), HELD_OUT, known.wish.seed)
        self.new, self.held_out = rows_of(encoded, rows), rows_of(encoded, out)
        self.fresh, self.notes = fresh, [*known.notes, *unknown_codes(known, encoded)]

    def run(self, progress: Progress) -> Run:
        from paceline.jobs.run import Run

        known = self.known
        before = self._measured()
        moved = self._moved()
        steps = known.wish.steps or self._steps()
        continual = known.continual(len(self.new))
        pacer = continual.train(
            self.new,
            steps,
            reopened=bool(moved or self.fresh),
            told=functools.partial(progress.advance, "learning"),
        )
        after = self._measured()
        self.folder.make()
        with Ledger(self.folder.ledger_file) as ledger:
            record = Record(ledger, lambda: wall.monotonic() - self.began)
            self._write_down(record, moved, steps)
            for decision in pacer.decisions:
                decision.write(ledger, wall.monotonic() - self.began)
            record.results(after["new"], source="test", step=steps)
            known.replay.take(self.new, continual.generator)
            save(
                known,
                self.folder,
                test=self._kept_test(),
                result=self._result(before, after, steps),
                facts={"fresh_classes": self.fresh, "moved": moved, "notes": self.notes},
            )
        write_page(self.folder.path)
        return Run(self.folder.path, device=str(next(known.model.parameters()).device))

    def _measured(self) -> dict[str, dict[str, float]]:
        parts = {"new": self.held_out, "old": self.known.old_test}
        return {
            name: public(self.known.measured(part))
            for name, part in parts.items()
            if part is not None
        }

    def _steps(self) -> int:
        """A fifth of what training on the new examples alone would take."""
        count = int((len(self.new) + len(self.held_out)) * _SHARE_TO_TRAIN)
        defaults = self.known.task.defaults(count)
        whole = defaults["epochs"] * max(1, count // int(defaults["batch_size"]))
        return max(1, int(SHARE_OF_STEPS * whole))

    def _moved(self) -> list[str]:
        """What drifted, by the old test part and then the new examples."""
        old = self.known.old_test
        if old is None:
            return ["everything: nothing old is left to compare with"]
        old = sample(old, len(self.new))
        drift = Drift()
        drift.watch({"loss": self.known.losses(*self.known.judged(old)), **summaries(old.inputs)})
        new = self.known.losses(*self.known.judged(self.new))
        return drift.watch({"loss": new, **summaries(self.new.inputs)})

    def _kept_test(self) -> Encoded:
        old = self.known.old_test
        both = self.held_out if old is None else joined(old, self.held_out)
        return sample(both, KEPT_TEST)

    def _write_down(self, record: Record, moved: list[str], steps: int) -> None:
        known = self.known
        for line in self.notes:
            record.note("warning", "data", {"why": line}, source="data")
        record.decide(
            "learning rate",
            "begins its schedule again" if moved or self.fresh else "small and constant",
            seen={"moved": moved, "new classes": [str(each) for each in self.fresh]},
            reason="the data moved" if moved or self.fresh else "neither losses nor inputs moved",
            choices=("begins its schedule again", "small and constant"),
            source="learn",
        )
        record.decide(
            "against forgetting",
            f"{len(known.replay)} old examples, λ = {known.wish.ewc:g}",
            seen={"steps": steps, "new_examples": len(self.new)},
            reason="as many old examples as new ones are in each update",
            source="learn",
        )

    def _result(
        self, before: Mapping[str, Any], after: Mapping[str, Any], steps: int
    ) -> dict[str, Any]:
        return {
            "test": after["new"],
            "validation": {},
            "baselines": {"before": before["new"]},
            "baseline_notes": {},
            "before": before,
            "after": after,
            "steps": steps,
            "best_step": steps,
            "seconds": wall.monotonic() - self.began,
            "cpu_seconds": wall.process_time() - self.cpu_began,
            "stopped": "budget",
            "findings": [gained_and_forgotten(before, after).to_json()],
        }


def unknown_codes(known: Known, encoded: Encoded) -> list[str]:
    """A line where categories are met that training never saw."""
    for field, part in zip(known.signature.inputs, encoded.inputs, strict=True):
        if field.name == "category" and len(part):
            share = float((part == 0).double().mean())
            if share > 0:
                return [f"{share:.1%} of the categories are new: all of them count as one, unknown"]
    return []


def gained_and_forgotten(before: Mapping[str, Any], after: Mapping[str, Any]) -> Finding:
    """A row for each metric of the new and the old examples."""
    rows = tuple(
        (f"{name} examples", metric, before[name][metric], value, value - before[name][metric])
        for name in ("new", "old")
        if name in after
        for metric, value in after[name].items()
    )
    return Finding(
        title="Gained and forgotten",
        columns=("part", "metric", "before", "after", "change"),
        rows=rows,
        note="New: a part of the new examples that was held out. Old: the test part of before.",
    )


def save(
    known: Known,
    folder: RunFolder,
    *,
    test: Encoded | None,
    result: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Writes a run like the old one, with the network as it is now and what it remembers."""
    old = known.run.facts
    weights = write_tensors(folder.model_file, known.model.state_dict(), {"step": result["steps"]})
    sums = {folder.model_file.name: weights}
    if known.replay.kept is not None:
        tensors: dict[str, Tensor] = {**_packed(known.replay.kept, "replay")}
        tensors |= {} if test is None else _packed(test, "test")
        values = {"seen": known.replay.seen}
        sums[MEMORY_FILE] = write_tensors(folder.path / MEMORY_FILE, tensors, values)
    state = known.task.to_json()
    notes = list(facts.get("notes", ()))
    folder.write(
        name=folder.path.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        paceline=paceline.__version__,
        state="finished",
        place=old["place"],
        recipe=old["recipe"],
        data=old["data"] | {"learnt_from": str(known.run.path)} | dict(facts) | {"notes": notes},
        task=old["task"] | {"goal": known.goal.to_json(), "state": state},
        model=old["model"]
        | {
            "signature": replace(known.signature, outputs=known.goal.outputs).to_json(),
            "parameters": sum(each.numel() for each in known.model.parameters()),
        },
        baselines={},
        sha256=sums,
        result=dict(result),
    )


def _packed(encoded: Encoded, name: str) -> dict[str, Tensor]:
    assert encoded.targets is not None
    inputs = {f"{name}/{at}": part for at, part in enumerate(encoded.inputs)}
    return inputs | {f"{name}/targets": encoded.targets}
