"""Arrays of any shape, taken as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch

from paceline.core.errors import DataError
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples
from paceline.tasks.base import Encoded, Goal, Task, goal_from_json


@final
class Tensors(Task):
    """Numbers in arrays, one example a row, standardised along the second axis.

    Args:
        fields: One an array, in order.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tensors",)
    default_model: ClassVar[str] = "mlp"

    def __init__(self, goal: Goal, fields: tuple[Field, ...]) -> None:
        self.goal, self.fields = goal, fields

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Tensors:
        return cls(goal, tuple(_field(at, part) for at, part in enumerate(train.inputs)))

    def encode(self, examples: Examples) -> Encoded:
        if len(examples.inputs) != len(self.fields):
            raise DataError(
                f"{len(self.fields)} arrays are needed, as in training; got {len(examples.inputs)}"
            )
        inputs = []
        for field, part in zip(self.fields, examples.inputs, strict=True):
            if part.shape[1:] != field.shape:
                raise DataError(
                    f"{field.name} must have the shape {field.shape} for each example, as in"
                    f" training; got {part.shape[1:]}"
                )
            inputs.append(torch.from_numpy(np.ascontiguousarray(part)).to(_TYPES[field.dtype]))
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=tuple(inputs), targets=targets)

    def signature(self) -> Signature:
        return Signature(kind="tensors", inputs=self.fields, outputs=self.goal.outputs)

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in examples.inputs]
        joined: np.ndarray[Any, Any] = np.concatenate(flat, 1).astype(np.float32)
        return joined

    def to_json(self) -> dict[str, Any]:
        signature = self.signature().to_json()
        return {"goal": self.goal.to_json(), "fields": signature["inputs"]}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Tensors:
        goal = goal_from_json(state["goal"])
        value = {"kind": "tensors", "inputs": state["fields"], "outputs": goal.outputs}
        return cls(goal, Signature.from_json(value).inputs)


_TYPES = {"float32": torch.float32, "int64": torch.int64}


def _field(at: int, part: np.ndarray[Any, Any]) -> Field:
    name = f"input {at + 1}"
    if part.dtype.kind not in "fiub":
        raise DataError(f"{name} must hold numbers, got {part.dtype}")
    if part.dtype.kind == "f" and not np.isfinite(part).all():
        row = int(np.flatnonzero(~np.isfinite(part).reshape(len(part), -1).all(1))[0])
        raise DataError(f"{name} has nan or inf in example {row + 1}; fill it in or leave it out")
    whole = part.dtype.kind in "iu" and part.ndim <= 2
    shape = tuple(int(size) for size in part.shape[1:])
    if whole or part.ndim < 2:
        return Field(name=name, shape=shape, dtype="int64" if whole else "float32")
    axes = (0, *range(2, part.ndim))
    mean, scale = part.mean(axes, dtype=np.float64), part.std(axes, dtype=np.float64)
    return Field(
        name=name,
        shape=shape,
        dtype="float32",
        mean=tuple(float(value) for value in mean),
        scale=tuple(float(value) or 1.0 for value in scale),
    )
