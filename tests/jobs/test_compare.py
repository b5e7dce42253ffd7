"""compare trains every cell once, goes on where it stopped, and refuses what makes no sense."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from paceline.core.clock import ManualClock
from paceline.core.errors import DataError, RunError, SettingError
from paceline.core.ledger import Ledger
from paceline.jobs import compare as job
from paceline.jobs.compare import compare
from paceline.jobs.methods import attempts_of, methods_of, names_of, rates_of, settings_of
from paceline.report.comparison import Attempt, read_comparison

TINY = {"optimizers": "sgd,adam", "controllers": "constant,cosine", "seeds": 2, "steps": 4}


class Heard:
    """A listener that remembers."""

    def __init__(self):
        self.lines, self.warnings, self.shares, self.notes = [], [], [], []

    def say(self, line):
        self.lines.append(line)

    def warn(self, line):
        self.warnings.append(line)

    def advance(self, what, done, note=""):
        self.shares.append(done)
        self.notes.append(note)


class Fits:
    """Stands in for ``fit``: leaves a run's files, and does what it is told to certain runs."""

    def __init__(self):
        self.calls, self.raises, self.stops, self.fingerprint = [], {}, set(), "5f2c"

    def __call__(self, data, **given):
        name = given["out"].name
        self.calls.append(given | {"data": data})
        if name in self.raises:
            raise self.raises[name]
        given["progress"].warn("a constant column")
        given["progress"].say("image classification")
        given["progress"].advance("training", 0.5, "step 2")
        loss = 1 / (1 + len(name)) + given["seed"] / 100
        state = "interrupted" if name in self.stops else "finished"
        self._leave(given["out"], loss, state)

    def _leave(self, path: Path, loss: float, state: str) -> None:
        (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        facts = {
            "format": 1,
            "state": state,
            "data": {"fingerprint": self.fingerprint, "train": 9, "validation": 3, "test": 3},
            "task": {"name": "image", "goal": {"name": "classification"}},
            "model": {"name": "conv", "parameters": 10},
            "result": {
                "validation": {"accuracy": 1 - loss},
                "test": {"accuracy": loss},
                "steps": 4,
                "best_step": 4,
                "seconds": 1.0,
                "cpu_seconds": 0.5,
                "stopped": "interrupted" if state == "interrupted" else "budget",
            },
        }
        (path / "run.json").write_text(json.dumps(facts))
        with Ledger(path / "ledger.db") as ledger:
            for source in ("loop", "validation"):
                ledger.write("reading", step=4, seconds=1.0, source=source, name="loss", value=loss)


@pytest.fixture
def fits(monkeypatch):
    stand_in = Fits()
    monkeypatch.setattr(job, "fit", stand_in)
    return stand_in


# --- which trainings


def test_every_optimizer_is_trained_with_every_controller_and_seed():
    methods = methods_of(["sgd", "adam"], ["constant", "cosine"])
    attempts = attempts_of(methods, [0.1, 1.0], 3)
    assert len(attempts) == 2 * 2 * 2 * 3
    assert len({each.run for each in attempts}) == len(attempts)
    assert [each.seed for each in attempts] == sorted(each.seed for each in attempts)


def test_an_optimizer_that_paces_itself_is_crossed_with_no_controller():
    methods = methods_of(["schedule_free", "sgd"], ["constant", "cosine"])
    assert methods == [("schedule_free",) * 2, ("sgd", "constant"), ("sgd", "cosine")]
    (attempt,) = attempts_of([("schedule_free", "schedule_free")], None, 1)
    assert settings_of(attempt) == {"controller.name": "schedule_free"}
    assert attempt.run == "runs/schedule_free-seed0"


def test_momentum_is_sgd_with_momentum():
    attempt = Attempt(optimizer="momentum", controller="cosine", rate=0.1, seed=0, state="", run="")
    assert settings_of(attempt) == {
        "controller.name": "cosine",
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "optimizer.lr": 0.1,
    }


@pytest.mark.parametrize("given", ["sgd, Adam,sgd", ["sgd", "adam"], "sgd,,adam"])
def test_names_are_read_once_each(given):
    assert names_of("optimizers", given) == ["sgd", "adam"]


def test_a_part_from_outside_may_be_named():
    assert names_of("controllers", "my.place:mine") == ["my.place:mine"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1e-3", [1e-3]),
        (0.1, [0.1]),
        ("0.1, 0.01", [0.01, 0.1]),
        ([0.1, 0.01], [0.01, 0.1]),
        ("1e-2..1", [0.01, 0.0316228, 0.1, 0.316228, 1.0]),
        ("1e-4..1e-1:4", [1e-4, 1e-3, 1e-2, 1e-1]),
    ],
)
def test_rates_are_lists_or_ranges(given, wanted):
    assert rates_of(given) == pytest.approx(wanted)


