"""What a learner is: it keeps the worth of actions and learns from what they brought."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

from paceline.core.errors import SettingError


class Learner(ABC):
    """Learns the worth of each of a few actions in each of a few states.

    Pure: it draws no random numbers; who explores draws them and says what was done.

    Args:
        actions: How many there are, at least 2.

    Raises:
        SettingError: There are fewer than two actions.
    """

    def __init__(self, actions: int) -> None:
        if not isinstance(actions, int) or actions < 2:
            raise SettingError(f"a learner needs at least 2 actions, got {actions!r}")
        self.actions = actions

    @abstractmethod
    def values(self, state: str) -> Sequence[float]:
        """The worth of each action [actions] in a state; zeros in one that was never seen."""

    def bonuses(self, state: str) -> Sequence[float]:
        """What is still unknown about each action [actions], in the unit of the rewards.

        Who wants to explore takes the action whose value and bonus are highest together.
        Zeros where the learner leaves exploring to others, and in a state never seen.
        """
        return (0.0,) * self.actions

    @abstractmethod
    def learn(
        self, state: str, action: int, reward: float, next_state: str | None, next_action: int
    ) -> None:
        """Takes in what an action brought; ``next_state`` is None where nothing follows.

        Raises:
            SettingError: There is no such action, or the reward is not finite.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the memory of something else.
        """


@final
class Table:
    """A row of numbers, one an action, for each state that was seen; zeros for all others.

    >>> table = Table(2)
    >>> table.add("uphill", 1, 0.5)
    >>> table.row("uphill"), table.row("elsewhere")
    ((0.0, 0.5), (0.0, 0.0))
    """

    def __init__(self, actions: int) -> None:
        self._actions = actions
        self._rows: dict[str, list[float]] = {}

    def row(self, state: str) -> tuple[float, ...]:
        """The numbers of a state [actions]."""
        found = self._rows.get(state)
        return (0.0,) * self._actions if found is None else tuple(found)

    def add(self, state: str, action: int, amount: float) -> None:
        """Adds to one number."""
        self._rows.setdefault(state, [0.0] * self._actions)[action] += amount

    def scale(self, state: str, factor: float) -> None:
        """Multiplies all numbers of a state."""
        if state in self._rows:
            self._rows[state] = [factor * each for each in self._rows[state]]

    def to_json(self) -> dict[str, list[float]]:
        """All rows, as a copy."""
        return {state: list(row) for state, row in self._rows.items()}

    def load(self, given: Any) -> None:
        """Takes over all rows of ``to_json``.

        Raises:
            SettingError: It is not a table with that many actions.
        """
        if not isinstance(given, Mapping) or not all(map(self._fits, given.values())):
            raise SettingError(f"a table with {self._actions} finite numbers a state is needed")
        self._rows = {str(state): [float(each) for each in row] for state, row in given.items()}

    def _fits(self, row: Any) -> bool:
        return (
            isinstance(row, Sequence)
            and len(row) == self._actions
            and all(isinstance(each, (int, float)) and math.isfinite(each) for each in row)
        )


def expect_sound(learner: Learner, action: int, reward: float) -> None:
    """Refuses what would spoil a table.

    Raises:
        SettingError: There is no such action, or the reward is not finite.
    """
    if not 0 <= action < learner.actions:
        raise SettingError(f"there are the actions 0 to {learner.actions - 1}, got {action}")
    if not math.isfinite(reward):
        raise SettingError(f"a reward must be finite, got {reward}")


def expect_step_and_discount(step_size: float, discount: float) -> None:
    """Refuses settings with which a table would not settle.

    Raises:
        SettingError: ``step_size`` is not over 0 and at most 1, or ``discount`` not 0 to 1.
    """
    if not 0 < step_size <= 1:
        raise SettingError(f"step_size must be over 0 and at most 1, got {step_size:g}")
    if not 0 <= discount <= 1:
        raise SettingError(f"discount must be from 0 to 1, got {discount:g}")


def member(state: Mapping[str, Any], name: str) -> Any:
    """One entry of a state.

    Raises:
        SettingError: It is missing.
    """
    if not isinstance(state, Mapping) or name not in state:
        raise SettingError(f"this is no state of such a learner: it has no {name!r}")
    return state[name]
