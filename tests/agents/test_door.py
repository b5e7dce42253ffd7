"""Who knows the token comes in; nobody else does, and nobody stops the others."""

from __future__ import annotations

import socket
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from paceline.agents.door import Door
from paceline.agents.wire import Wire
from paceline.core.errors import SettingError


@pytest.fixture
def door():
    door = Door()
    yield door
    door.close()


def come(door, token=None):
    return Wire(Client(door.address, authkey=(token or door.token).encode()))


def test_an_agent_is_found_by_its_number(door):
    second, first = come(door), come(door)
    second.send({"say": "hello", "number": 2})
    first.send({"say": "hello", "number": 1})
    for number, sender in ((1, first), (2, second)):
        wire = door.wait_for(number, 20)
        sender.send({"say": "ready", "id": number})
        assert wire.receive() == ({"say": "ready", "id": number}, b"")


def test_one_that_does_not_come_is_not_waited_for_longer(door):
    assert door.wait_for(1, 0) is None


def test_a_wrong_token_is_refused_and_the_next_may_come(door):
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        come(door, "guessed")
    right = come(door)
    right.send({"say": "hello", "number": 5})
    assert door.wait_for(5, 20) is not None


@pytest.mark.parametrize(
    "frame", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x05{}"]
)
def test_nonsense_does_not_close_the_door(door, frame):
    with socket.create_connection(door.address) as stranger:
        stranger.sendall(frame)
    with Client(door.address, authkey=door.token.encode()) as known:
        known.send_bytes(frame)
    right = come(door)
    right.send({"say": "hello", "number": 1})
    assert door.wait_for(1, 20) is not None


def test_one_who_says_nothing_keeps_nobody_out(door):
    with socket.create_connection(door.address):
        right = come(door)
        right.send({"say": "hello", "number": 1})
        assert door.wait_for(1, 20) is not None


def test_a_request_is_kept_with_a_wire_to_answer_on(door):
    person = come(door)
    person.send({"say": "join", "agents": 2})
    said, wire = door.requests.get(timeout=20)
    assert said == {"say": "join", "agents": 2}
    wire.send({"say": "done"})
    assert person.receive() == ({"say": "done"}, b"")


def test_tokens_differ(door):
    other = Door()
    try:
        assert other.token != door.token and len(other.token) == 32
        assert other.address != door.address
    finally:
        other.close()


def test_an_address_that_is_taken_is_told(door):
    with pytest.raises(SettingError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*port 0"):
        Door(port=door.address[1])
