"""Asks a training that runs for its agents, for more of them or for fewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any, final

from paceline.agents.door import Door
from paceline.agents.team import Team
from paceline.agents.wire import Wire
from paceline.core.errors import PacelineError, RunError, StorageError
from paceline.core.files import write_atomically

FILE = "agents.json"


@final
class Desk:
    """Answers those who ask a running team for something.

    Args:
        folder: The run's; how to reach the desk is written there, for its owner alone.
        team: Of which it tells, and which it changes.
        port: Where it listens; 0 takes a free one.

    Attributes:
        file: Where it says how to be reached.

    Raises:
        SettingError: The port cannot be listened on.
    """

    def __init__(self, folder: Path, team: Team, *, port: int = 0) -> None:
        self._door, self._team, self.file = Door(port=port), team, folder / FILE
        known = {"address": list(self._door.address), "token": self._door.token}
        write_atomically(self.file, json.dumps(known).encode(), mode=0o600)

    def answer(self) -> None:
        """Answers everybody who has asked since the last time."""
        while not self._door.requests.empty():
            asked, wire = self._door.requests.get()
            try:
                wire.send(self._do(asked))
            except OSError:
                continue
            finally:
                wire.close()

    def _do(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            for _ in range(int(asked.get("add", 0))):
                self._team.join()
            for number in asked.get("remove", []):
                self._team.leave(int(number))
        except PacelineError as error:
            return {"error": str(error)}
        return {"agents": self._who(), "steps": self._team.steps}

    def _who(self) -> list[dict[str, Any]]:
        lanes = {lane.number: lane for lane in self._team.lanes}
        return [
            {
                "number": number,
                "place": member.place,
                "samples": lanes[number].samples if number in lanes else 0,
                "compute_seconds": lanes[number].compute_seconds if number in lanes else 0.0,
                "wait_seconds": lanes[number].wait_seconds if number in lanes else 0.0,
            }
            for number, member in sorted(self._team.members.items())
        ]

    def close(self) -> None:
        """Answers nobody any more."""
        self._door.close()
        self.file.unlink(missing_ok=True)


def ask(
    run: Path | str,
    *,
    add: int = 0,
    remove: tuple[int, ...] = (),
    connect: Callable[..., Any] = Client,
) -> dict[str, Any]:
    """Asks a run that trains with agents.

    Args:
        run: Its directory.
        add: Agents to start.
        remove: Numbers of those that are to leave.
        connect: Reaches an address.

    Returns:
        ``agents``, those that are up, and ``steps``.

    Raises:
        RunError: Nothing trains there with agents, or it refuses.
        StorageError: The directory cannot be read.
    """
    file = Path(run) / FILE
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        host, port = known["address"]
        wire = Wire(connect((host, int(port)), authkey=known["token"].encode()))
        wire.send({"say": "ask", "add": add, "remove": list(remove)})
        answer, _ = wire.receive()
    except PermissionError as error:
        raise StorageError(f"cannot read {file}: {error.strerror}") from None
    except (OSError, EOFError, AuthenticationError, ValueError, KeyError):
        raise RunError(
            f"nothing trains with agents in {run}; begin with paceline fit … --agents N --out {run}"
        ) from None
    if "error" in answer:
        raise RunError(answer["error"])
    return answer
