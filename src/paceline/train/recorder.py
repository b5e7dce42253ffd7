"""Puts readings of a run into its ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from paceline.core.ledger import Ledger
from paceline.core.readings import Glimpse

RECORDS = 300


@final
class Recorder:
    """Puts the means of some hundred stretches of a run into the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.cursor = ledger.cursor()
        self._next = 0.0
        self._sum, self._count = 0.0, 0

    def take(self, glimpse: Glimpse, values: Mapping[str, float], done: float) -> None:
        """Takes in a step or some; writes a row for each number when a stretch is full."""
        self._sum += sum(glimpse.earlier) + glimpse.loss
        self._count += len(glimpse.earlier) + 1
        if done < self._next and math.isfinite(glimpse.loss):
            return
        self._next = done + 1 / RECORDS
        now = glimpse.elapsed_seconds
        self.row("loop", "loss", self._sum / self._count, glimpse.step, now)
        self.row("loop", "learning_rate", glimpse.learning_rate, glimpse.step, now)
        if glimpse.gradient_norm == glimpse.gradient_norm:
            self.row("loop", "gradient_norm", glimpse.gradient_norm, glimpse.step, now)
        for name in ("step_seconds", "examples_per_second"):
            if name in values:
                self.row("loop", name, values[name], glimpse.step, now)
        self._sum, self._count = 0.0, 0

    def row(self, source: str, name: str, value: float, step: int, seconds: float) -> None:
        """One reading."""
        self._ledger.write(
            "reading", step=step, seconds=seconds, source=source, name=name, value=value
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "cursor": self.cursor,
            "next": self._next,
            "sum": self._sum,
            "count": self._count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.cursor, self._next = state["cursor"], state["next"]
        self._sum, self._count = state["sum"], state["count"]
