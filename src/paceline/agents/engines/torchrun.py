"""Agents in processes that torchrun started: rank 0 coordinates, the others come to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from multiprocessing.connection import Client
from typing import Any, final

import torch
from torch import distributed

from paceline.agents.agent import memories_of
from paceline.agents.door import Door
from paceline.agents.engines._life import live
from paceline.agents.engines.local import Local
from paceline.agents.member import Member
from paceline.agents.wire import Wire
from paceline.agents.workshop import Workshop
from paceline.core.errors import AgentsLost, SettingError

_CONNECT_SECONDS = 120.0
_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@final
class Torchrun:
    """Takes the ranks of ``torchrun … -m paceline fit … --engine torchrun`` for agents.

    Every rank prepares the same data by the same command. Rank 0 coordinates and starts agent
    1 beside itself; rank r becomes agent r + 1. A rank that dies is not started again by this.

    Args:
        workshop: What they work with.
        weights: The bench's weights.
        buffers: The bench's buffers.
        threads: That each may compute with.
        slow: How many times slower each pretends to be.
        port: Where they come in; 0 takes a free one.
        environment: Where torchrun says who is who.

    Raises:
        SettingError: torchrun did not start this process.
    """

    name = "torchrun"

    def __init__(
        self,
        workshop: Workshop,
        weights: torch.Tensor,
        buffers: torch.Tensor,
        *,
        threads: int,
        slow: tuple[float, ...] = (),
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.warm_up(environment)
        known = os.environ if environment is None else environment
        self.rank, self._ranks = int(known["RANK"]), int(known["WORLD_SIZE"])
        self._host = known["MASTER_ADDR"]
        self._store = distributed.TCPStore(  # type: ignore[attr-defined] # it is there
            self._host,
            int(known["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=_CONNECT_SECONDS),
        )
        self._workshop, self._threads, self._slow = workshop, threads, slow
        self._local = Local(workshop, weights, buffers, threads=threads, slow=slow)
        self._door: Door | None = None
        self._port = port

    @staticmethod
    def warm_up(environment: Mapping[str, str] | None = None, *, steps: bool = False) -> None:
        """Refuses to go on where torchrun did not start this process."""
        known = os.environ if environment is None else environment
        missing = [name for name in _NEEDED if name not in known]
        if missing:
            raise SettingError(
                f"--engine torchrun needs {', '.join(missing)}, which torchrun sets: start with"
                " torchrun --nproc-per-node N -m paceline fit …"
            )

    def start(self, numbers: Sequence[int]) -> list[Member]:
        """Starts the first agent here and waits for the others.

        Raises:
            AgentsLost: A rank did not come.
        """
        if self._door is None:
            alone = self._host in ("localhost", "127.0.0.1")
            self._door = Door("127.0.0.1" if alone else "0.0.0.0", self._port)
            where = f"{self._host}:{self._door.address[1]}:{self._door.token}"
            self._store.set("paceline/door", where)
        here = [number for number in numbers if number == 1 or number > self._ranks]
        return sorted(
            [*self._local.start(here), *(self._come(each) for each in numbers if each not in here)],
            key=lambda member: member.number,
        )

    def _come(self, number: int) -> Member:
        assert self._door is not None
        wire = self._door.wait_for(number, _CONNECT_SECONDS)
        if wire is None:
            raise AgentsLost(f"rank {number - 1} did not come within {_CONNECT_SECONDS:g} s")
        return Member(
            number=number,
            wire=wire,
            memories=memories_of(self._workshop),
            process_id=0,
            kill=wire.close,
            shares_memory=False,
            place=f"rank {number - 1}",
        )

    def serve(self) -> None:
        """Works for rank 0 until it says goodbye."""
        host, port, token = self._store.get("paceline/door").decode().rsplit(":", 2)
        wire = Wire(Client((host, int(port)), authkey=token.encode()))
        number = self.rank + 1
        wire.send({"say": "hello", "number": number})
        slow = self._slow[self.rank] if self.rank < len(self._slow) else 1.0
        memories: Any = memories_of(self._workshop)
        live(number, self._workshop, memories, wire, threads=self._threads, slow=slow)

    def close(self) -> None:
        """Lets nobody in any more."""
        if self._door is not None:
            self._door.close()
