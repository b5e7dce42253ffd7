"""The environment of gymnasium: its own checker, and what an episode is."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from paceline.agents.simulation.environment import SchedulingEnv
from paceline.agents.simulation.scenario import shipped
from paceline.core.errors import SettingError

STAY = np.int64(0)


def played(environment, seed, actions):
    first, _ = environment.reset(seed=seed)
    rows = [(first, None)]
    for action in actions:
        seen, reward, *_ = environment.step(np.int64(action))
        rows.append((seen, reward))
    return rows


@pytest.mark.parametrize("name", ["laws", "laws_held_out", "slow_links", "failures"])
def test_gymnasiums_own_checker_has_nothing_to_say(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(SchedulingEnv(name, rounds=40), skip_render_check=True)


def test_the_same_seed_gives_the_same_episode_and_another_one_another():
    environment, actions = SchedulingEnv("laws", rounds=30), [2, 2, 4, 0, 1, 3] * 4
    one, two = played(environment, 5, actions), played(environment, 5, actions)
    other = played(environment, 6, actions)
    assert all(np.array_equal(a, b) and r == s for (a, r), (b, s) in zip(one, two, strict=True))
    assert [r for _, r in one] != [r for _, r in other]


def test_an_episode_is_cut_off_after_its_rounds_and_not_before():
    environment = SchedulingEnv("laws", rounds=12)
    environment.reset(seed=0)
    ends = [environment.step(STAY)[2:4] for _ in range(11)]  # the first round is played at reset
    assert ends == [(False, False)] * 10 + [(False, True)]


def test_the_best_choice_of_each_round_is_worth_1():
    environment = SchedulingEnv("laws", rounds=200)
    environment.reset(seed=1)
    seen = set()
    for number in range(150):
        _, reward, *_ = environment.step(np.int64(number % 5))
        assert 0 < reward <= 1
        seen.add(round(reward, 3))
    assert len(seen) > 20


def test_a_move_over_the_edge_stays():
    environment = SchedulingEnv("laws", rounds=50)
    environment.reset(seed=2)
    for _ in range(10):
        *_, told = environment.step(np.int64(2))
    highest = told["choice"]
    *_, told = environment.step(np.int64(2))
    assert told["choice"] == highest
    assert environment.world.choices[highest].sync_interval == 128


def test_a_scenario_that_is_not_there_is_refused():
    with pytest.raises(SettingError, match="did you mean 'laws'"):
        SchedulingEnv("lawz")
    with pytest.raises(SettingError, match="rounds must be at least 1"):
        SchedulingEnv("laws", rounds=0)


def test_without_gymnasium_the_extra_is_named():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "from paceline.core.errors import MissingExtra\n"
        "try: import paceline.agents.simulation.environment\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "paceline[rl]"' in done.stdout


def test_every_shipped_scenario_can_be_played():
    for name in shipped():
        if name != "thousand":
            environment = SchedulingEnv(name, rounds=5)
            environment.reset(seed=0)
            environment.step(STAY)