# --- doing them


def test_each_cell_is_trained_from_the_same_settings(fits, tmp_path):
    compare("digits", **TINY, out=tmp_path / "out", assignments=("loop.clip=1.0",), lr="0.1")
    assert len(fits.calls) == 8
    assert {call["seed"] for call in fits.calls} == {0, 1}
    for call in fits.calls:
        assert (call["data"], call["steps"], call["baselines"]) == ("digits", 4, False)
        assert call["settings"]["loop.clip"] == 1.0
        assert call["settings"]["optimizer.lr"] == 0.1
    pairs = {
        (call["settings"]["optimizer.name"], call["settings"]["controller.name"])
        for call in fits.calls
    }
    assert len(pairs) == 4


def test_what_was_reached_lies_in_the_directory(fits, tmp_path):
    heard = Heard()
    made = compare("digits", **TINY, out=tmp_path / "out", progress=heard)
    back = read_comparison(tmp_path / "out")
    assert back.to_json() == made.to_json()
    assert made.state == "finished"
    losses = [row.loss for row in made.rows]
    assert losses == sorted(losses)
    assert (made.rows[0].optimizer, made.rows[0].controller) == ("adam", "constant")
    assert made.facts["model"] == "conv"
    assert (tmp_path / "out" / "comparison.html").is_file()
    assert not list((tmp_path / "out").rglob("checkpoints"))
    assert heard.warnings == ["a constant column"]
    assert heard.lines.count("image classification") == 1
    ended = [line for line in heard.lines if "validation loss" in line]
    assert len(ended) == 8
    assert heard.shares == sorted(heard.shares)
    assert heard.shares[-1] == 1.0


def test_a_finished_training_is_not_done_again_and_lists_may_grow(fits, tmp_path):
    compare("digits", **TINY, out=tmp_path / "out")
    grown = TINY | {"optimizers": "sgd,adam,rmsprop", "seeds": 3}
    heard = Heard()
    made = compare("digits", **grown, out=tmp_path / "out", progress=heard)
    assert len(made.attempts) == 18
    assert len(fits.calls) == 18
    assert "8 of them done before" in heard.lines[0]


def test_ctrl_c_in_a_training_saves_and_the_same_command_goes_on(fits, tmp_path):
    fits.stops = {"adam-constant-seed0"}
    stopped = compare("digits", **TINY, out=tmp_path / "out")
    assert stopped.state == "interrupted"
    assert stopped.ended == 2
    assert (tmp_path / "out" / "runs" / "adam-constant-seed0" / "checkpoints").is_dir()
    fits.stops = set()
    made = compare("digits", **TINY, out=tmp_path / "out")
    assert made.state == "finished"
    assert len(fits.calls) == 8 + 1
    assert all(call["resume"] for call in fits.calls)


def test_ctrl_c_between_trainings_saves_too(fits, tmp_path):
    fits.raises = {"sgd-cosine-seed0": KeyboardInterrupt()}
    stopped = compare("digits", **TINY, out=tmp_path / "out")
    assert stopped.state == "interrupted"
    assert read_comparison(tmp_path / "out").ended == 1


def test_a_failed_cell_is_told_and_costs_the_others_nothing(fits, tmp_path):
    fits.raises = {
        "sgd-cosine-seed0": SettingError("no such thing"),
        "adam-cosine-seed1": TypeError("a bug\nin it"),
    }
    heard = Heard()
    made = compare("digits", **TINY, out=tmp_path / "out", progress=heard)
    assert made.state == "finished"
    assert [each.state for each in made.attempts].count("finished") == 6
    assert {each.error.partition(" (")[0] for each in made.failed} == {
        "no such thing",
        "TypeError: a bug in it",
    }
    trace = tmp_path / "out" / "runs" / "adam-cosine-seed1" / "failure.txt"
    assert "Traceback" in trace.read_text()
    assert sum("failed" in line for line in heard.warnings) == 2
    fits.raises = {}
    again = compare("digits", **TINY, out=tmp_path / "out")
    assert not again.failed
    assert len(fits.calls) == 8 + 2


