"""Where agents of other machines come in, and where a person asks for more or fewer."""

from __future__ import annotations

import contextlib
import queue
import secrets
import struct
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import (
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from typing import Any, final

from paceline.agents.wire import Wire
from paceline.core.errors import SettingError

Request = tuple[dict[str, Any], Wire]
_NONSENSE = (OSError, EOFError, ValueError, LookupError, TypeError, struct.error)


@final
class Door:
    """Listens; whoever comes must know the token.

    Args:
        host: Address to listen on.
        port: 0 takes a free one.

    Attributes:
        address: Host and port.
        token: What those who come must know.
        requests: First frames of those who came for something else than to work, with the
            wires to answer on.

    Raises:
        SettingError: The address cannot be listened on.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.token = secrets.token_hex(16)
        try:
            self._listener = Listener((host, port))
        except OSError as error:
            raise SettingError(
                f"agents cannot listen on {host}:{port}: {error.strerror}; choose another address"
                " or port 0, which takes a free one"
            ) from None
        self.address: tuple[str, int] = (host, self._listener.address[1])
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._arrived: dict[int, Wire] = {}
        self._news = threading.Condition()
        self._open = True
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, number: int, seconds: float) -> Wire | None:
        """The wire to an agent; None where it does not come in time."""
        with self._news:
            self._news.wait_for(lambda: number in self._arrived, seconds)
            return self._arrived.pop(number, None)

    def close(self) -> None:
        """Lets nobody in any more."""
        self._open = False
        self._listener.close()

    def _listen(self) -> None:
        while self._open:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):
                if not self._open:
                    return
                continue
            threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: Connection[Any, Any]) -> None:
        """In a thread of its own: who says nothing keeps nobody else out."""
        wire, key = Wire(connection), self.token.encode()
        with contextlib.suppress(AuthenticationError, *_NONSENSE):
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
            said, _ = wire.receive()
            if said["say"] == "hello":
                with self._news:
                    self._arrived[int(said["number"])] = wire
                    self._news.notify_all()
            else:
                self.requests.put((said, wire))
