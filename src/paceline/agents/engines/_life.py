"""The life of an agent's process, wherever it runs."""

from __future__ import annotations

import os
import signal

import torch

from paceline.agents.agent import Agent, Memories
from paceline.agents.wire import Wire
from paceline.agents.workshop import Workshop


def live(
    number: int,
    workshop: Workshop,
    memories: Memories,
    wire: Wire,
    *,
    threads: int,
    slow: float,
) -> None:
    """Works for the coordinator at the other end of a wire until it says goodbye or is gone."""
    from setproctitle import setproctitle  # only an agent's process needs it

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    setproctitle(f"paceline agent {number}")
    torch.set_num_threads(threads)
    agent = Agent(number, workshop, memories, wire, slow=slow)
    wire.send({"say": "ready", "id": 0, "process_id": os.getpid()} | workshop.identity)
    agent.serve()
