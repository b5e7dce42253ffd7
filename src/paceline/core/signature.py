"""What goes into a network and what comes out: from a task to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One input of a network.

    Attributes:
        name: ``image``, ``numeric``, ``category`` …
        shape: Without the batch axis: (channels, height, width), (columns,).
        dtype: torch's name of it: ``uint8``, ``float32``, ``int64``.
        cardinalities: For categories: how many codes each column has, the unknown included;
            for a sequence of tokens one number, how many there are.
        mean: One a channel or column, of the training examples.
        scale: One a channel or column, never zero.
        bins: For numbers: the increasing edges of each column's bins.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    cardinalities: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    bins: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Shapes, types and counts in and out, from a task to a model.

    Attributes:
        kind: What the inputs are: ``image``, ``table``, ``tensors``.
        inputs: In the order in which ``forward`` takes them.
        outputs: Size of the last axis: classes, or 1 for a number.
        backbone: A network that was trained before, as ``hf:folder`` or ``timm:name``; empty
            where there is none.
        parts: Where inputs are of several kinds, the signature of each, in the same order.
    """

    kind: str
    inputs: tuple[Field, ...]
    outputs: int
    backbone: str = ""
    parts: tuple[Signature, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "kind": self.kind,
            "outputs": self.outputs,
            "backbone": self.backbone,
            "parts": [part.to_json() for part in self.parts],
            "inputs": [
                {name: getattr(field, name) for name in Field.__dataclass_fields__}
                for field in self.inputs
            ],
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Signature:
        """Back from what ``to_json`` gave."""
        inputs = tuple(
            Field(**{key: _frozen(entry) for key, entry in field.items()})
            for field in value["inputs"]
        )
        return Signature(
            kind=value["kind"],
            inputs=inputs,
            outputs=value["outputs"],
            backbone=value.get("backbone", ""),
            parts=tuple(Signature.from_json(part) for part in value.get("parts", ())),
        )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value
