"""Examples that anybody can get at by number."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from paceline.data.base.source import Batch


class Pickable(Protocol):
    """Examples that can be picked, in an order that follows from a seed.

    Attributes:
        batch_size: Examples in a batch.
        examples: How many there are.
    """

    batch_size: int
    examples: int

    def rows(self, number: int) -> Tensor:
        """Which examples make the batch of a number: int64 [batch_size]."""

    def pick(self, rows: Tensor) -> Batch:
        """Some examples as a batch."""
