"""Several kinds together: a picture or a sound, texts and columns of the same example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core import catalog
from paceline.core.errors import DataError
from paceline.core.findings import Finding
from paceline.core.signature import Signature
from paceline.data.base import Corpus, Examples
from paceline.data.base.pictures import is_image
from paceline.data.base.sounds import is_sound
from paceline.tasks.base import Claim, Encoded, Goal, Judged, Task, goal_from_json
from paceline.tasks.base.column_finder import find_column
from paceline.tasks.base.column_kinds import Text
from paceline.tasks.base.file_columns import named_files
from paceline.tasks.base.importance import PASSES, column_importance

_FILES = {"image": is_image, "audio": is_sound}
_LOOKED_AT = 2_000
_STRONG, _WEAK = 0.95, 0.4


@final
class Mixed(Task):
    """A table of which a column names pictures or sounds, others hold texts, numbers, classes.

    Each kind is encoded by its own task; the networks of all are joined.

    Args:
        parts: The names of the tasks, and the tasks, in the order of their inputs.
    """

    kinds: ClassVar[tuple[str, ...]] = ("mixed",)
    default_model: ClassVar[str] = "fusion"
    test_passes: ClassVar[float] = float(PASSES)

    def __init__(self, goal: Goal, parts: tuple[tuple[str, Task], ...]) -> None:
        self.goal, self.parts = goal, parts

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        if corpus.kind == "mixed":
            return super().claim(corpus, hints)
        if corpus.kind != "table":
            return None
        corpus, found = _kinds_in(corpus)
        several = len(found) > 1 and ("text" in found or len(found.get("tabular", ())) > 1)
        if not several:
            return None
        files = [name for name in _FILES if name in found]
        told = ", ".join(f"{name}: {' '.join(columns)}" for name, columns in found.items())
        return Claim(
            strength=_STRONG if files else _WEAK,
            reason=f"the columns are of several kinds ({told[:200]})",
            corpus=replace(corpus, kind="mixed", facts=corpus.facts | {"mixed": found}),
        )

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        import pandas

        random, rest = np.random.default_rng(0), np.random.default_rng(held_out)
        numbers = np.concatenate([random.normal(size=30), rest.normal(size=10)])
        words = ["good", "bad", "so so", "fine", "a film"]
        texts = [f"{words[at % 5]} {words[at * at % 4]} of it" for at in range(40)]
        frame = pandas.DataFrame({"said": texts, "width": numbers, "count": np.arange(40) % 4})
        everything = Examples(inputs=frame, targets=np.arange(40) % 3)
        found = {"text": ["said"], "tabular": ["width", "count"]}
        yield (
            Corpus(
                name="synthetic",
                kind="mixed",
                train=everything,
                fingerprint="0",
                facts={"mixed": found},
            ),
            everything.take(np.arange(30)),
        )

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Mixed:
        alone = replace(corpus, kind="table", train=train, validation=None, test=None)
        parts = []
        for name, columns in corpus.facts["mixed"].items():
            if name == "tabular":
                parts.append((name, _learnt(name, _narrowed(alone, columns), goal)))
            else:
                for column in columns:
                    one = _narrowed(alone, [column])
                    parts.append((name, _learnt(name, one, goal, {name: column})))
        return cls(goal, tuple(parts))

    def encode(self, examples: Examples) -> Encoded:
        if not hasattr(examples.inputs, "iloc"):
            raise DataError("a table is needed, with the columns of the training table")
        given = Examples(inputs=examples.inputs, targets=None)
        inputs = [part for _, task in self.parts for part in task.encode(given).inputs]
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=tuple(inputs), targets=targets)

    def signature(self) -> Signature:
        parts = tuple(task.signature() for _, task in self.parts)
        return Signature(
            kind="mixed",
            inputs=tuple(field for part in parts for field in part.inputs),
            outputs=self.goal.outputs,
            parts=parts,
        )

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        """Those of its parts that have any."""
        found = []
        for _, task in self.parts:
            if type(task).features is not Task.features:
                found.append(task.features(Examples(inputs=examples.inputs, targets=None)))
        empty = np.zeros((len(examples.inputs), 1), dtype=np.float32)
        features: np.ndarray[Any, Any] = np.concatenate(found or [empty], 1)
        return features

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        varied: list[Tensor] = []
        for _, task in self.parts:
            count = len(task.signature().inputs)
            here = inputs[len(varied) : len(varied) + count]
            varied += task.augment(here, generator)
        return tuple(varied)

    def defaults(self, examples: int) -> dict[str, Any]:
        each = [task.defaults(examples) for _, task in self.parts]
        return each[0] | {
            "batch_size": min(one["batch_size"] for one in each),
            "epochs": max(one["epochs"] for one in each),
        }

    def notes(self) -> tuple[str, ...]:
        return tuple(note for _, task in self.parts for note in task.notes())

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        metrics, found = super().findings(judged)
        return metrics, (*found, *column_importance(self.goal, judged))

    def to_json(self) -> dict[str, Any]:
        parts = [{"name": name, "state": task.to_json()} for name, task in self.parts]
        return {"goal": self.goal.to_json(), "parts": parts}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Mixed:
        parts = tuple(
            (each["name"], catalog.find("tasks", each["name"]).from_json(each["state"]))
            for each in state["parts"]
        )
        return cls(goal_from_json(state["goal"]), parts)


def _kinds_in(corpus: Corpus) -> tuple[Corpus, dict[str, list[str]]]:
    """Which columns are of which kind; those that help nobody are left out."""
    found: dict[str, list[str]] = {}
    for name, wanted in _FILES.items():
        named = named_files(corpus, None, wanted)
        if named is not None:
            corpus, found[name] = named.corpus, [named.column]
    frame = corpus.train.inputs
    files = {column for columns in found.values() for column in columns}
    few = frame.iloc[:: max(1, len(frame) // _LOOKED_AT)]
    for at in range(few.shape[1]):
        column = str(few.columns[at])
        kind, _ = find_column(few.iloc[:, at].rename(column))
        if column not in files and kind is not None and few.iloc[:, at].nunique() > 1:
            found.setdefault("text" if isinstance(kind, Text) else "tabular", []).append(column)
    return corpus, found


def _narrowed(corpus: Corpus, columns: list[str]) -> Corpus:
    train = corpus.train
    return replace(corpus, train=replace(train, inputs=train.inputs[list(columns)]))


def _learnt(name: str, corpus: Corpus, goal: Goal, hints: dict[str, Any] | None = None) -> Task:
    part = catalog.find("tasks", name)
    claim = part.claim(corpus, hints or {})
    if claim is None:
        raise DataError(f"the columns {list(corpus.train.inputs)} hold no {name}")
    made: Task = part.from_corpus(claim.corpus, claim.corpus.train, goal)
    return made
