"""Agents as processes of this machine, forked from a server that has torch loaded already."""

from __future__ import annotations

import multiprocessing as mp
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, final

import torch

from paceline.agents.agent import Memories
from paceline.agents.engines import live
from paceline.agents.member import Member
from paceline.agents.wire import Wire
from paceline.agents.workshop import Workshop
from paceline.core.errors import SettingError

_PRELOADED = ["paceline.agents.engines.local", "paceline.agents.engines._warm"]

_OPTIMIZER = "paceline.agents.engines._warm_steps"


@final
class Local:
    """Starts agents on this machine.

    Args:
        workshop: What they work with.
        weights: The bench's weights.
        buffers: The bench's buffers.
        threads: That each may compute with.
        slow: How many times slower each pretends to be; those that are not named are not.
    """

    name = "local"

    def __init__(
        self,
        workshop: Workshop,
        weights: torch.Tensor,
        buffers: torch.Tensor,
        *,
        threads: int,
        slow: tuple[float, ...] = (),
    ) -> None:
        self._workshop, self._weights, self._buffers = workshop, weights, buffers
        self._threads, self._slow = threads, slow
        self._context = self.warm_up()

    @staticmethod
    def warm_up(*, steps: bool = False) -> Any:
        """Starts the server that agents are forked from, which loads torch meanwhile.

        Args:
            steps: Whether agents will step an optimizer of their own.
        """
        if sys.platform == "win32":
            return mp.get_context("spawn")
        context = mp.get_context("forkserver")
        context.set_forkserver_preload([*_PRELOADED, *([_OPTIMIZER] if steps else [])])
        forkserver.ensure_running()
        return context

    def close(self) -> None:
        """Has nothing to give back: agents leave when they are told."""

    def start(self, numbers: Sequence[int]) -> list[Member]:
        """Starts agents.

        Raises:
            SettingError: Something that it needs cannot be handed to another process.
        """
        return [self._start(number) for number in numbers]

    def _start(self, number: int) -> Member:
        work = self._workshop
        memories = Memories(
            weights=self._weights,
            buffers=self._buffers,
            gradient=work.parameters.memory(),
            after=work.buffers.memory(),
        )
        here, there = self._context.Pipe()
        slow = self._slow[number - 1] if number <= len(self._slow) else 1.0
        process = self._context.Process(
            target=_run,
            args=(number, work, memories, there, self._threads, slow),
            name=f"paceline agent {number}",
            daemon=True,
        )
        try:
            process.start()
        except (AttributeError, TypeError, RuntimeError) as error:
            raise SettingError(f"agents: {_reason(error)}") from None
        except Exception as error:
            if type(error).__name__ != "PicklingError":
                raise
            raise SettingError(f"agents: {_reason(error)}") from None
        there.close()
        return Member(
            number=number,
            wire=Wire(here),
            memories=memories,
            process_id=process.pid or 0,
            kill=process.kill,
            shares_memory=True,
            place=f"process {process.pid}",
        )


def _reason(error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "bootstrapping" in str(error) or "freeze_support" in str(error):
        return 'put what starts the training under `if __name__ == "__main__":`'
    return (
        f"what they need cannot be handed to another process ({first}); define your model, loss"
        " and dataset at the top level of a module"
    )


def _run(
    number: int,
    workshop: Workshop,
    memories: Memories,
    connection: Connection[Any, Any],
    threads: int,
    slow: float,
) -> None:
    live(number, workshop, memories, Wire(connection), threads=threads, slow=slow)
