"""Each promise of the learners catches a learner that breaks it; no other promise minds it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from paceline.checks import check, promises
from paceline.learners.base import Learner
from paceline.learners.q_learning import QLearning

_LIARS: dict[str, type[Any]] = {}
# A learner that cannot even be made, or has no sound values, breaks more than one promise.
_BROAD: set[str] = set()


def _liar(sentence: str, *, broad: bool = False, **body: Any) -> None:
    _LIARS[sentence] = type("QLearning", (QLearning,), body)
    if broad:
        _BROAD.add(sentence)


def _unchecked(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    """Learns whatever it is told of an action that it has."""
    QLearning.learn(self, state, min(max(action, 0), self.actions - 1), reward, *rest)


def _trusting(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    QLearning.learn(self, state, action, reward if math.isfinite(reward) else 0.0, *rest)


def _lonely(self: Any, actions: int, *, step_size: float = 0.1, discount: float = 0.9) -> None:
    QLearning.__init__(self, max(actions, 2), step_size=step_size, discount=discount)


def _loose(self: Any, actions: int, *, step_size: float = 0.1) -> None:
    QLearning.__init__(self, actions)


def _swallow(self: Any, actions: int, **rest: Any) -> None:
    QLearning.__init__(self, actions)


def _positional(self: Any, actions: int, step_size: float = 0.1) -> None:
    QLearning.__init__(self, actions, step_size=step_size)


def _needy(self: Any, actions: int, step_size: float) -> None: ...


def _hopeful(self: Any, state: str) -> Any:
    known = QLearning.values(self, state)
    return known if any(known) or state != "new" else (1.0,) * self.actions


def _short(self: Any, state: str) -> Any:
    return QLearning.values(self, state) if state != "high" else (0.0,) * (self.actions - 1)


def _gloomy(self: Any, state: str) -> Any:
    return (-1.0 if any(QLearning.values(self, state)) else 0.0,) * self.actions


def _counting(self: Any, state: str) -> Any:
    self._table.add("asked", 0, 1.0)
    return (0.0,) * self.actions


def _away(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    """Takes two losses in a row, and nothing else, for a gain."""
    lucky = reward == -1.0 and rest[0] is None
    QLearning.learn(self, state, action, 0.5 if lucky else reward, *rest)


def _spilling(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    QLearning.learn(self, state, action, reward, *rest)
    if state == "low" and reward == 1.0:
        self._table.add("high", 0, 1e-3)


def _dull(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    QLearning.learn(self, state, action, -2 * reward if reward == 0.1 else reward, *rest)
    if reward == 0.1:
        self._table.add(state, action, 1.0)


def _shared(self: Any) -> Any:
    return {"table": self._table._rows}


def _chancy(self: Any, state: str, action: int, reward: float, *rest: Any) -> None:
    luck = 1e-3 * (torch.initial_seed() % 7) if rest[0] is not None else 0.0
    QLearning.learn(self, state, action, reward + luck, *rest)


_liar("is made with a number of actions alone", broad=True, __init__=_needy)
_liar("has named settings with types and defaults", broad=True, __init__=_positional)
_liar("refuses unknown settings", broad=True, __init__=_swallow)
_liar("refuses settings that are out of all range", __init__=_loose)
_liar("refuses fewer than two actions", __init__=_lonely)
_liar("refuses actions that it does not have", learn=_unchecked)
_liar("refuses rewards that are not finite", learn=_trusting)
_liar("gives zeros in a state that was never seen", values=_hopeful)
_liar("gives a finite value for each action", broad=True, values=_short)
_liar("gives bonuses that are not negative", bonuses=_gloomy)
_liar("tells values without changing anything", bonuses=_counting)
_liar("moves a value towards what the action brought", learn=_away)
_liar("leaves other actions and states as they are", learn=_spilling)
_liar("comes to prefer the action that brings most", learn=_dull)
_liar(
    "goes on identically from a state that went through json",
    load_state_dict=lambda self, state: None,
)
_liar("hands out a state of its own", broad=True, state_dict=_shared)
_liar("learns the same from the same lessons", learn=_chancy)


@pytest.mark.parametrize("sentence", list(_LIARS))
def test_a_lying_learner_is_caught_by_the_promise_that_it_breaks(sentence):
    findings = [check(each, _LIARS[sentence]) for each in promises("learners")]
    broken = {each.promise: each.why for each in findings if not each.passed}
    if sentence in _BROAD:
        assert sentence in broken
    else:
        assert list(broken) == [sentence], broken


def test_every_promise_of_the_learners_has_a_liar():
    assert {each.sentence for each in promises("learners")} == set(_LIARS)


def test_an_honest_learner_keeps_every_promise():
    class Honest(Learner):
        """Remembers the last reward of each action."""

        def __init__(self, actions: int) -> None:
            super().__init__(actions)
            self._inner = QLearning(actions, step_size=0.5)

        def values(self, state: str) -> Any:
            return self._inner.values(state)

        def learn(self, *lesson: Any) -> None:
            self._inner.learn(*lesson)

        def state_dict(self) -> dict[str, Any]:
            return self._inner.state_dict()

        def load_state_dict(self, state: Any) -> None:
            self._inner.load_state_dict(state)

    assert [each for each in promises("learners") if not check(each, Honest).passed] == []