def test_data_that_cannot_be_read_end_it_and_leave_nothing(fits, tmp_path):
    fits.raises = {"sgd-constant-seed0": DataError("there is no such file")}
    with pytest.raises(DataError):
        compare("digits", **TINY, out=tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_works_the_first_round_ends_it(fits, tmp_path):
    names = ("sgd-constant", "sgd-cosine", "adam-constant", "adam-cosine")
    fits.raises = {f"{name}-seed0": SettingError("no such model") for name in names}
    with pytest.raises(RunError, match="no method could be trained: no such model"):
        compare("digits", **TINY, out=tmp_path / "out")
    assert len(fits.calls) == 4
    assert list(tmp_path.iterdir()) == []
    fits.raises = {f"{name}-seed0": ValueError("a bug") for name in names}
    with pytest.raises(RunError, match="a bug"):
        compare("digits", **TINY, out=tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("failure.txt"))) == 4


def test_a_training_without_a_finite_loss_is_ranked_last(fits, tmp_path):
    fits._leave = lambda path, loss, state, leave=fits._leave: leave(
        path, math.nan if path.name.startswith("adam-") else loss, state
    )
    made = compare("digits", **TINY, out=tmp_path / "out")
    assert [row.optimizer for row in made.rows] == ["sgd", "sgd", "adam", "adam"]
    assert (
        json.loads((tmp_path / "out" / "comparison.json").read_text())["rows"][-1][
            "validation_loss"
        ]
        is None
    )


def test_a_new_directory_is_found_for_each_comparison(fits):
    assert compare("digits", **TINY).path == Path("paceline-comparisons/digits-1")
    assert compare("digits", **TINY).path == Path("paceline-comparisons/digits-2")


def test_the_clock_is_handed_on(fits, tmp_path):
    clock = ManualClock()
    compare("digits", **TINY, out=tmp_path / "out", clock=clock)
    assert all(call["clock"] is clock for call in fits.calls)


# --- refusing


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizers": "sdg"}, "did you mean 'sgd'"),
        ({"controllers": "cosin"}, "did you mean 'cosine'"),
        ({"optimizers": " , "}, "--optimizers is empty"),
        ({"controllers": ()}, "--controllers is empty"),
        ({"seeds": 0}, "--seeds must be 1 or more, got 0"),
        ({"lr": "fast"}, "'fast' is no positive number"),
        ({"lr": "-1"}, "'-1' is no positive number"),
        ({"lr": "nan"}, "'nan' is no positive number"),
        ({"lr": ","}, "--lr is empty"),
        ({"lr": "1..0.1"}, "the first rate must be the lower one"),
        ({"lr": "1e-4..1e-1:x"}, "needs from 2 to 100 rates"),
        ({"lr": "1e-9..1e99"}, "needs from 2 to 100 rates"),
        ({"lr": "0.1", "assignments": ("optimizer.lr=1",)}, "not both"),
        ({"assignments": ("optimizer.name=sgd",)}, "use --optimizers"),
        ({"assignments": ("controller.name=cosine",)}, "use --controllers"),
        ({"assignments": ("seed=1",)}, "use --seeds"),
        ({"assignments": ("loop.cilp=1",)}, "did you mean 'clip'"),
        ({"epochs": 2}, "give one of"),
        ({"time": "soon"}, "is no length of time"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(fits, tmp_path, given, message):
    with pytest.raises(SettingError, match=message):
        compare("digits", **TINY | given, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert fits.calls == []


def test_a_directory_that_holds_something_else_is_refused(fits, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="holds something else"):
        compare("digits", **TINY, out=tmp_path / "out")
    with pytest.raises(RunError, match="holds something else"):
        compare("digits", **TINY, out=tmp_path / "out" / "thesis.txt")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 5}, "budget.steps: 4 → 5"),
        ({"data": "houses.csv"}, "data: digits → houses.csv"),
        ({"test": "more.csv"}, "test data: None → more.csv"),
    ],
)
def test_a_comparison_goes_on_with_its_own_settings_only(fits, tmp_path, given, message):
    compare("digits", **TINY, out=tmp_path / "out")
    rest = TINY | given
    with pytest.raises(RunError, match=message):
        compare(rest.pop("data", "digits"), **rest, out=tmp_path / "out")


def test_data_that_changed_meanwhile_are_refused(fits, tmp_path):
    compare("digits", **TINY, out=tmp_path / "out")
    fits.fingerprint = "other"
    with pytest.raises(RunError, match="begun with other data"):
        compare("digits", **TINY | {"seeds": 3}, out=tmp_path / "out")
