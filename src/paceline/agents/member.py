"""An agent, as the coordinator sees it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch

from paceline.agents.agent import Memories
from paceline.agents.wire import Wire

Range = tuple[int, int, int]


@final
@dataclass(kw_only=True, slots=True)
class Member:
    """An agent, as the coordinator sees it.

    Attributes:
        number: What it is called, from 1.
        wire: To it.
        memories: What it reads and writes.
        process_id: On its machine.
        kill: Ends it at once.
        shares_memory: Whether the memories are shared with it.
        place: Where it is, in words.
        seconds: What it computed for in this round; nan where it has not answered.
        row_seconds: The same for one row, as it was measured last.
        most: Rows that fit into its memory at once; None where no limit is known.
        given: When it was given its work, by the clock of this machine.
        allowed: Seconds that it may take.
        due: When it is late.
        heard: When it was heard of last.
        ranges: What it was given and has not brought back yet.
    """

    number: int
    wire: Wire
    memories: Memories
    process_id: int
    kill: Callable[[], None]
    shares_memory: bool
    place: str
    seconds: float = math.nan
    row_seconds: float = math.nan
    most: int | None = None
    given: float = 0.0
    allowed: float = 0.0
    due: float = math.inf
    heard: float = 0.0
    ranges: list[Range] = field(default_factory=list)

    def take_over(self, payload: bytes) -> None:
        """Keeps the gradient and the buffers of one that shares no memory."""
        given = torch.frombuffer(bytearray(payload), dtype=torch.uint8)
        size = len(self.memories.gradient)
        self.memories.gradient.copy_(given[:size])
        self.memories.after.copy_(given[size:])

    def worked(self, share: int) -> float:
        """Seconds that it computed for its share of the step."""
        return 0.0 if share == 0 or math.isnan(self.seconds) else self.seconds

    def farewell(self) -> None:
        """Sends it home."""
        try:
            self.wire.send({"do": "leave"})
        except OSError:
            self.kill()
        self.wire.close()
