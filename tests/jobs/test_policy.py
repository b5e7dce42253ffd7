"""paceline policy train: from small trainings to a table that a controller uses."""

from __future__ import annotations

import json
import math

import pytest
import torch

from paceline.cli import main
from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.jobs import policy
from paceline.jobs.policy import Episode, episodes_of, names, run_episode, train_policy
from paceline.jobs.practice import HELD_OUT, OPTIMIZERS, TRAINING, make


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
    """Short trainings and few tests: the same code in seconds."""
    monkeypatch.setattr(policy, "TESTS", 4)
    monkeypatch.setattr(policy, "_FEWEST", 15)
    monkeypatch.setitem(main.COMMANDS, "policy", "Train the table of a learned controller.")


@pytest.mark.parametrize("name", names())
def test_a_trained_table_is_one_that_its_controller_takes(tmp_path, name):
    out = tmp_path / "table.json"
    found = train_policy(name, out, episodes=6, seed=3)
    facts = json.loads(out.read_text())
    assert facts["learner"] == name and facts["trained"]["episodes"] == found.episodes == 6
    assert found.states > 0 and found.tests == 4
    assert 0 <= found.beat_constant <= 1 and 0 <= found.beat_linear <= 1
    controller = catalog.find("controllers", name)(0.1, policy=str(out))
    assert controller.table.state_dict() == facts["state"]


def test_the_same_seed_gives_the_same_table_whatever_else_is_drawn(tmp_path):
    texts = []
    for at, seed in enumerate((1, 1, 2)):
        torch.manual_seed(at)
        before = torch.get_rng_state()
        train_policy("q_learning", tmp_path / f"{at}.json", episodes=4, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        texts.append((tmp_path / f"{at}.json").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_training_leaves_the_number_of_threads_as_it_was(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_policy("bandit", tmp_path / "t.json", episodes=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_tells_how_far_it_is(tmp_path):
    listener = Listener()
    train_policy("sarsa", tmp_path / "t.json", episodes=4, progress=listener)
    assert listener.shares["train"] == listener.shares["test"] == [0.25, 0.5, 0.75, 1.0]


def test_a_new_table_knows_nothing_of_the_shipped_one(tmp_path):
    train_policy("q_learning", tmp_path / "t.json", episodes=1)
    assert len(json.loads((tmp_path / "t.json").read_text())["state"]["table"]) < 20


def test_the_tests_are_of_kinds_that_training_never_sees():
    assert not set(TRAINING) & set(HELD_OUT)
    kinds = {each.kind for each in episodes_of(sorted(HELD_OUT), 50, "test")}
    assert kinds == set(HELD_OUT)


def test_episodes_cover_every_kind_with_every_optimizer_and_rates_of_all_sizes():
    found = list(episodes_of(sorted(TRAINING), 240, "x"))
    pairs = {(each.kind, each.optimizer) for each in found}
    assert pairs == {(kind, optimizer) for kind in TRAINING for optimizer in OPTIMIZERS}
    rates = [each.learning_rate for each in found]
    assert 1e-6 <= min(rates) < 1e-5 and 1 < max(rates) <= 10


@pytest.mark.parametrize("kind", sorted(TRAINING | HELD_OUT))
def test_a_practice_can_be_learnt_and_is_the_same_for_the_same_seed(kind):
    practice = make(kind, 5)
    assert practice.score() == make(kind, 5).score() != make(kind, 6).score()
    assert 0 < practice.examples < len(practice.data[0])
    episode = Episode(kind=kind, optimizer="adam", learning_rate=0.01, steps=60, seed=5)
    after = run_episode(episode, catalog.find("controllers", "linear")(0.01))
    assert after < practice.score()
    assert after == run_episode(episode, catalog.find("controllers", "linear")(0.01))


def test_a_training_that_went_astray_scores_infinity():
    practice = make("regression", 0)
    with torch.no_grad():
        for each in practice.model.parameters():
            each.fill_(math.nan)
    assert practice.score() == math.inf


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("q_lerning", {}, "did you mean 'q_learning'"),
        ("cosine", {}, "no learned controller 'cosine'"),
        ("sarsa", {"episodes": 0}, "episodes must be at least 1"),
        ("sarsa", {"seed": -1}, "seed must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, name, changes, expected):
    with pytest.raises(SettingError, match=expected):
        train_policy(name, tmp_path / "t.json", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_table_is_left_as_it_is(tmp_path):
    out = tmp_path / "thesis.json"
    out.write_text('{"chapter": 1}')
    with pytest.raises(SettingError, match="is no policy table"):
        train_policy("sarsa", out, episodes=1)
    assert out.read_text() == '{"chapter": 1}'
    with pytest.raises(SettingError, match="is no policy table"):
        train_policy("sarsa", tmp_path, episodes=1)


def test_a_table_that_is_there_is_replaced(tmp_path):
    out = tmp_path / "t.json"
    train_policy("sarsa", out, episodes=1)
    train_policy("q_learning", out, episodes=1)
    assert json.loads(out.read_text())["learner"] == "q_learning"


def test_a_directory_that_is_missing_is_named(tmp_path):
    with pytest.raises(SettingError, match="there is no directory"):
        train_policy("sarsa", tmp_path / "none" / "t.json", episodes=1)


# --- the command


def test_the_command_writes_a_table_and_says_what_it_is_worth(tmp_path, capsys):
    out = tmp_path / "t.json"
    told = ["policy", "train", "q_learning", "--out", str(out), "--episodes", "2", "--json"]
    assert main.run(told) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out.splitlines()[-1])
    assert facts["out"] == str(out) and facts["episodes"] == 2 and facts["tests"] == 4
    assert "train 100 %" in said.err and "test 100 %" in said.err
    assert main.run(told[:-1]) == 0
    assert "of other kinds" in capsys.readouterr().err
    assert main.run([*told[:-1], "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["train", "sarsa"], "--out"),
        (["train", "srsa", "--out", "t.json"], "did you mean 'sarsa'"),
        (["tran", "sarsa", "--out", "t.json"], "train"),
        (["train", "sarsa", "--out", "t.json", "--episodes", "0"], "at least 1"),
        (["train", "sarsa", "--out", "t.json", "--episodes", "many"], "many"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(capsys, tokens, expected):
    assert main.run(["policy", *tokens]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and expected in error


def test_the_help_has_examples(capsys):
    assert main.run(["policy", "--help"]) == 0
    out = capsys.readouterr().out
    assert "paceline policy train q_learning --out mine.json" in out and "--episodes" in out
