"""What a task does: turns examples into tensors and says what good means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, nearest
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.signature import Signature
from paceline.data.base import Corpus, Examples, Parts, split
from paceline.tasks.base.baselines import Baseline, measure_baselines
from paceline.tasks.base.find_goal import find_goal
from paceline.tasks.base.goal import Goal

GOAL_SETTINGS = ("smoothing", "metric", "class_weights")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Examples as tensors, on the CPU.

    Attributes:
        inputs: In the order of the signature; instead of a tensor there may be a
            ``LazyImages``, which is streamed.
        targets: int64 [n] or float32 [n], for sequences int64 [n, length] with -100 where
            nothing counts; None where there is nothing to compare with.
    """

    inputs: tuple[Any, ...]
    targets: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Why a task takes a corpus for its own; the strongest claim gets it.

    Attributes:
        strength: 0 to 1; a half where the kind of the corpus is all that speaks for it.
        reason: What was seen, a few words for the ledger.
        corpus: The corpus as the task wants it.
    """

    strength: float
    reason: str
    corpus: Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What a trained network made of the test examples.

    Attributes:
        answer: What the goal's ``judged`` gave, on the CPU.
        target: Encoded targets.
        examples: As the source gave them.
        train: The examples that it learnt from, likewise.
        ask: Answers for other examples, as the goal's ``answer`` gives them.
    """

    answer: Tensor
    target: Tensor
    examples: Examples
    train: Examples
    ask: Callable[[Examples], Tensor]


class Task(ABC):
    """One kind of examples with one goal.

    ``from_corpus`` looks at the training examples only. All it learns from them is in
    ``to_json``, so that a saved run encodes new examples exactly as it did in training.

    Class attributes:
        kinds: The kinds of corpus it can learn from.
        default_model: Name of the part on the models shelf.
        hints: Settings that say how data are to be read (which column is what); they are
            given to ``claim``, and a corpus is refused where one of them does not fit.
        test_passes: How often ``findings`` asks about as many examples as the test has.
    """

    kinds: ClassVar[tuple[str, ...]]
    goal: Goal
    default_model: ClassVar[str]
    hints: ClassVar[tuple[str, ...]] = ()
    test_passes: ClassVar[float] = 0.0

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        """Whether examples are of its kind, and why; None where they are not.

        Args:
            corpus: What a source gave; of a kind of this task's, or of another that it can
                make its own (a table that holds nothing but sentences).
            hints: What a person said, of the settings that are named in ``hints``.

        Raises:
            DataError: A hint names what is not there.
        """
        if corpus.kind not in cls.kinds:
            return None
        return Claim(strength=0.5, reason=f"the data are of the kind {corpus.kind}", corpus=corpus)

    @classmethod
    def find_goal(cls, corpus: Corpus, wanted: str | None, settings: dict[str, Any]) -> Goal:
        """What good means; takes the settings that are the goal's out of ``settings``.

        Args:
            corpus: As claimed.
            wanted: ``classification`` or ``regression``, where a person said so.
            settings: Of the task, by a person.

        Raises:
            DataError: There is nothing to learn.
        """
        if corpus.train.targets is None:
            columns = [str(name) for name in getattr(corpus.train.inputs, "columns", ())]
            raise DataError(
                f"{corpus.name} is a {corpus.kind}; say with --target which column to predict"
                f"{nearest('', columns)}"
                if columns
                else "there are no targets to learn; name them with --target"
            )
        given = {name: settings.pop(name) for name in GOAL_SETTINGS if name in settings}
        return find_goal(corpus.train.targets, wanted, **given)

    @classmethod
    def divide(
        cls, corpus: Corpus, goal: Goal, *, seed: int, validation: float, test: float
    ) -> Parts:
        """Training, validation and test examples; see ``split``."""
        return split(corpus, stratify=goal.stratify, seed=seed, validation=validation, test=test)

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        """Small made-up corpora, each with its training examples, to try the task on.

        Only needed where examples are of a kind that nobody else has.

        Args:
            held_out: Changes the examples of a corpus that are not training examples.
        """
        yield from ()

    @classmethod
    @abstractmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Task:
        """Learns the encoding from the training examples."""

    @abstractmethod
    def encode(self, examples: Examples) -> Encoded:
        """Examples as tensors.

        Raises:
            DataError: They do not look like the training examples; says how.
        """

    @abstractmethod
    def signature(self) -> Signature:
        """What a model must take and give."""

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        """Plain numbers for plain baselines: float32 [n, columns], nan for missing."""
        raise NotImplementedError

    def baselines(
        self, parts: Parts, *, seed: int, progress: Progress, effort: float = 1.0
    ) -> dict[str, Baseline]:
        """What plain methods reach on the test examples; see ``measure_baselines``."""
        assert parts.train.targets is not None and parts.test.targets is not None
        return measure_baselines(
            self.goal,
            self.features(parts.train),
            parts.train.targets,
            self.features(parts.test),
            parts.test.targets,
            seed=seed,
            progress=progress,
            categorical=self.categorical_features(),
            effort=effort,
        )

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        """More metrics of the test, and what is worth looking at beside them."""
        return {}, self.goal.findings(judged.answer, judged.target)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that was learnt, the goal included, as JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, state: Mapping[str, Any]) -> Task:
        """Back from what ``to_json`` gave."""

    def says(self, answer: Tensor, examples: Examples) -> dict[str, list[Any]]:
        """Answers as JSON values, by column: those of the goal, and what stands beside them."""
        return self.goal.says(answer)

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Varies a batch of training inputs on its device; the same for the same generator."""
        return inputs

    def defaults(self, examples: int) -> dict[str, Any]:
        """Plain defaults by number of training examples.

        Gives ``batch_size``, ``epochs``, and the settings of the default ``optimizer``; where
        the default controller will not do, those of a ``controller``, its ``name`` among them.
        """
        return {
            "batch_size": int(min(256, max(16, 2 ** round(np.log2(max(examples, 16) / 20))))),
            "epochs": float(np.clip(1e6 / max(examples, 1), 10, 100)),
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 1e-2},
        }

    def categorical_features(self) -> tuple[int, ...]:
        """Which columns of ``features`` hold codes of categories."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Warnings about the data, one line each."""
        return ()
