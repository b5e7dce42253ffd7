"""How often each example was learnt from: the proof that none is lost or counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, final

import numpy as np
from torch import Tensor


@final
class Coverage:
    """Counts the examples of the committed steps.

    Args:
        examples: How many there are.

    >>> import torch
    >>> coverage = Coverage(3)
    >>> coverage.commit(torch.tensor([0, 2])), coverage.commit(torch.tensor([1]))
    (None, None)
    >>> coverage.summary()
    {'examples': 3, 'counted': 3, 'fewest': 1, 'most': 1}
    """

    def __init__(self, examples: int) -> None:
        self.counts = np.zeros(examples, dtype=np.int64)

    def commit(self, rows: Tensor) -> None:
        """Counts the examples of a step."""
        np.add.at(self.counts, rows.cpu().numpy(), 1)

    def summary(self) -> dict[str, int]:
        """Counts in all, and of the example that was met least and most often."""
        return {
            "examples": len(self.counts),
            "counted": int(self.counts.sum()),
            "fewest": int(self.counts.min()),
            "most": int(self.counts.max()),
        }

    def state_dict(self) -> dict[str, Any]:
        """All counts, run by run: most examples were met equally often."""
        edges = np.flatnonzero(np.diff(self.counts)) + 1
        starts = [0, *edges.tolist(), len(self.counts)]
        return {
            "lengths": [end - start for start, end in pairwise(starts)],
            "values": [int(self.counts[start]) for start in starts[:-1]],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.counts = np.repeat(
            np.asarray(state["values"], dtype=np.int64), np.asarray(state["lengths"])
        )


def gap_in(ranges: Iterable[Sequence[int]], numbers: Iterable[int], rows: int) -> str:
    """What is missing or doubled where ranges (number, first, count) should fill batches.

    >>> gap_in([(7, 0, 3), (7, 3, 1)], [7], 4)
    ''
    >>> gap_in([(7, 0, 3), (7, 2, 2)], [7], 4)
    'batch 7: rows 2 to 3 of 4 come after row 3'
    """
    ranges = list(ranges)
    for number in numbers:
        at = 0
        for _, first, count in sorted(tuple(each) for each in ranges if each[0] == number):
            if first != at:
                last = first + count - 1
                return f"batch {number}: rows {first} to {last} of {rows} come after row {at}"
            at += count
        if at != rows:
            return f"batch {number}: {at} of {rows} rows were worked on"
    return ""
