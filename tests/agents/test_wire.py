"""Frames arrive whole, in order, and say what was sent."""

from __future__ import annotations

import threading
from multiprocessing import Pipe

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.agents.wire import Wire

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), values, max_size=4), st.binary(max_size=2000))
def test_what_is_sent_arrives(header, payload):
    here, there = map(Wire, Pipe())
    here.send(header, payload)
    assert there.receive() == (header, payload)
    here.close()
    there.close()


def test_a_view_of_memory_is_sent_without_being_bytes():
    here, there = map(Wire, Pipe())
    here.send({}, memoryview(b"weights"))
    assert there.receive() == ({}, b"weights")


def test_who_waits_is_told_that_the_other_has_gone():
    here, there = map(Wire, Pipe())
    here.close()
    with pytest.raises(EOFError):
        there.receive()
    with pytest.raises(OSError, match="Broken pipe"):
        there.send({"do": "work"})


def test_threads_that_send_at_once_do_not_mix_their_frames():
    here, there = map(Wire, Pipe())
    senders = [
        threading.Thread(target=lambda at=at: [here.send({"at": at}, bytes([at]) * 50)] * 20)
        for at in range(4)
    ]
    for each in senders:
        each.start()
    got = [there.receive() for _ in senders]
    for each in senders:
        each.join()
    assert sorted(header["at"] for header, _ in got) == [0, 1, 2, 3]
    assert all(payload == bytes([header["at"]]) * 50 for header, payload in got)
