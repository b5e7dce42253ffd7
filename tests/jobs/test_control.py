"""paceline fit of an environment's id: from nothing to a policy that was measured."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import ClassVar

import numpy as np
import pytest

import paceline
from paceline.core.errors import DataError, RunError, SettingError
from paceline.core.ledger import read_ledger
from paceline.jobs.control import job as control
from paceline.jobs.control.learner import METHODS, method_named, settings_of
from paceline.jobs.control.play import Played, interquartile_mean, plain_policies, play

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("stable_baselines3")

SMALL = {
    "task.episodes": 3,
    "task.pictures": False,
    "model.width": 8,
    "model.train_freq": 32,
    "model.gradient_steps": 2,
}
ACTOR = {
    "task.episodes": 3,
    "task.pictures": False,
    "model.width": 8,
    "model.n_steps": 16,
    "model.n_envs": 2,
}


class Corridor(gymnasium.Env):
    """To the right is the goal: three moves right give 1 each, a move left ends it."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None, *, seen=None, acts=None):
        self.observation_space = seen or gymnasium.spaces.Box(0.0, 3.0, (1,), np.float32)
        self.action_space = acts or gymnasium.spaces.Discrete(2)
        self.render_mode = render_mode
        self._at = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        right = float(np.asarray(action).reshape(-1)[0]) > 0
        self._at += right
        ended = not right or self._at == 3
        return np.full(1, self._at, np.float32), float(right), ended, False, {}

    def render(self):
        return np.full((300, 4, 3), 80 * self._at, np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _registered():
    spaces = gymnasium.spaces
    kinds = {
        "Corridor-v0": {},
        "Sliding-v0": {"acts": spaces.Box(-1.0, 1.0, (1,), np.float32)},
        "Cards-v0": {"seen": spaces.Tuple((spaces.Discrete(3), spaces.Discrete(2)))},
        "Words-v0": {"acts": spaces.Text(3)},
    }
    for name, given in kinds.items():
        gymnasium.register(name, entry_point=Corridor, kwargs=given)
    yield
    for name in kinds:
        del gymnasium.registry[name]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "corridor"
    return paceline.fit("Corridor-v0", steps=1500, out=out, settings=SMALL | {"task.seeds": 2})


def test_it_learns_what_is_easy_and_says_so_beside_plain_policies(run):
    assert run.test["mean_return"] == 3.0 == run.evaluate(episodes=5)["mean_return"]
    assert run.baselines["always 1"]["mean_return"] == 3.0
    assert run.baselines["always 0"]["mean_return"] == 0.0
    assert 0 < run.baselines["random"]["mean_return"] < 3


def test_each_seed_is_told_with_all_steps_that_it_made(run):
    seeds = run.facts["result"]["seeds"]
    assert [each["seed"] for each in seeds] == [0, 1]
    for each in seeds:
        assert each["look_steps"] > 0
        assert each["steps"] + each["look_steps"] <= 1500 + 5 * 3
    (finding, *_) = run.facts["result"]["findings"]
    assert finding["title"] == "Each seed" and len(finding["rows"]) == 2


def test_the_ledger_holds_the_curves_and_the_decisions(run):
    entries = read_ledger(run.path / "ledger.db")
    names = {(each.source, each.name) for each in entries if each.kind == "reading"}
    assert {("loop", "loss"), ("loop", "episode_return"), ("validation", "mean_return")} <= names
    chosen = [each.name for each in entries if each.kind == "decision"]
    assert {"task", "model", "learning_rate", "weights"} <= set(chosen)
    assert "Validation mean return" in (run.path / "report.html").read_text()


def test_a_run_that_is_loaded_acts_the_same(run):
    again = paceline.load(run.path)
    seen = np.array([[0.0], [1.0], [2.0]])
    assert again.predict(seen).tolist() == run.predict(seen).tolist() == [1, 1, 1]
    assert again.answers("Corridor-v0")["prediction"] == [3.0] * 100
    assert again.baselines == run.baselines and "mean_return=3" in repr(again)


def test_observations_come_from_a_table_too(run, tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "seen.csv").write_text("place\n0\n1\n2\n")
    assert run.answers(tmp_path / "seen.csv") == {"prediction": [1, 1, 1]}


def test_observations_of_another_shape_are_refused(run):
    with pytest.raises(DataError, match=r"must have the shape \[n, 1\], got \[2, 3\]"):
        run.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="no number"):
        run.predict(np.array([["a"]]))


