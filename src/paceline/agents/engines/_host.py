"""Starts agents on one machine of several; each goes to the coordinator over the network."""

from __future__ import annotations

import multiprocessing as mp
from multiprocessing.connection import Client
from typing import Any

from paceline.agents.agent import memories_of
from paceline.agents.engines._life import live
from paceline.agents.wire import Wire
from paceline.agents.workshop import Workshop


class Host:
    """Forks the agents of its node.

    Args:
        threads: That each may compute with.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._context: Any = mp.get_context("forkserver")
        self._context.set_forkserver_preload(["paceline.agents.engines._warm"])
        self._agents: dict[int, Any] = {}

    def start(
        self, workshop: Workshop, number: int, address: tuple[str, int], token: str, slow: float
    ) -> int:
        """Starts an agent that goes to an address; gives its process."""
        process = self._context.Process(
            target=live_remotely,
            args=(number, workshop, address, token, self._threads, slow),
            name=f"paceline agent {number}",
            daemon=True,
        )
        process.start()
        self._agents[number] = process
        return int(process.pid or 0)

    def kill(self, number: int) -> None:
        """Ends an agent at once."""
        if number in self._agents:
            self._agents[number].kill()


def live_remotely(
    number: int,
    workshop: Workshop,
    address: tuple[str, int],
    token: str,
    threads: int,
    slow: float,
) -> None:
    """The life of an agent that reaches the coordinator over the network."""
    wire = Wire(Client((address[0], address[1]), authkey=token.encode()))
    wire.send({"say": "hello", "number": number})
    live(number, workshop, memories_of(workshop), wire, threads=threads, slow=slow)
