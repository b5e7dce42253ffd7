"""Batches by the number of their update, some of which can be asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar, final

Item = TypeVar("Item")
Given = TypeVar("Given", covariant=True)


class Stream(Protocol[Given]):
    """Gives one thing after the other; its state is where it stands."""

    def next(self) -> Given:
        """The next one."""

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes back there."""


@final
class Replay(Generic[Item]):
    """Keeps what one trial was given, so that the next can be given the same.

    Args:
        stream: Where new batches come from.

    Attributes:
        fresh: Number of the next update on batches that were not seen before.

    >>> class Count:
    ...     at = 0
    ...     def next(self):
    ...         self.at += 1
    ...         return self.at * 10
    ...     def state_dict(self): return {"at": self.at}
    ...     def load_state_dict(self, state): self.at = state["at"]
    >>> replay = Replay(Count())
    >>> def update(number):
    ...     replay.begin(number, hold=True)
    ...     return replay.next()
    >>> [update(number) for number in (0, 1, 0, None)], replay.fresh
    ([(0, 10), (1, 20), (0, 10), (2, 30)], 3)
    """

    def __init__(self, stream: Stream[Item]) -> None:
        self.fresh = 0
        self._stream = stream
        self._drawn = self._at = 0
        self._now: list[tuple[int, Item]] | None = None
        self._held: dict[int, list[tuple[int, Item]]] = {}
        self._order: list[int] = []
        self._before: dict[str, Any] = {}

    def begin(self, number: int | None, *, hold: bool) -> None:
        """Turns to the batches of an update.

        Args:
            number: Of an update whose batches are held; None and every other number stand
                for new ones.
            hold: Whether batches are held from here on; those held so far are let go
                where not.
        """
        if not hold:
            self._held.clear()
            self._order.clear()
            self._before = {}
        elif not self._before:
            self._before = {"stream": self._stream.state_dict(), "drawn": self._drawn}
        self._at, self._now = 0, self._held.get(-1 if number is None else number)
        if self._now is None:
            if hold:
                self._now = self._held[self.fresh] = []
            self.fresh += 1

    def next(self) -> tuple[int, Item]:
        """The next batch of this update, and its place among all that were ever drawn."""
        self._at += 1
        if self._now is not None and self._at <= len(self._now):
            return self._now[self._at - 1]
        item = self._drawn, self._stream.next()
        self._drawn += 1
        if self._now is not None:
            self._now.append(item)
            self._order.append(next(n for n, each in self._held.items() if each is self._now))
        return item

    def state_dict(self) -> dict[str, Any]:
        """How far it is, and from where on batches are held; those are drawn again."""
        now = {"stream": self._stream.state_dict(), "drawn": self._drawn}
        return {"fresh": self.fresh, "order": list(self._order), **(self._before or now)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._stream.load_state_dict(state["stream"])
        self.fresh, self._drawn = state["fresh"], state["drawn"]
        self._order, self._held, self._now = list(state["order"]), {}, None
        self._before = {}
        if self._order:
            self._before = {"stream": dict(state["stream"]), "drawn": state["drawn"]}
        for number in self._order:
            self._held.setdefault(number, []).append((self._drawn, self._stream.next()))
            self._drawn += 1
