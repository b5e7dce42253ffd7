"""Writes down what controllers decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from paceline.core.ledger import Ledger
from paceline.core.readings import Move, Reading, Steer

_SEEN = (
    "loss",
    "loss_smooth",
    "loss_trend",
    "gradient_norm",
    "validation_loss",
    "noise_scale_examples",
)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a controller decided, and why.

    Attributes:
        step: Updates done before it.
        source: Which controller.
        reason: Why, in one line.
        learning_rate: What it asked for, or None.
        factor: What it multiplies the rate by.
        batch_size: What it asked for, or None.
        stop: Whether it ended the run.
        moves: What it had done with remembered states.
        seen: What it rests on, by name.
    """

    step: int
    source: str
    reason: str
    learning_rate: float | None
    factor: float
    batch_size: int | None
    stop: bool
    moves: tuple[Move, ...]
    seen: Mapping[str, float]

    @classmethod
    def of(cls, source: str, reading: Reading, steer: Steer) -> Decision:
        """A controller's steer on a reading."""
        known = {name: reading.values[name] for name in _SEEN if name in reading.values}
        return cls(
            step=reading.step,
            source=source,
            reason=steer.reason,
            learning_rate=steer.learning_rate,
            factor=steer.factor,
            batch_size=steer.batch_size,
            stop=steer.stop,
            moves=steer.moves,
            seen={**known, "progress": reading.progress},
        )

    def write(self, ledger: Ledger, elapsed_seconds: float) -> None:
        """Puts it into a ledger."""
        name, chosen = self._choice()
        detail: dict[str, Any] = {
            "chosen": chosen,
            "reason": self.reason,
            "seen": {name: value for name, value in self.seen.items() if math.isfinite(value)},
        }
        if self.moves:
            detail["moves"] = [f"{move.verb} {move.name}".strip() for move in self.moves]
        ledger.write(
            "decision",
            step=self.step,
            seconds=elapsed_seconds,
            source=self.source,
            name=name,
            value=self.learning_rate,
            detail=detail,
        )

    def _choice(self) -> tuple[str, Any]:
        """What was chosen, and the name of that."""
        if self.stop:
            return "stop", "now"
        if self.batch_size is not None:
            return "batch_size", self.batch_size
        if self.learning_rate is not None:
            return "learning_rate", self.learning_rate
        return "factor", self.factor


def explained(decisions: Sequence[Decision], would: str) -> str:
    """A line for each decision; ``would`` stands before what was not done."""
    return "\n".join(f"step {each.step}: {each.source}: {would}{each.reason}" for each in decisions)
