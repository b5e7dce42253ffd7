"""A step is done by whoever is left, each row once, whatever breaks meanwhile."""

from __future__ import annotations

import math
import threading
from multiprocessing import Pipe

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.agents import round as module
from paceline.agents.agent import Memories
from paceline.agents.coverage import gap_in
from paceline.agents.member import Member
from paceline.agents.round import Round
from paceline.agents.wire import Wire

EMPTY = torch.zeros(1, dtype=torch.uint8)


def done(order, **other):
    rows = sum(count for _, _, count in order["ranges"])
    said = {
        "say": "done", "id": order["id"], "ranges": order["ranges"], "loss": 2.0 * rows,
        "elements": rows, "touched": None, "seconds": 0.5 * rows,
        "first": [2.0 * rows, rows],
    }  # fmt: skip
    return said | other


class Fake:
    """The other end of a wire: a thread that answers orders as it is told."""

    def __init__(self, number, answer):
        here, there = Pipe()
        self.wire, self.answer, self.orders = Wire(there), answer, []
        self.member = Member(
            number=number,
            wire=Wire(here),
            memories=Memories(weights=EMPTY, buffers=EMPTY, gradient=EMPTY, after=EMPTY),
            process_id=0,
            kill=self.end,
            shares_memory=True,
            place="here",
        )
        self.killed, self.held = False, []
        if answer is gone:
            there.close()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def end(self):
        self.killed = True

    def serve(self):
        try:
            while True:
                order, _ = self.wire.receive()
                self.orders.append(order)
                self.held = [] if order["fresh"] else self.held  # as an agent's gradient does
                for said in self.answer(self, order):
                    self.held += said["ranges"] if said["say"] == "done" else []
                    self.wire.send(said)
        except (EOFError, OSError):
            self.wire.close()


def good(fake, order):
    return [done(order)]


def dies(fake, order):
    fake.wire.close()
    raise EOFError


def gone(fake, order):
    raise AssertionError("it was gone before it was asked")


def hangs(fake, order):
    return []


def full_above(most):
    def answer(fake, order):
        if any(count > most for _, _, count in order["ranges"]):
            return [{"say": "full", "id": order["id"], "why": "out of memory"}]
        return [done(order)]

    return answer


class Played:
    """A round among fakes, and what was told of it."""

    def __init__(self, *answers, shares, numbers=(7,), synchronised=False, expected=0.0):
        self.fakes = {at: Fake(at, answer) for at, answer in enumerate(answers, 1)}
        self.members = {at: fake.member for at, fake in self.fakes.items()}
        self.lost, self.full = [], []
        rows = sum(shares)
        self.round = Round(
            self.members,
            identity=3,
            numbers=list(numbers),
            rows=rows,
            payload=lambda: b"",
            scale=1.0,
            learning_rate=0.1,
            together=1,
            synchronised=synchronised,
            lost=lambda member, why: self.lost.append((member.number, why)),
            full=lambda member, most: self.full.append((member.number, most)),
        )
        given = dict(enumerate(shares, 1))
        self.outcome = self.round.run(given, dict.fromkeys(given, expected))
        for fake in self.fakes.values():
            fake.member.wire.close()
        for fake in self.fakes.values():
            fake.thread.join(20)


@pytest.fixture
def hurried(monkeypatch):
    """Deadlines of a test: the wall clock is the round's own."""
    monkeypatch.setattr(module, "SHORTEST_SECONDS", 0.2)
    monkeypatch.setattr(module, "_ALIVE_SECONDS", 0.15)


def test_shares_follow_each_other_in_the_batch():
    played = Played(good, good, good, shares=[2, 0, 3], numbers=[7, 8])
    assert played.fakes[1].orders[0]["ranges"] == [[7, 0, 2], [8, 0, 2]]
    assert played.fakes[2].orders == []
    assert played.fakes[3].orders[0]["ranges"] == [[7, 2, 3], [8, 2, 3]]
    outcome = played.outcome
    assert (outcome.loss, outcome.elements, outcome.workers) == (20.0, 10, (1, 3))
    assert [each.seconds for each in played.members.values()] == [2.0, 0.0, 3.0]


@pytest.mark.parametrize("broken", [dies, hangs])
def test_rows_of_one_that_is_lost_go_to_the_others(broken, hurried):
    played = Played(good, broken, good, shares=[4, 8, 4], expected=0.01)
    assert [number for number, _ in played.lost] == [2] and played.fakes[2].killed
    assert played.outcome.elements == 16 and played.outcome.workers == (1, 3)
    ranges = [
        each for at in (1, 3) for order in played.fakes[at].orders for each in order["ranges"]
    ]
    assert gap_in(ranges, [7], 16) == ""
    # what the others get beside their own is added to their gradient, not begun anew
    assert [order["fresh"] for order in played.fakes[1].orders] == [True, False]
    # and is left out of what is said of their speed
    assert played.members[1].seconds == pytest.approx(2.0)


def test_one_without_rows_that_helps_begins_its_gradient():
    played = Played(dies, good, shares=[6, 0])
    assert [order["fresh"] for order in played.fakes[2].orders] == [True]
    assert played.outcome.workers == (2,)


