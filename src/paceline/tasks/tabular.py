"""Tables: a class or a number from columns of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch

from paceline.core.findings import Finding
from paceline.core.signature import Signature
from paceline.data.base import Corpus, Examples
from paceline.tasks.base import Encoded, Goal, Judged, Task, goal_from_json
from paceline.tasks.base.columns import Columns
from paceline.tasks.base.importance import PASSES, column_importance


@final
class Tabular(Task):
    """Columns of numbers, categories, dates and sentences.

    Inputs of the model are ``numeric``, float32 in the columns' own units with gaps
    filled, and ``category``, int64 codes (0 unknown or rare, 1 missing); a field without
    columns is left out.

    Args:
        columns: How a table is encoded.
    """

    kinds: ClassVar[tuple[str, ...]] = ("table",)
    default_model: ClassVar[str] = "tabm"
    test_passes: ClassVar[float] = float(PASSES)

    def __init__(self, goal: Goal, columns: Columns) -> None:
        self.goal, self.columns = goal, columns

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Tabular:
        assert train.targets is not None
        targets = goal.encode(train.targets).numpy()
        classes = goal.outputs if goal.name == "classification" else None
        return cls(goal, Columns.learn(train.inputs, targets, classes))

    def encode(self, examples: Examples) -> Encoded:
        inputs = tuple(
            torch.from_numpy(part)
            for part in self.columns.encode(examples.inputs)
            if part is not None
        )
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=inputs, targets=targets)

    def signature(self) -> Signature:
        fields = (self.columns.numeric, self.columns.category)
        return Signature(
            kind="table",
            inputs=tuple(field for field in fields if field is not None),
            outputs=self.goal.outputs,
        )

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        return self.columns.features(examples.inputs)

    def categorical_features(self) -> tuple[int, ...]:
        return self.columns.categorical

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        metrics, found = super().findings(judged)
        return metrics, (*found, *column_importance(self.goal, judged))

    def to_json(self) -> dict[str, Any]:
        return {"goal": self.goal.to_json(), "columns": self.columns.to_json()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Tabular:
        return cls(goal_from_json(state["goal"]), Columns.from_json(state["columns"]))

    def notes(self) -> tuple[str, ...]:
        return self.columns.notes

    def defaults(self, examples: int) -> dict[str, Any]:
        few = np.clip(2.0 ** np.round(np.log2(max(examples, 1) / 6)), 32, 256)
        many = np.clip(2.0 ** np.round(np.log2(max(examples, 1) / 400)), 256, 1024)
        return {
            "batch_size": int(max(few, many)) if examples > 100_000 else int(few),
            "epochs": float(np.clip(6e5 / max(examples, 1), 4, 40)),
            "optimizer": {
                "name": "adamw",
                "lr": float(np.clip(8e-3 * np.sqrt(examples / 12_000), 2e-3, 8e-3)),
                "weight_decay": 1e-2,
            },
        }
