"""Tells whose doing it was that a step was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final


@final
@dataclass(kw_only=True, slots=True)
class Skips:
    """Counts the updates that were left out.

    Attributes:
        skipped: Because a loss or a gradient was not finite.
        by_scaler: Because a gradient scaler was finding its factor.

    >>> skips = Skips()
    >>> skips.hear({"skipped_steps": 1.0}), skips.hear({"skipped_steps": 2.0, "scaler_skips": 1.0})
    ((True, False), (False, True))
    """

    skipped: int = 0
    by_scaler: int = 0

    def hear(self, values: Mapping[str, float]) -> tuple[bool, bool]:
        """Whether the last step was left out for itself, and whether by a scaler."""
        skipped = int(values.get("skipped_steps", self.skipped))
        by_scaler = int(values.get("scaler_skips", self.by_scaler))
        new, overflowed = skipped > self.skipped, by_scaler > self.by_scaler
        self.skipped, self.by_scaler = skipped, by_scaler
        return new and not overflowed, overflowed
