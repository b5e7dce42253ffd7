"""Frames between the coordinator and an agent: a JSON header and plain bytes, no pickle."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, final

_LENGTH = struct.Struct("<I")


@final
class Wire:
    """Sends and receives frames over a connection.

    Args:
        connection: A pipe's end or an authenticated socket; only its byte calls are used.

    >>> from multiprocessing import Pipe
    >>> here, there = map(Wire, Pipe())
    >>> here.send({"do": "work"}, b"12")
    >>> there.receive()
    ({'do': 'work'}, b'12')
    """

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self.connection = connection
        self._sending = threading.Lock()  # an agent's heart beats from a thread of its own

    def send(
        self, header: Mapping[str, Any], payload: bytes | bytearray | memoryview = b""
    ) -> None:
        """Sends a frame.

        Raises:
            OSError: The other side is gone.
        """
        head = json.dumps(header).encode()
        frame = b"".join((_LENGTH.pack(len(head)), head, payload))
        with self._sending:
            self.connection.send_bytes(frame)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next frame; waits for it.

        Raises:
            EOFError: The other side has closed.
            OSError: The other side is gone.
        """
        frame = self.connection.recv_bytes()
        (length,) = _LENGTH.unpack_from(frame)
        end = _LENGTH.size + length
        return json.loads(frame[_LENGTH.size : end]), frame[end:]

    def close(self) -> None:
        """Closes this end."""
        self.connection.close()
