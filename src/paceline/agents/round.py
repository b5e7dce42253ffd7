"""One step of a team: hand out rows, collect gradients, and mend what breaks meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, final

import numpy as np

from paceline.agents.coverage import gap_in
from paceline.agents.member import Member, Range

FIRST_SECONDS = 120.0
SHORTEST_SECONDS = 1.0
PATIENCE = 3.0
_ALIVE_SECONDS = 0.8
_LOOK_SECONDS = 0.1
_HARD = 20.0


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a step.

    Attributes:
        loss: Sum over all elements.
        first_loss: Mean over those that were met with the weights as they were handed out.
        elements: How many values the loss is a mean over.
        touched: Spots that got a gradient from somebody; None stands for all.
        workers: Numbers of the agents whose gradients count.
    """

    loss: float
    first_loss: float
    elements: int
    touched: set[int] | None
    workers: tuple[int, ...]


class Round:
    """One step of a team.

    Args:
        members: Those that are up, by number; who is lost is taken out.
        identity: Of this step; answers to others are not for it.
        numbers: Of the batches.
        rows: In each.
        payload: What goes along to those that share no memory.
        scale: Of the loss.
        learning_rate: Of the agents' local steps, or None where they take none.
        together: Batches in each local step.
        synchronised: Whether the agents exchange sums in the middle of a step, so that none
            can be replaced without beginning anew.
        lost: Told who was lost, and why.
        full: Told whose memory was full, and how many rows fit.
    """

    def __init__(
        self,
        members: dict[int, Member],
        *,
        identity: int,
        numbers: Sequence[int],
        rows: int,
        payload: Callable[[], bytes],
        scale: float,
        learning_rate: float | None,
        together: int,
        synchronised: bool,
        lost: Callable[[Member, str], None],
        full: Callable[[Member, int], None],
    ) -> None:
        self._members, self._identity, self._numbers, self._rows = members, identity, numbers, rows
        self._payload, self._scale, self._synchronised = payload, scale, synchronised
        self._learning_rate, self._together = learning_rate, together
        self._tell_lost, self._tell_full = lost, full
        self._replies: dict[int, list[dict[str, Any]]] = {}
        self._sums: dict[int, bytes] = {}
        self._broken = False
        self._asked: dict[int, int] = {}  # orders that were not answered yet
        self._void: dict[int, int] = {}  # answers that come, but count no more

    def run(self, shares: Mapping[int, int], expected: Mapping[int, float]) -> Outcome | None:
        """Does the step; None where it must be begun anew by those that are left.

        Args:
            shares: Rows of each batch for each member.
            expected: Seconds that each is thought to need; nan where nothing is known.
        """
        self._hand_out(shares, expected)
        while self._members and not self._broken:
            if not self._pending():
                return self._outcome(shares)
            self._hear(_LOOK_SECONDS)
            self._look_for_late()
        return None

    # --- handing out

    def _hand_out(self, shares: Mapping[int, int], expected: Mapping[int, float]) -> None:
        first, plan = 0, []
        for number, count in shares.items():
            member = self._members[number]
            member.seconds, member.ranges = (0.0 if count == 0 else math.nan), []
            if count:
                plan.append((member, [(each, first, count) for each in self._numbers]))
            first += count
        for member, ranges in plan:
            if member.number in self._members:
                self._give(member, ranges, expected=expected.get(member.number, math.nan))
            else:  # lost while it was to help another, before it had its own
                self._share_again(ranges)

    def _give(self, member: Member, ranges: list[Range], *, expected: float) -> None:
        """More work; the gradient begins at zero unless it holds something of this step."""
        fresh = not (member.ranges or member.number in self._replies)
        self._asked[member.number] = self._asked.get(member.number, 0) + 1
        pieces = [piece for each in ranges for piece in _cut(each, member.most)]
        member.ranges += pieces
        now = time.perf_counter()
        known = expected == expected
        member.heard = now
        member.allowed = max(SHORTEST_SECONDS, PATIENCE * expected) if known else FIRST_SECONDS
        member.due, member.given = now + member.allowed, now
        order = {
            "do": "train",
            "id": self._identity,
            "ranges": pieces,
            "fresh": fresh,
            "scale": self._scale,
            "learning_rate": self._learning_rate,
            "together": self._together,
        }
        try:
            member.wire.send(order, b"" if member.shares_memory or not fresh else self._payload())
        except OSError:
            self._lose(member, "gone")

    # --- collecting

    def _pending(self) -> list[Member]:
        return [each for each in self._members.values() if each.ranges]

    def _hear(self, seconds: float) -> None:
        wires = {each.wire.connection: each for each in self._members.values()}
        for ready in wait(list(wires), seconds):
            member = wires[ready]  # type: ignore[index] # only connections are waited for
            if member.number not in self._members:
                continue
            try:
                said, payload = member.wire.receive()
            except (EOFError, OSError):
                self._lose(member, "died")
                continue
            self._take(member, said, payload)

    def _take(self, member: Member, said: dict[str, Any], payload: bytes) -> None:
        member.heard = time.perf_counter()
        if said["id"] != self._identity:
            return
        if said["say"] == "sum":
            self._sums[member.number] = payload
            self._answer_sums()
            return
        if said["say"] not in ("full", "done"):
            return
        self._asked[member.number] -= 1
        if self._void.get(member.number, 0):
            self._void[member.number] -= 1
        elif said["say"] == "full":
            self._make_smaller(member)
        else:
            self._finish(member, said, payload)

    def _finish(self, member: Member, said: dict[str, Any], payload: bytes) -> None:
        done = [tuple(each) for each in said["ranges"]]
        member.ranges = [each for each in member.ranges if each not in done]
        before = 0.0 if math.isnan(member.seconds) else member.seconds
        member.seconds = before + said["seconds"]
        if payload:
            member.take_over(payload)
        self._replies.setdefault(member.number, []).append(said)

    def _answer_sums(self) -> None:
        """Once all that work have sent theirs, each gets the sum; the order never changes."""
        waiting = self._pending()
        if any(each.number not in self._sums for each in waiting):
            return
        parts = [np.frombuffer(self._sums[number], np.float64) for number in sorted(self._sums)]
        total = np.sum(parts, axis=0).tobytes()
        self._sums.clear()
        for member in waiting:
            try:
                member.wire.send({"do": "sum", "id": self._identity}, total)
            except OSError:
                self._lose(member, "gone")

    # --- mending

    def _look_for_late(self) -> None:
        """Who is late and silent is lost; who is late and gives signs of life gets longer."""
        now = time.perf_counter()
        for member in self._pending():
            if now < member.due or member.number in self._sums:
                continue
            if now - member.heard < _ALIVE_SECONDS and now - member.given < _HARD * member.allowed:
                member.due = now + _ALIVE_SECONDS
            else:
                self._lose(member, f"hung: silent for {now - member.heard:.1f} s")

    def _lose(self, member: Member, why: str) -> None:
        if self._members.pop(member.number, None) is None:
            return
        member.kill()
        member.wire.close()
        left = self._taken_from(member)
        member.seconds = math.nan
        self._tell_lost(member, why)
        if left and self._synchronised:
            self._broken = True
        elif left and self._members:
            self._share_again(left)

    def _make_smaller(self, member: Member) -> None:
        """A full memory: the same rows again in pieces of half the size."""
        again = self._taken_from(member)
        self._void[member.number] = self._asked[member.number]
        largest = max(count for _, _, count in again)
        member.most = max(1, largest // 2)
        self._tell_full(member, member.most)
        if largest == 1:
            member.ranges = again
            self._lose(member, "its memory does not hold one example")
            return
        if self._synchronised:  # every agent must go through the layers equally often
            self._broken = True
            return
        self._give(member, again, expected=math.nan)

    def _taken_from(self, member: Member) -> list[Range]:
        """All that a member was given in this step: what it has brought back is void."""
        replies = self._replies.pop(member.number, [])
        finished = [tuple(each) for said in replies for each in said["ranges"]]
        left, member.ranges = [*member.ranges, *finished], []
        return left

    def _share_again(self, ranges: list[Range]) -> None:
        """Rows of one that was lost go to the others, more to those that have more."""
        for number, first, count in ranges if self._members else ():
            helpers = list(self._members.values())
            weights = np.array([1.0 + sum(r[2] for r in each.ranges) for each in helpers])
            ends = np.floor(np.cumsum(weights) / weights.sum() * count + 0.5).astype(int)
            start = 0
            for member, end in zip(helpers, ends.tolist(), strict=True):
                piece = (number, first + start, end - start)
                if end > start and member.number in self._members:
                    self._give(member, [piece], expected=math.nan)
                elif end > start:  # lost meanwhile
                    self._share_again([piece])
                start = end

    # --- the end

    def _outcome(self, shares: Mapping[int, int]) -> Outcome:
        replies = [said for each in self._replies.values() for said in each]
        gap = gap_in(
            [each for said in replies for each in said["ranges"]], self._numbers, self._rows
        )
        if gap:
            raise RuntimeError(f"the agents did not share the batch exactly: {gap}")
        self._measure(shares)
        touched: set[int] | None = set()
        for said in replies:
            if said["touched"] is None or touched is None:
                touched = None
            else:
                touched.update(said["touched"])
        begun = [said["first"] for said in replies]
        return Outcome(
            first_loss=math.fsum(loss for loss, _ in begun) / max(sum(n for _, n in begun), 1),
            loss=math.fsum(said["loss"] for said in replies),
            elements=sum(said["elements"] for said in replies),
            touched=touched,
            workers=tuple(sorted(self._replies)),
        )

    def _measure(self, shares: Mapping[int, int]) -> None:
        """Seconds of each member for its own share of one batch; others' rows are left out."""
        for number, replies in self._replies.items():
            rows = sum(count for said in replies for _, _, count in said["ranges"])
            member = self._members[number]
            member.row_seconds = member.seconds / rows
            member.seconds = member.row_seconds * len(self._numbers) * shares.get(number, 0)


def _cut(piece: Range, most: int | None) -> list[Range]:
    """A range in pieces that fit.

    >>> _cut((0, 10, 5), 2)
    [(0, 10, 2), (0, 12, 2), (0, 14, 1)]
    """
    number, first, count = piece
    size = count if most is None else most
    return [(number, first + at, min(size, count - at)) for at in range(0, count, size)]
