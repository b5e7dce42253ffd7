"""The one shape of everything adaptive: observe, decide, learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

Seen = TypeVar("Seen")
Heard = TypeVar("Heard")
Choice = TypeVar("Choice")


class Decider(ABC, Generic[Heard, Seen, Choice]):
    """Observes a reading, decides, and learns from what came of it.

    ``observe`` and ``decide`` change nothing: called twice they answer the same.
    Only ``learn`` changes the state, and all of the state is in ``state_dict``, as
    values that JSON keeps exactly.
    """

    @abstractmethod
    def observe(self, reading: Heard) -> Seen:
        """Makes of a reading what the decision depends on."""

    @abstractmethod
    def decide(self, seen: Seen) -> Choice:
        """Chooses, without changing anything."""

    @abstractmethod
    def learn(self, seen: Seen, choice: Choice, outcome: Heard) -> None:
        """Takes in what came of a choice; the only method that changes the state."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
