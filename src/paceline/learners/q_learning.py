"""The worth of the best that can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from paceline.learners.base import Learner, Table, expect_sound, expect_step_and_discount, member


@final
class QLearning(Learner):
    r"""Moves the worth of an action towards its reward and the best that can follow.

    ``Q(s, a) ← Q(s, a) + step_size · (r + discount · max Q(s', ·) − Q(s, a))``, without the
    middle term where nothing follows. It learns what the best actions would bring, whatever
    was done next.

    Args:
        actions: How many there are, at least 2.
        step_size: Over 0 and at most 1.
        discount: What a reward one step later counts, from 0 to 1.

    Raises:
        SettingError: A setting is out of its range.

    >>> learner = QLearning(2, step_size=0.5, discount=0.9)
    >>> learner.learn("end", 1, 2.0, None, 0)
    >>> learner.learn("start", 0, 1.0, "end", 0)
    >>> learner.values("end"), learner.values("start")
    ((0.0, 1.0), (0.95, 0.0))

    Reference:
        Watkins & Dayan, Q-learning, Machine Learning 8, 1992, equation 1.
    """

    def __init__(self, actions: int, *, step_size: float = 0.1, discount: float = 0.9) -> None:
        super().__init__(actions)
        expect_step_and_discount(step_size, discount)
        self.step_size, self.discount = float(step_size), float(discount)
        self._table = Table(actions)

    def values(self, state: str) -> Sequence[float]:
        return self._table.row(state)

    def learn(
        self, state: str, action: int, reward: float, next_state: str | None, next_action: int
    ) -> None:
        expect_sound(self, action, reward)
        follows = 0.0 if next_state is None else max(self._table.row(next_state))
        error = reward + self.discount * follows - self._table.row(state)[action]
        self._table.add(state, action, self.step_size * error)

    def state_dict(self) -> dict[str, Any]:
        return {"table": self._table.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._table.load(member(state, "table"))
