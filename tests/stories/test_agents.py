"""Stories of `paceline fit --agents`: real processes, which are found by their names and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from multiprocessing.connection import Listener
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from paceline import fit
from paceline.cli.main import run as command
from paceline.core.errors import SettingError
from paceline.core.ledger import Ledger

FAST = ("--no-baselines", "--set", "model.width=4")
STEADY = ("--set", "controller.name=constant")  # no step is a trial, so each batch counts


class Training:
    """`paceline fit` in a process of its own, whose lines are read as they come."""

    def __init__(self, *words):
        line = [sys.executable, "-m", "paceline", "fit", "digits", *FAST, "--out", "run", "--json"]
        self.process = subprocess.Popen(
            [*line, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.said = []

    def read_until(self, words):
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError("".join(self.said))

    def agent(self, number):
        """The process that the list of processes calls ``paceline agent N``, among ours."""
        (found,) = [
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit()
            and title(folder) == f"paceline agent {number}"
            and self.process.pid in ancestors(folder)
        ]
        return found

    def end(self):
        out, err = self.process.communicate(timeout=200)
        self.said.append(err)
        lines = out.splitlines()
        return self.process.returncode, json.loads(lines[-1]) if lines else None


def title(folder):
    try:
        return (folder / "cmdline").read_bytes().rstrip(b"\0 ").decode()
    except OSError:
        return ""


def ancestors(folder):
    while folder.name not in ("0", "1"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        yield int(fields[1])
        folder = folder.with_name(fields[1])


def events(run):
    with Ledger(run / "ledger.db") as ledger:
        rows = [row for row in ledger.read(kind="event") if row.source == "agents"]
    return [(row.name, row.detail) for row in rows]


def test_an_agent_is_killed_then_ctrl_c_saves_and_resume_ends_it_with_nothing_lost(tmp_path):
    words = ("--agents", 3, "--steps", 800, *STEADY)
    training = Training(*words, "--slow", "1,1,2")
    training.read_until("training")
    os.kill(training.agent(2), signal.SIGKILL)
    assert re.search(r"agent 2 is lost \(.+\); 2 are left", training.read_until("is lost"))
    training.read_until("training")
    training.process.send_signal(signal.SIGINT)
    code, found = training.end()
    assert (code, found["stopped"]) == (130, "interrupted")
    assert "--resume" in "".join(training.said) and "Traceback" not in "".join(training.said)
    again = Training(*words, "--slow", "1,1,2", "--resume")
    code, found = again.end()
    assert (code, found["steps"]) == (0, 800), again.said
    told = events(tmp_path / "run")
    assert [detail["agent"] for name, detail in told if name == "agent_lost"] == [2]
    examples = told[-1][1]["examples"]
    assert told[-1][0] == "agents"
    assert examples["counted"] == 800 * 64
    assert examples["most"] - examples["fewest"] <= 1


def test_below_the_least_number_it_saves_and_says_so_in_one_line(tmp_path):
    words = ("--agents", 2, "--min-agents", 2, "--steps", 800, *STEADY)
    training = Training(*words)
    training.read_until("training")
    os.kill(training.agent(1), signal.SIGKILL)
    code, _ = training.end()
    said = "".join(training.said).splitlines()
    assert code == 2 and [line for line in said if line.startswith("error: ")] == [said[-1]]
    assert "1 agents are left and 2 are needed" in said[-1] and "Traceback" not in "".join(said)
    again = Training(*words, "--resume")
    code, found = again.end()
    assert (code, found["steps"]) == (0, 800), again.said
    examples = events(tmp_path / "run")[-1][1]["examples"]
    assert examples["counted"] == 800 * 64 and examples["most"] - examples["fewest"] <= 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--agents", "100"], "100 agents cannot share a batch of 64 examples"),
        (["--agents", "0"], "agents.count: input should be greater than or equal to 1, got 0"),
        (["--agents", "2", "--engine", "lokal"], "did you mean 'local'"),
        (["--agents", "2", "--policy", "modle"], "did you mean 'model'"),
        (["--agents", "2", "--slow", "0.5"], "nobody can be faster than they are, got (0.5,)"),
        (["--agents", "2", "--slow", "x"], "--slow takes numbers such as 1,1,2,4, got 'x'"),
        (["--agents", "2", "--set", "agents.prices=[-1,1]"], "a price must be at least 0"),
        (["--agents", "2", "--set", "agents.prices=[1]"], "prices must be 2, one for each agent"),
        (["--agents", "2", "--set", "agents.alpha=0"], "alpha and beta must not both be 0"),
        (["--agents", "2", "--min-agents", "3"], "min_agents is 3, but there are 2 agents"),
        (["--agents", "2", "--set", "agents.pries=1"], "did you mean 'prices'"),
        (["--agents", "2", "--set", "agents.port=70000"], "agents.port: input should be less"),
        (["--agents", "2", "--set", "agents.sync_interval=0"], "at least 1, or 'auto', got 0"),
        (["--agents", "2", "--set", "agents.sync_interval=often"], "or 'auto', got 'often'"),
        (
            [
                *("--agents", "2", "--policy", "fixed", "--set", "agents.policy.shares=[1.0,2.0]"),
                *("--set", "agents.sync_interval=auto"),
            ],
            "the policy fixed only guides there, so that its settings (shares) have no place",
        ),
        (["--agents", "2", "--set", "loop.device=cuda:99"], "the device 'cuda:99' cannot be used"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(words, told, tmp_path, capsys):
    code = command(["fit", "digits", "--steps", "5", *FAST, "--out", "run", "--quiet", *words])
    caught = capsys.readouterr()
    assert (code, caught.out) == (2, "")
    assert caught.err.startswith("error: ") and caught.err.count("\n") == 1 and told in caught.err
    assert not (tmp_path / "run").exists()


def test_a_port_in_use_is_one_line_and_nothing_is_written(tmp_path, capsys):
    with Listener(("127.0.0.1", 0)) as taken:
        port = taken.address[1]
        words = ["--agents", "2", "--set", f"agents.port={port}"]
        code = command(["fit", "digits", "--steps", "5", *FAST, "--out", "run", "--quiet", *words])
    caught = capsys.readouterr()
    assert (code, caught.out) == (2, "") and caught.err.count("\n") == 1
    assert f"agents cannot listen on 127.0.0.1:{port}" in caught.err
    assert not (tmp_path / "run").exists()


def test_the_interval_is_chosen_while_it_trains_and_goes_on_from_a_state(tmp_path):
    """This machine's memory is a fast link; the least share of all makes it a slow one."""
    words = ("--agents", 2, "--policy", "interval", "--set", "agents.sync_interval=auto")
    words += ("--set", "agents.policy.share=0.0001", "--steps", 400)
    training = Training(*words)
    training.read_until("training")
    training.process.send_signal(signal.SIGINT)
    training.end()
    code, found = Training(*words, "--resume").end()
    assert code == 0 and found["steps"] < 400
    assert found["test"]["accuracy"] > 0.9
    with Ledger(tmp_path / "run" / "ledger.db") as ledger:
        rows = [row for row in ledger.read(kind="decision") if row.name == "sync_interval"]
    # What comes after the first change hangs on seconds that a busy machine may double.
    assert rows[0].detail["chosen"] == 2
    assert "a synchronisation" in rows[0].detail["reason"]
    counted = events(tmp_path / "run")[-1][1]["examples"]["counted"]
    assert 400 * 64 <= counted < 416 * 64


def data():
    return TensorDataset(torch.randn(64, 3), torch.randint(2, (64,)))


def test_a_loader_of_ones_own_cannot_be_shared_out():
    with pytest.raises(SettingError, match="cannot share out a DataLoader of your own"):
        fit(DataLoader(data(), batch_size=8), model=nn.Linear(3, 2), steps=3, agents=2)


def test_what_cannot_be_handed_over_is_told_in_one_line():
    model = nn.Linear(3, 2)
    model.note = lambda: None
    with pytest.raises(SettingError, match="cannot be handed to another process") as caught:
        fit(data(), model=model, steps=3, agents=2)
    assert "\n" not in str(caught.value) and "top level of a module" in str(caught.value)


def test_a_loss_that_cannot_be_handed_over_is_told_likewise():
    with pytest.raises(SettingError, match="cannot be handed to another process"):
        fit(
            data(),
            model=nn.Linear(3, 2),
            loss=lambda output, targets: nn.functional.cross_entropy(output, targets),
            steps=3,
            agents=2,
        )
