"""Agents on the nodes of a Ray cluster: one host on each node, which forks that node's agents."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Sequence
from typing import Any, final

import torch

from paceline.agents.agent import memories_of
from paceline.agents.door import Door
from paceline.agents.engines._host import Host
from paceline.agents.member import Member
from paceline.agents.workshop import Workshop
from paceline.core.errors import AgentsLost, SettingError
from paceline.core.extras import need

_CONNECT_SECONDS = 180.0


@final
class Ray:
    """Starts agents on a Ray cluster; they come back to this process through a door.

    Args:
        workshop: What they work with.
        weights: The bench's weights; sent along, for no memory is shared.
        buffers: The bench's buffers; likewise.
        threads: That each may compute with.
        slow: How many times slower each pretends to be.
        port: Where they come in; 0 takes a free one.
        address: Of a cluster that runs; the one of this session, or a new one of this
            machine alone, when left out.

    Raises:
        MissingExtra: Ray is not installed.
        SettingError: No cluster answers at the address, or the port cannot be listened on.
    """

    name = "ray"

    def __init__(
        self,
        workshop: Workshop,
        weights: torch.Tensor,
        buffers: torch.Tensor,
        *,
        threads: int,
        slow: tuple[float, ...] = (),
        port: int = 0,
        address: str | None = None,
    ) -> None:
        self._ray = self.warm_up()
        self._began = not self._ray.is_initialized()
        if self._began:
            self._connect(address)
        here = self._ray.util.get_node_ip_address()
        self._door = Door(here, port)
        self._threads, self._slow = threads, slow
        self._workshop, self._shared = workshop, self._ray.put(workshop)
        self._hosts: dict[str, Any] = {}

    @staticmethod
    def warm_up(*, steps: bool = False) -> Any:
        """Ray itself, told of before anything else is done where it is missing.

        Raises:
            MissingExtra: Ray is not installed.
        """
        return need("ray", extra="ray", purpose="running agents on a Ray cluster")

    def _connect(self, address: str | None) -> None:
        settings: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        try:
            if address is None:
                self._ray.init(include_dashboard=False, num_cpus=mp.cpu_count(), **settings)
            else:
                self._ray.init(address=address, **settings)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            first = str(error).strip().splitlines()[0]
            raise SettingError(f"no Ray cluster answers at {address}: {first}") from None

    def start(self, numbers: Sequence[int]) -> list[Member]:
        """Starts agents, spread over the nodes."""
        nodes = sorted(
            (each for each in self._ray.nodes() if each["Alive"]), key=lambda each: each["NodeID"]
        )
        where = {number: nodes[(number - 1) % len(nodes)] for number in numbers}
        started = {
            number: self._host(node["NodeID"]).start.remote(
                self._shared, number, self._door.address, self._door.token, self._slow_of(number)
            )
            for number, node in where.items()
        }
        for number, answer in started.items():
            try:
                self._ray.get(answer, timeout=_CONNECT_SECONDS)
            except Exception as error:
                first = str(error).strip().splitlines()[0]
                raise AgentsLost(f"agent {number} could not be started by Ray: {first}") from None
        return [self._member(number, where[number]) for number in numbers]

    def _slow_of(self, number: int) -> float:
        return self._slow[number - 1] if number <= len(self._slow) else 1.0

    def _member(self, number: int, node: dict[str, Any]) -> Member:
        wire = self._door.wait_for(number, _CONNECT_SECONDS)
        if wire is None:
            raise AgentsLost(
                f"agent {number} on {node['NodeManagerAddress']} did not reach"
                f" {self._door.address[0]}:{self._door.address[1]}; is a firewall between?"
            )
        host = self._host(node["NodeID"])
        return Member(
            number=number,
            wire=wire,
            memories=memories_of(self._workshop),
            process_id=0,
            kill=lambda: host.kill.remote(number),
            shares_memory=False,
            place=f"node {node['NodeManagerAddress']} {node['NodeID'][:6]}",
        )

    def _host(self, node: str) -> Any:
        if node not in self._hosts:
            pinned = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                node_id=node, soft=False
            )
            actor = self._ray.remote(Host).options(num_cpus=0, scheduling_strategy=pinned)
            self._hosts[node] = actor.remote(self._threads)
        return self._hosts[node]

    def close(self) -> None:
        """Ends the hosts, and the cluster where this began it."""
        self._door.close()
        for host in self._hosts.values():
            self._ray.kill(host)
        if self._began:
            self._ray.shutdown()