def test_what_the_last_one_leaves_nobody_can_do():
    played = Played(dies, dies, shares=[3, 3])
    assert played.outcome is None and not played.members


def test_one_that_is_late_but_gives_signs_of_life_is_waited_for(hurried):
    def late(fake, order):
        for _ in range(10):
            yield {"say": "alive", "id": order["id"]}
            threading.Event().wait(0.05)
        yield done(order)

    played = Played(good, late, shares=[3, 3], expected=0.01)
    assert played.lost == [] and played.outcome.workers == (1, 2)


def test_one_that_only_ever_gives_signs_of_life_is_lost_in_the_end(hurried, monkeypatch):
    monkeypatch.setattr(module, "_HARD", 2.0)

    def never(fake, order):
        while not fake.killed:
            yield {"say": "alive", "id": order["id"]}
            threading.Event().wait(0.02)

    played = Played(good, never, shares=[3, 3], expected=0.01)
    assert [number for number, _ in played.lost] == [2]
    assert played.outcome.elements == 6


def test_answers_to_another_step_are_not_for_this_one():
    def confused(fake, order):
        return [done(order, id=2, loss=99.0), done(order)]

    played = Played(confused, good, shares=[1, 1])
    assert played.outcome.loss == 4.0


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_a_full_memory_gets_halves_until_they_fit(most, rows, batches):
    played = Played(full_above(most), good, shares=[rows, 3], numbers=range(batches))
    assert played.lost == []
    assert played.outcome.elements == (rows + 3) * batches
    last = played.fakes[1].orders[-1]
    assert last["fresh"] and max(count for _, _, count in last["ranges"]) <= max(most, 1)
    halvings = [found for _, found in played.full]
    assert halvings == sorted(halvings, reverse=True)
    assert not halvings or halvings[-1] > most / 2 - 1


def test_one_that_cannot_hold_one_example_is_lost():
    played = Played(full_above(0), good, shares=[4, 4])
    assert played.lost == [(1, "its memory does not hold one example")]
    assert played.outcome.workers == (2,) and played.outcome.elements == 8


def test_with_sums_in_between_the_step_is_begun_anew():
    played = Played(good, dies, shares=[2, 2], synchronised=True)
    assert played.outcome is None and sorted(played.members) == [1]
    played = Played(good, full_above(1), shares=[2, 2], synchronised=True)
    assert played.outcome is None and played.members[2].most == 1


def test_sums_are_of_all_that_work_and_each_gets_them():
    got = {}

    def sums(fake, order):
        own = np.array([fake.member.number, 1.0])
        fake.wire.send({"say": "sum", "id": order["id"]}, own.tobytes())
        answer, payload = fake.wire.receive()
        got[fake.member.number] = np.frombuffer(payload).tolist()
        return [done(order)] if answer == {"do": "sum", "id": order["id"]} else []

    played = Played(sums, sums, good, shares=[2, 2, 0], synchronised=True)
    assert got == {1: [3.0, 2.0], 2: [3.0, 2.0]}
    assert played.outcome.elements == 4


def test_gradients_of_anybody_count_as_touched():
    def touching(*spots):
        return lambda fake, order: [done(order, touched=list(spots))]

    assert Played(touching(1), touching(4), shares=[1, 1]).outcome.touched == {1, 4}
    assert Played(touching(1), good, shares=[1, 1]).outcome.touched is None


def test_a_batch_that_was_not_shared_out_exactly_is_never_committed():
    def cheats(fake, order):
        order["ranges"][0][2] -= 1
        return [done(order), {"say": "done"} | done(order, ranges=[[7, 0, 2]])]

    with pytest.raises(RuntimeError, match="did not share the batch exactly: batch 7"):
        Played(cheats, good, shares=[2, 2])


def moody(*moods):
    """Answers each order by the next of its moods, and in the end is good."""
    left = list(moods)
    return lambda fake, order: (left.pop(0) if left else good)(fake, order)


moods = st.lists(st.sampled_from([good, full_above(1), full_above(3), dies]), max_size=3)
agents = st.builds(lambda some, mood: gone if some == 0 else moody(*mood), st.integers(0, 3), moods)


@given(st.lists(st.tuples(agents, st.integers(0, 7)), min_size=1, max_size=5), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_whatever_breaks_each_row_is_in_exactly_one_gradient_or_nothing_comes_of_it(crew, batches):
    shares = [share for _, share in crew]
    if not sum(shares):
        return
    numbers = range(batches)
    played = Played(*(agent for agent, _ in crew), shares=shares, numbers=numbers)
    if played.outcome is None:
        assert not played.members
        return
    held = [each for number in played.outcome.workers for each in played.fakes[number].held]
    assert gap_in(held, numbers, sum(shares)) == ""
    assert played.outcome.elements == sum(shares) * batches


@given(st.integers(0, 5), st.integers(1, 30), st.none() | st.integers(1, 9))
def test_pieces_make_up_the_range(first, count, most):
    pieces = module._cut((7, first, count), most)
    rows = [row for _, start, size in pieces for row in range(start, start + size)]
    assert rows == list(range(first, first + count))
    assert most is None or max(size for _, _, size in pieces) <= most


def test_a_member_that_has_not_answered_has_no_seconds():
    assert math.isnan(Fake(1, good).member.seconds)
