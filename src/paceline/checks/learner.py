"""What every learner promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from paceline.checks.base import (
    Part,
    chance,
    expect,
    expect_named_settings,
    expect_refusal,
    expect_unknown_refused,
    expect_unreal_refused,
    same,
    through_json,
)
from paceline.core.errors import SettingError

_ACTIONS = 3
_STATES = ("low", "middle", "high")
_BROKEN = (float("nan"), float("inf"), float("-inf"))


def is_made_with_a_number_of_actions_alone(part: Part) -> None:
    part(_ACTIONS)


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 1)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, _ACTIONS)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, _ACTIONS)


def refuses_fewer_than_two_actions(part: Part) -> None:
    for actions in (1, 0, -1):
        expect_refusal(partial(part, actions), SettingError, f"a number of {actions} actions")


def refuses_actions_that_it_does_not_have(part: Part) -> None:
    for action in (-1, _ACTIONS):
        learning = partial(part(_ACTIONS).learn, "low", action, 1.0, None, 0)
        expect_refusal(learning, SettingError, f"the action {action} of {_ACTIONS}")


def refuses_rewards_that_are_not_finite(part: Part) -> None:
    for reward in _BROKEN:
        learning = partial(part(_ACTIONS).learn, "low", 0, reward, None, 0)
        expect_refusal(learning, SettingError, f"a reward of {reward}")


def gives_zeros_in_a_state_that_was_never_seen(part: Part) -> None:
    learner = part(_ACTIONS)
    for _ in range(2):
        for what in (learner.values("new"), learner.bonuses("new")):
            expect(list(what) == [0.0] * _ACTIONS, f"a state never seen has {list(what)}")
        learner.learn("low", 1, 1.0, None, 0)


def gives_a_finite_value_for_each_action(part: Part) -> None:
    for learner in _taught(part(_ACTIONS), 200):
        for state in _STATES:
            for what in (learner.values(state), learner.bonuses(state)):
                expect(
                    len(what) == _ACTIONS and all(map(math.isfinite, what)),
                    f"{_ACTIONS} finite numbers are needed in the state {state}, got {list(what)}",
                )


def gives_bonuses_that_are_not_negative(part: Part) -> None:
    for learner in _taught(part(_ACTIONS), 50):
        for state in _STATES:
            least = min(learner.bonuses(state))
            expect(least >= 0, f"a bonus in the state {state} is {least}")


def tells_values_without_changing_anything(part: Part) -> None:
    for learner in _taught(part(_ACTIONS), 20):
        before = through_json(learner.state_dict(), part.__name__)
        for state in (*_STATES, "new"):
            first, again = list(learner.values(state)), list(learner.values(state))
            learner.bonuses(state)
            expect(first == again, f"asked twice in the state {state}: {first}, then {again}")
        after = through_json(learner.state_dict(), part.__name__)
        expect(same(before, after), "asking for values changed the state")


def moves_a_value_towards_what_the_action_brought(part: Part) -> None:
    for reward in (1.0, -1.0):
        learner, away = part(_ACTIONS), abs(reward)
        for time in range(50):
            learner.learn("low", 1, reward, None, 0)
            now = abs(learner.values("low")[1] - reward)
            expect(
                now <= away + 1e-12 and (now < 1 or not time),
                f"a reward of {reward} moved the value from {away} away to {now} away",
            )
            away = now
        expect(away < 0.5, f"after 50 rewards of {reward} the value is still {away} away")


def leaves_other_actions_and_states_as_they_are(part: Part) -> None:
    for learner in _taught(part(_ACTIONS), 20):
        before = {state: list(learner.values(state)) for state in _STATES}
        learner.learn("low", 1, 1.0, None, 0)
        for state, values in before.items():
            for action, value in enumerate(values):
                now = learner.values(state)[action]
                if (state, action) != ("low", 1):
                    expect(
                        math.isclose(now, value, rel_tol=1e-9, abs_tol=1e-12),
                        f"action 1 in the state low changed action {action} in {state}",
                    )


def comes_to_prefer_the_action_that_brings_most(part: Part) -> None:
    learner = part(_ACTIONS)
    for time in range(300):
        action = time % _ACTIONS
        learner.learn("low", action, (0.1, 1.0, -0.5)[action], None, 0)
    values = list(learner.values("low"))
    expect(values.index(max(values)) == 1, f"the rewards 0.1, 1 and -0.5 gave the values {values}")


def goes_on_identically_from_a_state_that_went_through_json(part: Part) -> None:
    learner, other = part(_ACTIONS), part(_ACTIONS)
    for time, (state, action, reward, follows, after) in enumerate(_lessons(60)):
        if time in (0, 7, 30):
            other = part(_ACTIONS)
            other.load_state_dict(through_json(learner.state_dict(), part.__name__))
        for each in (learner, other):
            each.learn(state, action, reward, follows, after)
        expected, found = learner.state_dict(), other.state_dict()
        expect(same(expected, found), f"after lesson {time} it knows other things after a resume")
        expect(
            list(learner.values(state)) == list(other.values(state)),
            f"after lesson {time} it values {state} otherwise after a resume",
        )


def hands_out_a_state_of_its_own(part: Part) -> None:
    learner, twin = part(_ACTIONS), part(_ACTIONS)
    for given in _lessons(20):
        held = learner.state_dict()
        was = through_json(held, part.__name__)
        for each in (learner, twin):
            each.learn(*given)
        expect(same(was, held), "a state that was handed out goes on changing")


def learns_the_same_from_the_same_lessons(part: Part) -> None:
    found = []
    for seed in (1, 2):
        with chance(seed):
            learner = part(_ACTIONS)
            for given in _lessons(60):
                learner.learn(*given)
            found.append([list(learner.values(state)) for state in _STATES])
    expect(found[0] == found[1], f"two learners differ: {found[0]}, then {found[1]}")


def _taught(learner: Any, lessons: int) -> Iterator[Any]:
    yield learner
    for given in _lessons(lessons):
        learner.learn(*given)
        yield learner


def _lessons(count: int) -> Iterator[tuple[str, int, float, str | None, int]]:
    """Every action in every state in turn, with rewards that differ, and an end now and then."""
    for time in range(count):
        state, action = _STATES[time // _ACTIONS % len(_STATES)], time % _ACTIONS
        follows = None if time % 7 == 6 else _STATES[(time + action) % len(_STATES)]
        yield state, action, math.sin(1.7 * time), follows, (time + 1) % _ACTIONS
