"""The worth of the best that can follow, without the optimism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from paceline.core.errors import SettingError
from paceline.learners.base import Learner, Table, expect_sound, expect_step_and_discount, member


@final
class DoubleQ(Learner):
    """Keeps two tables: one names the best action that can follow, the other its worth.

    ``A(s, a) ← A(s, a) + step_size · (r + discount · B(s', argmax A(s', ·)) − A(s, a))``, and
    the next time the same with A and B exchanged. The maximum of noisy worths is too high;
    noise in one table is no noise in the other. The paper tosses a coin for the table. Here
    each pair of state and action takes them in turn: a turn over all pairs together could
    fall into step with the states and leave a table without some of them.

    Args:
        actions: How many there are, at least 2.
        step_size: Over 0 and at most 1.
        discount: What a reward one step later counts, from 0 to 1.

    Raises:
        SettingError: A setting is out of its range.

    >>> learner = DoubleQ(2, step_size=0.5, discount=0.9)
    >>> learner.learn("end", 1, 2.0, None, 0)
    >>> learner.values("end")
    (0.0, 0.5)
    >>> learner.learn("end", 1, 2.0, None, 0)
    >>> learner.learn("start", 0, 1.0, "end", 0)
    >>> learner.values("end"), learner.values("start")
    ((0.0, 1.0), (0.475, 0.0))

    Reference:
        van Hasselt, Double Q-learning, NeurIPS 2010, algorithm 1.
    """

    def __init__(self, actions: int, *, step_size: float = 0.1, discount: float = 0.9) -> None:
        super().__init__(actions)
        expect_step_and_discount(step_size, discount)
        self.step_size, self.discount = float(step_size), float(discount)
        self._tables = (Table(actions), Table(actions))
        self._turns = Table(actions)

    def values(self, state: str) -> Sequence[float]:
        first, second = (table.row(state) for table in self._tables)
        return tuple((one + other) / 2 for one, other in zip(first, second, strict=True))

    def learn(
        self, state: str, action: int, reward: float, next_state: str | None, next_action: int
    ) -> None:
        expect_sound(self, action, reward)
        turn = int(self._turns.row(state)[action])
        own, other = self._tables[turn], self._tables[1 - turn]
        follows = 0.0
        if next_state is not None:
            worth = own.row(next_state)
            follows = other.row(next_state)[worth.index(max(worth))]
        error = reward + self.discount * follows - own.row(state)[action]
        own.add(state, action, self.step_size * error)
        self._turns.add(state, action, 1 - 2 * turn)

    def state_dict(self) -> dict[str, Any]:
        first, second = (table.to_json() for table in self._tables)
        return {"first": first, "second": second, "turns": self._turns.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._tables[0].load(member(state, "first"))
        self._tables[1].load(member(state, "second"))
        turns = member(state, "turns")
        self._turns.load(turns)
        if not {each for row in turns.values() for each in row} <= {0, 1}:
            raise SettingError("turns must be 0 or 1")
