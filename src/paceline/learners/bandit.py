"""The mean of what an action brought lately, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from paceline.core.errors import SettingError
from paceline.learners.base import Learner, Table, expect_sound, member

# Over every other bonus, and finite, because JSON knows no infinity.
_UNTRIED = 1e6
_GONE = 1e-9


@final
class Bandit(Learner):
    """Averages the rewards of each action, older ones less, and says what is still unknown.

    With the discounted count ``N(a) = Σ discount^(t−k)`` of the times k at which the action was
    taken, and n the sum of all counts in the state, the value is the discounted mean of the
    rewards and the bonus ``2 · bound · sqrt(caution · ln n / N(a))``. An action that was never
    taken, or so long ago that its count is gone, has a bonus over all others. What follows an
    action is not looked at.

    Args:
        actions: How many there are, at least 2.
        discount: What a reward counts one decision later in the same state, over 0 and at
            most 1.
        caution: How much a doubt counts, at least 0; the paper's experiments have 0.6.
        bound: The highest reward that is to be expected, over 0.

    Raises:
        SettingError: A setting is out of its range.

    >>> learner = Bandit(2, discount=0.5)
    >>> for reward in (0.0, 3.0):
    ...     learner.learn("here", 0, reward, None, 0)
    >>> learner.values("here")
    (2.0, 0.0)
    >>> learner.learn("here", 1, 1.0, None, 0)
    >>> [round(each, 3) for each in learner.bonuses("here")]
    [1.338, 1.159]

    Reference:
        Garivier & Moulines, On upper-confidence bound policies for switching bandit
        problems, ALT 2011, section 3.1 (discounted UCB).
    """

    def __init__(
        self, actions: int, *, discount: float = 0.98, caution: float = 0.6, bound: float = 1.0
    ) -> None:
        super().__init__(actions)
        if not 0 < discount <= 1:
            raise SettingError(f"discount must be over 0 and at most 1, got {discount:g}")
        if not 0 <= caution < math.inf:
            raise SettingError(f"caution must be at least 0 and finite, got {caution:g}")
        if not 0 < bound < math.inf:
            raise SettingError(f"bound must be over 0 and finite, got {bound:g}")
        self.discount, self.caution, self.bound = float(discount), float(caution), float(bound)
        self._counts, self._sums = Table(actions), Table(actions)

    def values(self, state: str) -> Sequence[float]:
        pairs = zip(self._sums.row(state), self._counts.row(state), strict=True)
        return tuple(total / count if count > _GONE else 0.0 for total, count in pairs)

    def bonuses(self, state: str) -> Sequence[float]:
        counts = self._counts.row(state)
        everything = sum(counts)
        if not everything:
            return (0.0,) * self.actions
        doubt = 4 * self.bound**2 * self.caution * math.log(max(everything, 1.0))
        most = _UNTRIED * self.bound
        return tuple(
            min(math.sqrt(doubt / count), most) if count > _GONE else most for count in counts
        )

    def learn(
        self, state: str, action: int, reward: float, next_state: str | None, next_action: int
    ) -> None:
        expect_sound(self, action, reward)
        for table, amount in ((self._counts, 1.0), (self._sums, float(reward))):
            table.scale(state, self.discount)
            table.add(state, action, amount)

    def state_dict(self) -> dict[str, Any]:
        return {"counts": self._counts.to_json(), "sums": self._sums.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        counts = member(state, "counts")
        self._counts.load(counts)
        if any(each < 0 for row in counts.values() for each in row):
            raise SettingError("counts must not be negative")
        self._sums.load(member(state, "sums"))