def test_another_environment_is_measured_only_if_it_looks_the_same(run):
    with pytest.raises(SettingError, match="but the run learnt in Corridor-v0"):
        run.evaluate("CartPole-v1")
    with pytest.raises(DataError, match="measured by episodes"):
        run.evaluate(np.zeros((2, 1)), np.zeros(2))


def test_there_are_best_weights_only(run):
    with pytest.raises(RunError, match="best weights only"):
        paceline.load(run.path, weights="last")


@pytest.mark.parametrize("name", ["double_dqn", "ppo", "a2c"])
def test_every_method_trains(tmp_path, name):
    given = SMALL if name == "double_dqn" else ACTOR
    found = paceline.fit(
        "Corridor-v0", model=name, steps=700, out=tmp_path / "run", settings=given, baselines=False
    )
    assert found.facts["result"]["updates"] > 0
    assert found.facts["model"]["name"] == name
    assert list(found.baselines) == ["random"]


def test_actor_methods_take_continuous_actions(tmp_path):
    found = paceline.fit("Sliding-v0", model="ppo", steps=300, out=tmp_path / "r", settings=ACTOR)
    assert found.predict(np.zeros((2, 1))).shape == (2, 1)
    assert set(found.baselines) == {"random", "always the middle"}


def test_the_same_seed_gives_the_same_policy(tmp_path):
    def returns(name):
        run = paceline.fit("Corridor-v0", steps=300, out=tmp_path / name, settings=SMALL, seed=3)
        return (run.path / "model.safetensors").read_bytes()

    assert returns("a") == returns("b")


def test_a_budget_of_time_ends_it(tmp_path):
    run = paceline.fit("Corridor-v0", time=1.5, out=tmp_path / "run", settings=SMALL)
    assert run.facts["state"] == "finished" and run.facts["result"]["updates"] > 0
    assert run.facts["result"]["seconds"] < 15


@pytest.mark.parametrize("name", ["dqn", "ppo"])
def test_a_ctrl_c_saves_and_resume_goes_on_to_the_end(tmp_path, monkeypatch, name):
    settings = SMALL if name == "dqn" else ACTOR
    between = control.ControlJob._between

    def interrupted(self, done):
        if done > 0.4:
            os.kill(os.getpid(), signal.SIGINT)
        return between(self, done)

    monkeypatch.setattr(control.ControlJob, "_between", interrupted)
    asked = {"model": name, "steps": 1200, "settings": settings, "out": tmp_path / "run"}
    halted = paceline.fit("Corridor-v0", **asked)
    assert halted.facts["state"] == "interrupted" and halted.test == {}
    monkeypatch.setattr(control.ControlJob, "_between", between)
    with pytest.raises(RunError, match="add --resume"):
        paceline.fit("Corridor-v0", **asked)
    with pytest.raises(RunError, match="other settings"):
        paceline.fit("Corridor-v0", resume=True, **(asked | {"steps": 900}))
    done = paceline.fit("Corridor-v0", resume=True, **asked)
    whole = done.facts["result"]
    assert done.facts["state"] == "finished" and whole["steps"] > halted.facts["result"]["steps"]
    assert paceline.fit("Corridor-v0", resume=True, **asked).test == done.test


def test_frames_of_an_episode_are_drawn(tmp_path):
    run = paceline.fit(
        "Corridor-v0", steps=200, out=tmp_path / "r", settings=SMALL | {"task.pictures": True}
    )
    found = run.facts["result"]["findings"][-1]
    assert found["kind"] == "pictures" and found["rows"][0][0].startswith("data:image/png;base64,")


def test_an_environment_that_cannot_be_drawn_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(Corridor, "render", lambda self: 1 / 0)
    run = paceline.fit(
        "Corridor-v0", steps=200, out=tmp_path / "r", settings=SMALL | {"task.pictures": True}
    )
    assert [each["title"] for each in run.facts["result"]["findings"]] == ["Each seed"]
    warned = read_ledger(run.path / "ledger.db", kind="warning")
    assert "no frames are drawn" in warned[0].detail["why"]


