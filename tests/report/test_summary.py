from __future__ import annotations

import json

import pytest

from paceline.core.errors import RunError
from paceline.report.summary import find_run, find_runs, read_run, summary_of


def test_a_finished_run_tells_its_result_beside_the_best_baseline(made, tmp_path):
    run = read_run(made.make_run(tmp_path / "digits-1", readings=1))
    assert (run.name, run.state, run.primary, run.reached) == (
        "digits-1",
        "finished",
        "accuracy",
        0.9917,
    )
    assert run.best_baseline == ("gradient_boosting", 0.9694)


def test_a_regression_counts_the_lowest_error_as_best(made, tmp_path):
    result = {
        "test": {"r2": 0.8, "rmse": 0.45},
        "baselines": {"mean": {"rmse": 1.1}, "ridge": {"rmse": 0.7}, "broken": {"rmse": None}},
    }
    task = {"name": "tabular", "goal": {"name": "regression"}}
    run = summary_of(made.facts_of(tmp_path, task=task, result=result), tmp_path)
    assert (run.primary, run.reached, run.best_baseline) == ("rmse", 0.45, ("ridge", 0.7))


def test_a_run_without_a_test_part_is_judged_by_its_validation(made, tmp_path):
    result = {"test": {}, "validation": {"accuracy": 0.9, "loss": 0.3}}
    run = summary_of(made.facts_of(tmp_path, result=result), tmp_path)
    assert run.reached == 0.9
    assert run.best_baseline is None
    assert "loss" not in run.outcome.measured


def test_a_run_that_is_still_training_has_no_outcome(tmp_path):
    run = summary_of({"format": 1, "state": "training"}, tmp_path / "new")
    assert (run.name, run.outcome, run.reached, run.best_baseline) == ("new", None, None, None)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format": "one"}', "\udcff"])
def test_a_damaged_run_json_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"run\.json is damaged") as refused:
        read_run(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_run_of_a_newer_paceline_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 2}')
    with pytest.raises(RunError, match="newer Paceline"):
        read_run(tmp_path)


def test_a_run_json_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunError, match="cannot read"):
        read_run(tmp_path)


def test_a_folder_without_run_json_is_no_run(tmp_path):
    with pytest.raises(RunError, match=r"has no run\.json"):
        read_run(tmp_path)


def test_runs_come_by_age_and_a_damaged_one_hides_no_other(made, tmp_path):
    made.make_run(tmp_path / "a", readings=1, created="2026-02-02")
    made.make_run(tmp_path / "b", readings=1, created="2026-01-01")
    (tmp_path / "half").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text("{")
    assert [(run.name, run.state) for run in find_runs(tmp_path)] == [
        ("torn", "damaged"),
        ("b", "finished"),
        ("a", "finished"),
    ]


def test_a_folder_of_runs_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RunError, match="there is no folder"):
        find_runs(tmp_path / "nowhere")


def test_a_run_is_found_by_path_and_by_name(made, tmp_path):
    path = made.make_run(tmp_path / "paceline-runs" / "digits-1", readings=1)
    assert find_run(path) == path
    assert find_run("digits-1", tmp_path / "paceline-runs") == path


def test_a_run_that_is_not_there_names_the_nearest(made, tmp_path):
    made.make_run(tmp_path / "paceline-runs" / "digits-1", readings=1)
    with pytest.raises(RunError, match="did you mean 'digits-1'"):
        find_run("digit-1")
    with pytest.raises(RunError, match=r"has no run\.json"):
        find_run(tmp_path / "paceline-runs")


def test_a_result_of_the_wrong_shape_is_read_as_far_as_it_goes(made, tmp_path):
    result = {
        "test": [1],
        "baselines": {"a": 3},
        "steps": "many",
        "best_step": "x",
        "seconds": None,
    }
    facts = json.loads(json.dumps(made.facts_of(tmp_path, result=result)))
    outcome = summary_of(facts, tmp_path).outcome
    assert (outcome.test, outcome.steps, outcome.best_step, outcome.seconds) == ({}, 0, None, 0.0)
