"""What a learner is: it keeps the worth of actions and learns from what they brought."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class Learner(ABC):
    """Learns the worth of each of a few actions in each of a few states.

    Pure: it draws no random numbers; who explores draws them and says what was done.

    Args:
        actions: How many there are, at least 2.
    """

    @abstractmethod
    def __init__(self, actions: int) -> None:
        pass

    @abstractmethod
    def values(self, state: str) -> Sequence[float]:
        """The worth of each action [actions] in a state; zeros in one that was never seen."""

    @abstractmethod
    def learn(
        self, state: str, action: int, reward: float, next_state: str | None, next_action: int
    ) -> None:
        """Takes in what an action brought; ``next_state`` is None where nothing follows."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
