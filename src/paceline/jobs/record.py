"""Writes a job's settings, decisions and results into its ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from paceline.core.ledger import Kind, Ledger


@final
class Record:
    """A ledger with a clock.

    Args:
        ledger: Where rows go.
        elapsed: Seconds since the run began.
    """

    def __init__(self, ledger: Ledger, elapsed: Callable[[], float]) -> None:
        self.ledger, self.elapsed = ledger, elapsed

    def note(
        self,
        kind: Kind,
        name: str,
        detail: Mapping[str, Any],
        *,
        source: str = "fit",
        value: float | None = None,
        step: int = 0,
    ) -> None:
        """One row."""
        self.ledger.write(
            kind,
            step=step,
            seconds=self.elapsed(),
            source=source,
            name=name,
            value=value,
            detail=detail,
        )

    def decide(
        self,
        name: str,
        chosen: Any,
        *,
        seen: Mapping[str, Any],
        reason: str,
        choices: Sequence[str] = (),
        source: str = "fit",
        step: int = 0,
    ) -> None:
        """One decision: what was chosen of which choices, what was seen, and why."""
        detail = {"chosen": chosen, "seen": dict(seen), "reason": reason}
        if choices:
            detail["choices"] = list(choices)
        self.note("decision", name, detail, source=source, step=step)

    def results(self, metrics: Mapping[str, float], *, source: str, step: int = 0) -> None:
        """One row for each metric."""
        for name, value in metrics.items():
            self.note("result", name, {}, source=source, value=value, step=step)
