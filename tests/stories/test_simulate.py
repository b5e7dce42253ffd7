"""Stories of `paceline simulate`: one person, one temporary directory."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from paceline.agents.simulation.scenario import shipped
from paceline.cli.main import run as command
from paceline.core.errors import SettingError
from paceline.jobs.simulation.simulate import simulate as run_simulation

KEYS = (
    "time_share_of_oracle", "reward_share_of_oracle", "rounds_to_adapt", "policy_seconds_per_round",
)  # fmt: skip
MINE = """\
title = "two of mine"
rounds = 12

[[agents]]
name = "old"
seconds_per_example = 0.004

[[agents]]
name = "new"
seconds_per_example = 0.001
price = 2
"""


def simulate(*words, capsys):
    code = command(["simulate", *map(str, words)])
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def test_a_shipped_scenario_is_told_in_a_table(capsys):
    code, out, err = simulate("static", "--rounds", 20, capsys=capsys)
    assert code == 0 and out == ""
    assert re.search(r"^model +\d+\.\d% +\d+\.\d% +– +\d+\.\d\d", err, re.MULTILINE)
    assert "static: 16 agents, 20 rounds, seed 0" in err
    assert "simulate 100 %" in err


def test_several_policies_are_told_in_one_object(capsys):
    code, out, err = simulate(
        "switch", "--policy", "model", "-p", "equal", "--policy", "proportional",
        "--agents", 4, "--rounds", 60, "--seed", 2, "--json", "--quiet", capsys=capsys,
    )  # fmt: skip
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    found = json.loads(out)
    assert [row["policy"] for row in found["policies"]] == ["model", "equal", "proportional"]
    assert (found["scenario"], found["agents"], found["rounds"], found["seed"]) == (
        "switch", 4, 60, 2,
    )  # fmt: skip
    for key in KEYS:
        assert found[key] == found["policies"][0][key] >= 0
    assert found["reward_share_of_oracle"] > found["policies"][1]["reward_share_of_oracle"]
    assert found["rounds_to_adapt"] < found["policies"][1]["rounds_to_adapt"]


def test_plans_that_the_slack_does_not_admit_are_warned_of(capsys):
    _, _, err = simulate("priced", "-p", "equal", "--rounds", 5, capsys=capsys)
    assert "warning: equal: 100% of its plans took over 1.25 times the shortest time" in err


def test_the_same_seed_gives_the_same_figures(capsys):
    words = ("drift", "--agents", 3, "--rounds", 30, "--json", "--quiet")
    told = []
    for seed in (1, 1, 2):
        _, out, _ = simulate(*words, "--seed", seed, capsys=capsys)
        told.append([json.loads(out)[key] for key in KEYS[:3]])
    assert told[0] == told[1] != told[2]


def test_a_file_of_ones_own_is_simulated_and_shown_on_a_page(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(MINE)
    code, _, err = simulate(
        "mine.toml", "-p", "equal", "-p", "proportional", "--html", "page.html", capsys=capsys
    )
    assert code == 0 and "page.html" in err
    page = (tmp_path / "page.html").read_text()
    assert "two of mine" in page and "2 agents" in page and "12 rounds" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert page.count("<svg") == 3  # worth, and the shares of each policy


def test_what_a_file_says_is_text_on_the_page(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(MINE.replace("two of mine", "<script>alert(1)</script>"))
    simulate("mine.toml", "-p", "equal", "--html", "page.html", capsys=capsys)
    assert "<script>alert" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["statik"], "did you mean 'static'"),
        (["static", "--policy", "modle"], "did you mean 'model'"),
        (["static", "--agents", "0"], "agents must be from 1 to 100,000, got 0"),
        (["static", "--rounds", "0"], "rounds must be at least 1, got 0"),
        (["static", "--seed", "-1"], "seed must be at least 0, got -1"),
        (["static", "--rounds", "few"], "few"),
        (["static", "--html", "nowhere/page.html"], "there is no directory nowhere"),
        (["bad.toml"], "bad.toml: agents.1.price: must be at least 0, got -2"),
        (["key.toml"], "did you mean 'price'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, words, told):
    (tmp_path / "bad.toml").write_text(MINE.replace("price = 2", "price = -2"))
    (tmp_path / "key.toml").write_text(MINE.replace("price = 2", "prise = 2"))
    code, out, err = simulate(*words, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and told in err


def test_without_a_policy_there_is_nothing_to_simulate():
    with pytest.raises(SettingError, match="name at least one"):
        run_simulation("static", ())


def test_a_policy_is_asked_for_once_however_often_it_is_named(capsys):
    words = ("static", "-p", "equal", "-p", "equal", "--rounds", 3, "--json", "-q")
    _, out, _ = simulate(*words, capsys=capsys)
    assert len(json.loads(out)["policies"]) == 1


def test_the_help_has_examples_and_names_every_scenario(capsys):
    assert command(["simulate", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "paceline simulate switch --policy model --policy equal" in out
    assert all(name in out for name in shipped())


def test_ctrl_c_leaves_with_a_line_and_without_a_trace():
    words = [sys.executable, "-m", "paceline", "simulate", "static", "--rounds", "2000"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*words, *("--policy", "model", "--agents", "2000")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=quiet,
        # A suite that a shell runs in the background was told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert first.startswith("simulate  10 %")
    assert process.returncode == 130
    assert out == "" and err.endswith("error: interrupted\n")
    assert "Traceback" not in err