@pytest.mark.parametrize(
    ("place", "asked", "error", "words"),
    [
        ("Corridr-v0", {}, DataError, "did you mean 'Corridor-v0'"),
        ("Sliding-v0", {}, SettingError, "--model ppo or --model a2c fits"),
        ("Cards-v0", {}, DataError, "shows Tuple, but one array of numbers"),
        ("Words-v0", {"model": "ppo"}, DataError, "actions of the kind Text"),
        ("Corridor-v0", {"model": "dqm"}, SettingError, "did you mean 'dqn'"),
        ("Corridor-v0", {"epochs": 3}, SettingError, "--epochs does not go with"),
        ("Corridor-v0", {"target": "x"}, SettingError, "--target does not go with"),
        ("Corridor-v0", {"task": "image"}, SettingError, "--task image does not go with"),
        ("Corridor-v0", {"settings": {"task.seed": 3}}, SettingError, "did you mean 'seeds'"),
        ("Corridor-v0", {"settings": {"task.seeds": 0}}, SettingError, "at least 1"),
        ("Corridor-v0", {"settings": {"task.seeds": 1.5}}, SettingError, "seeds must be int"),
        ("Corridor-v0", {"settings": {"task.look_share": 1.0}}, SettingError, "under 1"),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(tmp_path, place, asked, error, words):
    with pytest.raises(error, match=words) as told:
        paceline.fit(place, out=tmp_path / "run", **asked)
    assert "\n" not in str(told.value) and not (tmp_path / "run").exists()


def test_a_network_of_ones_own_cannot_act_yet(tmp_path):
    import torch

    with pytest.raises(DataError, match="cannot act yet"):
        paceline.fit("Corridor-v0", model=torch.nn.Linear(1, 2), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gama": 0.9}, "did you mean 'gamma'"),
        ({"gamma": 1.5}, "at most 1"),
        ({"width": 0}, "over 0"),
        ({"width": 8.5}, "a whole number"),
        ({"gamma": "x"}, "a number"),
    ],
)
def test_wrong_settings_of_a_method_are_refused(given, words):
    with pytest.raises(SettingError, match=words):
        settings_of("dqn", METHODS["dqn"], given)


def test_a_switch_must_be_true_or_false():
    with pytest.raises(SettingError, match="true or false"):
        settings_of("a2c", METHODS["a2c"], {"normalize_advantage": 1})
    assert method_named(None)[0] == "dqn"


def test_every_environment_plays_its_share_of_the_episodes():
    played = play(Corridor, lambda seen: np.ones(len(seen)), seed=0, episodes=23)
    assert len(played.returns) == 23 and played.steps == 69


def test_a_number_of_steps_is_played_in_whole_episodes():
    played = play(Corridor, lambda seen: np.ones(len(seen)), seed=0, steps=7)
    assert played.steps == 9 and played.metrics()["episode_steps"] == 3.0


def test_the_interquartile_mean_is_that_of_the_middle_half():
    values = np.arange(8.0)
    assert interquartile_mean(values) == values[2:6].mean()
    assert Played(returns=values, lengths=values).metrics()["lowest_return"] == 0.0


def test_plain_policies_are_made_for_lists_of_switches_too():
    spaces = gymnasium.spaces
    found = plain_policies(spaces.MultiDiscrete([2, 3]), 0)
    assert found["always the first"][0](np.zeros((4, 1))).tolist() == [[0, 0]] * 4
    assert set(plain_policies(spaces.MultiBinary(2), 0)) == {"random"}


def test_without_stable_baselines3_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(paceline.PacelineError, match=r"paceline\[rl\]"):
        paceline.fit("Corridor-v0", out=tmp_path / "run")


def test_the_command_prints_the_mean_return(tmp_path, capsys):
    from paceline.cli.main import run

    given = [
        part for name, value in SMALL.items() for part in ("--set", f"{name}={json.dumps(value)}")
    ]
    code = run(
        ["fit", "Corridor-v0", "--steps", "200", "--out", str(tmp_path / "r"), "--json", *given]
    )
    said = capsys.readouterr()
    assert code == 0 and "mean return" in said.err
    assert json.loads(said.out.splitlines()[-1])["task"] == "control"
