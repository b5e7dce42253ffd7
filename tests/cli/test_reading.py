"""The commands that only read a run: runs, why, report, check."""

from __future__ import annotations

import json
import webbrowser
from types import SimpleNamespace

import pytest

from paceline.cli import main


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return made.make_run(tmp_path / "paceline-runs" / "digits-1", readings=20)


def said(capsys, *tokens: str, code: int = 0) -> str:
    assert main.run(tokens) == code
    return capsys.readouterr().out


def told(capsys, *tokens: str, code: int = 0) -> dict:
    return json.loads(said(capsys, *tokens, "--json", code=code).splitlines()[-1])


def test_runs_lists_a_run_with_its_best_baseline(capsys, run):
    out = said(capsys, "runs")
    assert "digits-1" in out and "accuracy 0.9917" in out and "0.9694 gradient_boosting" in out


def test_runs_lists_one_that_is_damaged_and_one_that_trains(capsys, run, made):
    made.make_run(run.parent / "new", readings=0, state="training", result=None)
    (run.parent / "torn").mkdir()
    (run.parent / "torn" / "run.json").write_text("{")
    out = said(capsys, "runs", "paceline-runs")
    assert "damaged" in out and "training" in out
    assert [each["state"] for each in told(capsys, "runs")["runs"]] == [
        "damaged",
        "finished",
        "training",
    ]


def test_runs_as_json_hold_result_and_baseline(capsys, run):
    (only,) = told(capsys, "runs")["runs"]
    assert only["test"]["accuracy"] == only["reached"] == 0.9917
    assert only["best_baseline"] == {"gradient_boosting": 0.9694}


def test_an_empty_folder_holds_no_run(capsys, tmp_path):
    assert "no run" in said(capsys, "runs", str(tmp_path))


def test_why_tells_each_decision(capsys, run):
    lines = said(capsys, "why", "digits-1").splitlines()
    assert len(lines) == 2 and "Plateau chose learning rate" in lines[1]
    first = told(capsys, "why", str(run))["decisions"][0]
    assert (first["who"], first["chosen"], first["line"]) == ("fit", "fp32", lines[0])


def test_why_says_so_where_nothing_was_decided(capsys, run):
    from paceline.core.ledger import Ledger

    (run / "ledger.db").unlink()
    Ledger(run / "ledger.db").close()
    assert "no decision yet" in said(capsys, "why", "digits-1")


def test_report_writes_the_page_and_opens_it_when_asked(capsys, run, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert said(capsys, "report", "digits-1").strip().endswith("report.html")
    assert (run / "report.html").is_file() and opened == []
    assert told(capsys, "report", "digits-1", "--open")["report"].endswith("report.html")
    assert opened == [(run / "report.html").as_uri()]


def test_check_passes_a_whole_run_and_fails_a_changed_one(capsys, run):
    assert told(capsys, "check", "digits-1")["passed"] is True
    (run / "model.safetensors").write_bytes(b"other")
    assert "BROKEN" in said(capsys, "check", "digits-1", code=1)


@pytest.mark.parametrize(
    "name", ["controllers/linear", "linear", "my_package.mine:Mine", "controllers/none"]
)
def test_check_hands_a_part_to_the_promises(capsys, monkeypatch, name):
    import paceline.checks

    asked = []

    def check_part(part: str):
        asked.append(part)
        return [
            SimpleNamespace(promise="keeps rates positive", passed=True, why=""),
            SimpleNamespace(promise="keeps its state", passed=False, why="it forgot"),
        ]

    monkeypatch.setattr(paceline.checks, "check_part", check_part)
    assert "BROKEN  keeps its state: it forgot" in said(capsys, "check", name, code=1)
    assert asked == [name]


def test_a_run_that_is_named_like_a_part_is_a_run(capsys, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.make_run(tmp_path / "paceline-runs" / "linear", readings=1)
    assert "sha256" in said(capsys, "check", "linear")


def test_check_of_nothing_known_names_the_nearest_run(capsys, run):
    assert main.run(["check", "digit-1"]) == 2
    assert "digits-1" in capsys.readouterr().err
