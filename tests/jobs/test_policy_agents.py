"""paceline policy train --for agents: from simulated clusters to a network that acts."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from paceline.cli import main
from paceline.core import catalog
from paceline.core.errors import MissingExtra, SettingError
from paceline.jobs import policy_agents
from paceline.jobs.policy_agents import names, train_agents_policy
from paceline.policies.base import Terms
from paceline.policies.base.networks import read_network

pytest.importorskip("stable_baselines3")


class Listener:
    """Remembers what it was told."""

    def __init__(self):
        self.shares = {}

    def say(self, line):
        pass

    def warn(self, line):
        pass

    def advance(self, what, done, note=""):
        self.shares.setdefault(what, []).append(done)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Short worlds and few tests: the same code in seconds."""
    from paceline.agents.simulation.scenario import read_scenario

    made = policy_agents._environment

    def short(scenario):
        return made(read_scenario(scenario).model_copy(update={"rounds": 12}))

    monkeypatch.setattr(policy_agents, "_environment", short)
    monkeypatch.setattr(policy_agents, "TESTS", 2)
    monkeypatch.setattr(policy_agents, "_LOOKS", 2)
    monkeypatch.setattr(policy_agents, "_LOOK_WORLDS", 1)
    dqn = policy_agents._METHODS["dqn"][1] | {"learning_starts": 5}
    ppo = policy_agents._METHODS["ppo"][1] | {"n_steps": 16, "batch_size": 16}
    methods = policy_agents._METHODS | {"dqn": ("DQN", dqn), "ppo": ("PPO", ppo)}
    monkeypatch.setattr(policy_agents, "_METHODS", methods)


@pytest.mark.parametrize("name", names())
def test_a_trained_network_is_one_that_its_policy_takes(tmp_path, name):
    out, listener = tmp_path / "net.safetensors", Listener()
    found = train_agents_policy(name, out, episodes=3, seed=3, progress=listener)
    assert (found.episodes, found.steps, found.tests) == (3, 33, 2)
    assert 0 < found.share_of_oracle <= 1 and 0 < found.share_held_out <= 1
    _, facts = read_network(out.read_bytes(), "x")
    assert facts["policy"] == name and facts["trained"]["episodes"] == 3
    assert catalog.find("policies", name)(Terms(), network=str(out)) is not None
    assert listener.shares["train"][-1] == 1.0 and listener.shares["test"] == [0.5, 1.0]


def test_the_same_seed_gives_the_same_network_whatever_else_is_drawn(tmp_path):
    contents = []
    for at, seed in enumerate((1, 1, 2)):
        torch.manual_seed(at)
        before = torch.get_rng_state()
        train_agents_policy("ppo", tmp_path / f"{at}", episodes=2, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        contents.append((tmp_path / f"{at}").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_the_best_network_on_the_way_is_kept(tmp_path, monkeypatch):
    kept = []

    def share(network, scenario, seed, worlds):
        kept.append(network)
        return 0.9 if len(kept) == 1 else 0.1

    monkeypatch.setattr(policy_agents, "_share", share)
    train_agents_policy("a2c", tmp_path / "net", episodes=3)
    assert kept[-1] is kept[0] and kept[0] is not kept[1]


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("pp0", {}, "did you mean 'ppo'"),
        ("q_learning", {}, "no policy 'q_learning' with a network"),
        ("ppo", {"episodes": 0}, "episodes must be at least 1"),
        ("ppo", {"seed": -1}, "seed must be from 0"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, name, changes, expected):
    with pytest.raises(SettingError, match=expected):
        train_agents_policy(name, tmp_path / "net", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_network_is_left_as_it_is(tmp_path):
    out = tmp_path / "thesis.txt"
    out.write_text("chapter 1")
    with pytest.raises(SettingError, match="is no policy network"):
        train_agents_policy("ppo", out, episodes=1)
    assert out.read_text() == "chapter 1"
    with pytest.raises(SettingError, match="there is no directory"):
        train_agents_policy("ppo", tmp_path / "none" / "net", episodes=1)


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(MissingExtra, match=r'pip install "paceline\[rl\]"'):
        train_agents_policy("ppo", tmp_path / "net", episodes=1)


# --- the command


def test_the_command_trains_for_agents_and_says_what_it_is_worth(tmp_path, capsys):
    out = tmp_path / "net.safetensors"
    told = ["policy", "train", "a2c", "--for", "agents", "--out", str(out), "--episodes", "2"]
    assert main.run([*told, "--json"]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out.splitlines()[-1])
    assert facts["out"] == str(out) and facts["episodes"] == 2
    assert "train 100 %" in said.err
    assert main.run(told) == 0
    assert "under laws of other forms" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["train", "q_learning", "--for", "agents", "--out", "t"], "there are: a2c, dqn, ppo"),
        (["train", "ppo", "--for", "agent", "--out", "t"], "--for"),
        (["train", "ppo", "--out", "t.json"], "no learned controller 'ppo'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(capsys, tokens, expected):
    assert main.run(["policy", *tokens]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error
