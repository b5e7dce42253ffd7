"""Each learner beside a slow twin that keeps every lesson and writes its equation out."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator

import pytest

from paceline.core.errors import SettingError
from paceline.learners.bandit import Bandit
from paceline.learners.base import Table
from paceline.learners.double_q import DoubleQ
from paceline.learners.q_learning import QLearning
from paceline.learners.sarsa import Sarsa

ACTIONS, STATES = 3, ("a", "b", "c")
STEP, DISCOUNT = 0.3, 0.8
Lesson = tuple[str, int, float, str | None, int]


@pytest.fixture(params=[1, 2, 3])
def lessons(request: pytest.FixtureRequest) -> list[Lesson]:
    draw = random.Random(request.param)
    return [
        (
            draw.choice(STATES),
            draw.randrange(ACTIONS),
            draw.gauss(0, 1),
            draw.choice([*STATES, None]),
            draw.randrange(ACTIONS),
        )
        for _ in range(200)
    ]


def expect_same(learner, twin, lessons: list[Lesson]) -> None:
    for lesson in lessons:
        learner.learn(*lesson)
    for state in STATES:
        for action in range(ACTIONS):
            assert learner.values(state)[action] == pytest.approx(twin[state, action])


def test_q_learning_counts_the_best_that_can_follow(lessons):
    q: dict[tuple[str, int], float] = defaultdict(float)
    for s, a, r, follows, _ in lessons:
        best = -math.inf
        for b in range(ACTIONS):
            best = max(best, q[follows, b])
        target = r if follows is None else r + DISCOUNT * best
        q[s, a] = (1 - STEP) * q[s, a] + STEP * target
    expect_same(QLearning(ACTIONS, step_size=STEP, discount=DISCOUNT), q, lessons)


def test_sarsa_counts_what_was_done_next(lessons):
    q: dict[tuple[str, int], float] = defaultdict(float)
    for s, a, r, follows, then in lessons:
        target = r if follows is None else r + DISCOUNT * q[follows, then]
        q[s, a] = (1 - STEP) * q[s, a] + STEP * target
    expect_same(Sarsa(ACTIONS, step_size=STEP, discount=DISCOUNT), q, lessons)


def test_double_q_asks_the_other_table_for_the_worth(lessons):
    tables: list[dict[tuple[str, int], float]] = [defaultdict(float), defaultdict(float)]
    turn: dict[tuple[str, int], int] = defaultdict(int)
    for s, a, r, follows, _ in lessons:
        own, other = tables if turn[s, a] % 2 == 0 else tables[::-1]
        turn[s, a] += 1
        target = r
        if follows is not None:
            named = sorted(range(ACTIONS), key=lambda b: (-own[follows, b], b))[0]
            target = r + DISCOUNT * other[follows, named]
        own[s, a] = (1 - STEP) * own[s, a] + STEP * target
    mean = {key: (tables[0][key] + tables[1][key]) / 2 for key in turn}
    twin = defaultdict(float, mean)
    expect_same(DoubleQ(ACTIONS, step_size=STEP, discount=DISCOUNT), twin, lessons)


def test_a_bandit_averages_what_each_action_brought_older_rewards_less(lessons):
    bandit = Bandit(ACTIONS, discount=0.9, caution=0.5, bound=2.0)
    twin: dict[tuple[str, int], float] = {}
    counts: dict[tuple[str, int], float] = {}
    for state in STATES:
        here = [lesson for lesson in lessons if lesson[0] == state]
        weights = [0.9 ** (len(here) - 1 - k) for k in range(len(here))]
        for a in range(ACTIONS):
            mine = [(w, each[2]) for w, each in zip(weights, here, strict=True) if each[1] == a]
            counts[state, a] = sum(w for w, _ in mine)
            twin[state, a] = sum(w * r for w, r in mine) / counts[state, a]
    expect_same(bandit, twin, lessons)
    for state in STATES:
        n = sum(counts[state, a] for a in range(ACTIONS))
        for a in range(ACTIONS):
            expected = 2 * 2.0 * math.sqrt(0.5 * math.log(n) / counts[state, a])
            assert bandit.bonuses(state)[a] == pytest.approx(expected)


def test_q_learning_finds_the_worth_of_a_chain_exactly():
    learner = QLearning(2, step_size=1.0, discount=0.5)
    for _ in range(5):
        for place in range(4):
            follows = str(place + 1) if place < 3 else None
            learner.learn(str(place), 1, 1.0 if place == 3 else 0.0, follows, 0)
    assert [learner.values(str(place))[1] for place in range(4)] == [0.125, 0.25, 0.5, 1.0]


def test_double_q_is_less_optimistic_about_noise_than_q_learning():
    draw = random.Random(0)
    single, double = QLearning(10, discount=1.0), DoubleQ(10, discount=1.0)
    for _ in range(3000):
        action, reward = draw.randrange(10), draw.gauss(0, 1)
        for learner in (single, double):
            learner.learn("noisy", action, reward, None, 0)
            learner.learn("before", 0, 0.0, "noisy", 0)
    assert double.values("before")[0] < 0.5 * single.values("before")[0]


def test_the_tables_of_double_q_take_turns_in_each_state():
    learner = DoubleQ(2, step_size=1.0)
    for _ in range(4):  # a turn over all states would give each state one table alone
        learner.learn("even", 0, 1.0, None, 0)
        learner.learn("odd", 0, 1.0, None, 0)
    assert learner.values("even")[0] == learner.values("odd")[0] == 1.0


def test_an_untried_action_has_the_greatest_bonus_of_a_bandit():
    bandit = Bandit(3)
    bandit.learn("here", 0, 1.0, None, 0)
    bandit.learn("here", 2, 1.0, None, 0)
    bonuses = bandit.bonuses("here")
    assert bonuses[1] > 1000 * max(bonuses[0], bonuses[2])


def test_a_bandit_follows_rewards_that_change():
    bandit = Bandit(2, discount=0.9, bound=0.5)
    taken = []
    for time in range(400):
        raised = [sum(each) for each in zip(bandit.values(""), bandit.bonuses(""), strict=True)]
        action = raised.index(max(raised))
        taken.append(action)
        bandit.learn("", action, float(action == (time >= 200)), None, 0)
    assert taken[100:200].count(0) > 60 and taken[300:].count(1) > 60


def test_a_bandit_forgets_what_it_has_not_tried_for_very_long():
    bandit = Bandit(2, discount=0.5)
    bandit.learn("here", 0, 1.0, None, 0)
    for _ in range(2000):
        bandit.learn("here", 1, 1.0, None, 0)
    assert list(bandit.values("here")) == [0.0, 1.0]


def damaged() -> Iterator[tuple[type, dict]]:
    for part in (QLearning, Sarsa):
        yield part, {}
        yield part, {"table": {"a": [1.0]}}
        yield part, {"table": {"a": "no"}}
        yield part, {"table": {"a": [1.0, math.nan, 0.0]}}
        yield part, {"table": [1.0]}
    yield DoubleQ, {"first": {}, "second": {}}
    yield DoubleQ, {"first": {}, "second": {}, "turns": {"a": [3.0, 0.0, 0.0]}}
    yield Bandit, {"counts": {}}
    yield Bandit, {"counts": {"a": [-1.0, 0.0, 0.0]}, "sums": {}}


@pytest.mark.parametrize(("part", "state"), list(damaged()))
def test_a_state_of_something_else_is_refused(part, state):
    with pytest.raises(SettingError):
        part(ACTIONS).load_state_dict(state)


@pytest.mark.parametrize(
    ("part", "setting", "value"),
    [
        (part, name, value)
        for part in (QLearning, Sarsa, DoubleQ)
        for name, value in [("step_size", 0.0), ("step_size", 1.1), ("discount", 1.1)]
    ]
    + [(Bandit, "discount", 0.0), (Bandit, "caution", -0.1), (Bandit, "bound", 0.0)],
)
def test_a_setting_out_of_range_is_named(part, setting, value):
    with pytest.raises(SettingError, match=setting):
        part(2, **{setting: value})


def test_sarsa_refuses_a_next_action_that_it_does_not_have():
    with pytest.raises(SettingError, match="actions 0 to 2"):
        Sarsa(3).learn("a", 0, 1.0, "b", 3)


def test_a_table_hands_out_copies():
    table = Table(2)
    table.add("a", 0, 1.0)
    table.to_json()["a"][0] = 7.0
    assert table.row("a") == (1.0, 0.0)
