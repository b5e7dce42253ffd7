"""A comparison at the command line, with real trainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from paceline.cli.main import run as command

TINY = ["--set", "model.width=4", "--seeds", "1"]


def compare(*words, capsys):
    code = command(["compare", *map(str, words)])
    caught = capsys.readouterr()
    return code, caught.out, caught.err


def test_methods_are_trained_compared_and_shown(capsys, tmp_path):
    words = ["digits", "--optimizers", "momentum,adam", "--controllers", "constant,linear"]
    words += ["--steps", 8, *TINY, "--out", "out"]
    code, out, err = compare(*words, "--json", capsys=capsys)
    assert code == 0
    assert len(out.splitlines()) == 1
    found = json.loads(out)
    assert found["state"] == "finished"
    assert (found["trainings"], found["ended"], found["failed"]) == (4, 4, 0)
    losses = [row["validation_loss"] for row in found["rows"]]
    assert losses == sorted(losses)
    assert {row["steps"] for row in found["rows"]} == {8}
    assert all(0 <= row["test_accuracy"] <= 1 for row in found["rows"])
    assert found["best"] == found["rows"][0]
    assert "adam × linear" in err
    assert "4/4" in err
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "momentum" in page
    for run in (tmp_path / "out" / "runs").iterdir():
        assert json.loads((run / "run.json").read_text())["state"] == "finished"
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("model.*")}
    code, out, err = compare(*words, capsys=capsys)
    assert code == 0
    assert out == ""
    assert "4 of them done before" in err
    assert written == {file: file.stat().st_mtime_ns for file in written}


def test_a_method_that_cannot_be_trained_is_shown_as_failed(capsys):
    words = ["digits", "--optimizers", "adam,sparseadam", "--controllers", "constant"]
    code, out, err = compare(*words, "--steps", 3, *TINY, "--out", "out", "--json", capsys=capsys)
    assert code == 0
    found = json.loads(out)
    assert found["failed"] == 1
    assert [row["optimizer"] for row in found["rows"]] == ["adam", "sparseadam"]
    assert "failed: " in err
    assert "SparseAdam" in err


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path):
    words = [sys.executable, "-m", "paceline", "compare", "digits", "--steps", "150", *TINY]
    words += ["--optimizers", "adam", "--controllers", "constant,linear", "--out", "out", "--json"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet
    )
    for line in process.stderr:
        if line.startswith("comparing"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1])["state"] == "interrupted"
    assert "go on with the same command and --out out" in err
    again = subprocess.run(words, env=quiet, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["state"], found["ended"]) == ("finished", 2)
    assert {row["steps"] for row in found["rows"]} == {150}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits", "--optimizers", "adm"], "did you mean 'adam'"),
        (["digits", "--controllers", "consine"], "did you mean 'cosine'"),
        (["digits", "--seeds", "0"], "--seeds"),
        (["digits", "--lr", "1e-4..quick"], "'quick' is no positive number"),
        (["digits", "--optimizers", ","], "--optimizers is empty"),
        (["absent.csv", "--controllers", "constant"], "absent.csv"),
        (["digits", "--out", "taken"], "taken holds something else"),
        (["digits", "--model", "resnet99", "--controllers", "constant"], "resnet99"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(capsys, tmp_path, words, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = compare(*words, "--steps", 4, capsys=capsys)
    assert code == 2
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_explains_itself_with_examples(capsys):
    assert command(["compare", "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert "paceline compare digits --steps 300" in said
    assert "--optimizers" in said
