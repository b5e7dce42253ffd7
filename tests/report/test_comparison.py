"""A comparison's rows, its page and its table, from directories without a training."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paceline.core.errors import RunError
from paceline.report.comparison import (
    COMPARISON_FILE,
    Attempt,
    Comparison,
    Row,
    ended_attempt,
    read_comparison,
)
from paceline.report.comparison_chart import Panel, Trace, axes_of
from paceline.report.comparison_page import render_comparison, write_comparison_page
from paceline.report.comparison_strips import strips
from paceline.report.comparison_table import comparison_table
from paceline.report.console import console_for

HOSTILE = "<script>alert(1)</script>\"'&"
DEFAULT_RATE = 1e-2


def _made():
    file = Path(__file__).with_name("made_comparison.py")
    spec = importlib.util.spec_from_file_location("made_comparison", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _made()


def attempt(**given):
    plain = {"optimizer": "adam", "controller": "cosine", "rate": None, "seed": 0}
    return Attempt(**plain | {"state": "finished", "run": "runs/a"} | given)


def compared(path, optimizers, controllers, *, rates=(None,), seeds=3, alone=()):
    """A comparison whose runs lie in ``path``."""
    pairs = [(optimizer, controller) for optimizer in optimizers for controller in controllers]
    pairs += [(name, name) for name in alone]
    attempts = []
    for seed in range(seeds):
        for optimizer, controller in pairs:
            for rate in rates:
                run = f"runs/{optimizer}-{controller}-{rate}-{seed}"
                loss = MADE.reached(optimizer, controller, rate, seed)
                MADE.make_run(path / run, loss, rate or DEFAULT_RATE, controller, seed)
                waiting = attempt(
                    optimizer=optimizer, controller=controller, rate=rate, seed=seed, run=run
                )
                attempts.append(ended_attempt(waiting, path / run))
    return Comparison(
        path=path,
        state="finished",
        created="2026-03-01T12:30:00+00:00",
        paceline="0.1.0",
        place="digits",
        plan={
            "optimizers": [*optimizers, *alone],
            "controllers": list(controllers),
            "seeds": seeds,
            "rates": [rate for rate in rates if rate],
            "recipe": {"budget": {"steps": MADE.STEPS}},
        },
        facts={
            "task": "image",
            "goal": "classification",
            "train": 1258,
            "validation": 180,
            "test": 359,
            "model": "conv",
            "parameters": 176_586,
        },
        attempts=tuple(attempts),
    )


class Reader(HTMLParser):
    """Notes tags that do not match, and the words."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.crossed, self.words, self.links = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def read_page(comparison):
    text = render_comparison(comparison)
    reader = Reader()
    reader.feed(text)
    assert reader.crossed == [] and reader.open == []
    return text, reader


def test_methods_are_sorted_by_the_median_validation_loss_and_never_by_the_test():
    losses = {"a": (0.1, 0.2, 0.9), "b": (0.15, 0.15, 0.15), "c": (0.3, 0.3, 0.01)}
    attempts = [
        attempt(optimizer=name, seed=seed, validation_loss=loss, test={"accuracy": loss})
        for name, each in losses.items()
        for seed, loss in enumerate(each)
    ]
    rows = comparison_of(attempts).rows
    assert [row.optimizer for row in rows] == ["b", "a", "c"]
    assert [row.loss for row in rows] == [0.15, 0.2, 0.3]


def comparison_of(attempts, **given):
    plain = {"state": "finished", "created": "", "paceline": "", "place": "digits"}
    return Comparison(path=Path(), plan={}, facts={}, attempts=tuple(attempts), **plain | given)


def test_a_failed_or_not_finite_training_counts_as_the_worst():
    sound = [attempt(optimizer="a", seed=seed, validation_loss=0.5) for seed in range(3)]
    lost = [attempt(optimizer="b", seed=0, validation_loss=0.1)]
    lost += [
        attempt(optimizer="b", seed=1, state="failed", error="no"),
        attempt(optimizer="b", seed=2),
    ]
    rows = comparison_of([*lost, *sound]).rows
    assert [row.optimizer for row in rows] == ["a", "b"]
    assert rows[1].loss == math.inf
    assert len(rows[1].failed) == 1
    assert rows[1].to_json("accuracy")["validation_loss"] is None


def test_a_training_that_has_not_ended_counts_as_nothing():
    done = attempt(validation_loss=0.5)
    waiting = attempt(seed=1, state="waiting")
    other = attempt(optimizer="sgd", state="interrupted")
    (row,) = comparison_of([done, waiting, other]).rows
    assert row.loss == 0.5
    assert len(row.ended) == 1


def test_each_method_is_shown_at_its_best_rate():
    found = [
        attempt(rate=rate, validation_loss=loss)
        for rate, loss in ((0.1, 0.9), (0.01, 0.2), (0.001, 0.4))
    ]
    comparison = comparison_of(found)
    assert [row.rate for row in comparison.rows] == [0.01]
    assert len(comparison.cells) == 3
    assert comparison.rates == [0.001, 0.01, 0.1]


def test_times_and_metrics_are_medians_over_the_finished():
    row = Row(
        attempts=tuple(
            attempt(seed=seed, steps=10 * seed, cpu_seconds=seed, test={"accuracy": seed / 10})
            for seed in range(3)
        )
    )
    assert (row.time("steps"), row.time("cpu_seconds")) == (10, 1)
    assert row.metric("test", "accuracy") == 0.1
    assert math.isnan(row.metric("validation", "accuracy"))


def test_what_a_run_reached_is_read_from_its_directory(tmp_path):
    MADE.make_run(tmp_path / "run", 0.2, 0.1, "cosine", 1)
    found = ended_attempt(attempt(state="waiting"), tmp_path / "run")
    assert found.state == "finished"
    assert found.validation_loss == found.final_loss == 0.2
    assert found.steps == MADE.STEPS
    assert found.test == {"accuracy": pytest.approx(0.946)}


def test_a_run_whose_loss_was_never_finite_has_none(tmp_path):
    MADE.make_run(tmp_path / "run", math.nan, 0.1, "constant", 0)
    found = ended_attempt(attempt(state="waiting"), tmp_path / "run")
    assert math.isnan(found.validation_loss) and math.isnan(found.final_loss)


def test_a_comparison_is_read_back_as_it_was_written(tmp_path):
    made = compared(tmp_path, ["adam", "sgd"], ["constant", "probe"], rates=(1e-2, 1.0))
    (tmp_path / COMPARISON_FILE).write_text(json.dumps(made.to_json(), allow_nan=False))
    back = read_comparison(tmp_path)
    assert [row.to_json("accuracy") for row in back.cells] == [
        row.to_json("accuracy") for row in made.cells
    ]
    assert back.to_json() == made.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no comparison"),
        ("{", "is damaged: it is not JSON"),
        ("{}", "does not say that it is a comparison"),
        ('{"kind": "comparison", "format": 2}', "newer Paceline"),
        ('{"kind": "comparison", "format": 1}', "not what Paceline wrote"),
    ],
)
def test_a_damaged_comparison_is_refused_in_one_line(tmp_path, text, message):
    if text is not None:
        (tmp_path / COMPARISON_FILE).write_text(text)
    with pytest.raises(RunError, match=message):
        read_comparison(tmp_path)


def test_a_comparison_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / COMPARISON_FILE).mkdir()
    with pytest.raises(RunError, match="cannot read"):
        read_comparison(tmp_path)


def test_the_page_asks_nothing_of_the_network_and_is_well_formed(tmp_path):
    comparison = compared(tmp_path, ["adam", "sgd", "momentum"], ["constant", "cosine", "probe"])
    text, reader = read_page(comparison)
    assert "http" not in re.sub(r'http-equiv="[^"]+"', "", text)
    assert all(link.startswith("runs/") for link in reader.links)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    words = " ".join(reader.words)
    for told in ("Methods", "Training loss", "Learning rate", "adam × probe", "200 steps", "9 of"):
        assert told in words or told == "9 of"
    assert "27 of 27" in words
    assert "Sensitivity" not in words


def test_small_multiples_have_a_panel_for_each_optimizer_on_the_same_axes(tmp_path):
    comparison = compared(tmp_path, ["adam", "sgd", "momentum"], ["constant", "probe"], seeds=2)
    text, _ = read_page(comparison)
    losses = re.findall(r'id="loss-\d+-title"', text)
    assert len(losses) == 3
    assert len(re.findall(r'id="rate-\d+-title"', text)) == 3


def test_a_grid_of_rates_gives_a_sensitivity_curve(tmp_path):
    rates = (1e-3, 1e-2, 1e-1, 1.0)
    comparison = compared(tmp_path, ["adam"], ["constant", "probe"], rates=rates, seeds=2)
    text, reader = read_page(comparison)
    words = " ".join(reader.words)
    assert "Sensitivity to the starting rate" in words
    assert "best rate" in words
    assert 'data-across="rate"' in text


def test_names_and_errors_are_escaped(tmp_path):
    comparison = compared(tmp_path, ["adam"], ["cosine"], seeds=1)
    lost = attempt(optimizer=HOSTILE, state="failed", error=HOSTILE)
    comparison = dataclasses.replace(
        comparison, place=HOSTILE, attempts=(*comparison.attempts, lost)
    )
    text, _ = read_page(comparison)
    assert "<script>alert" not in text
    assert "Failed" in text


def test_a_comparison_without_an_ended_training_still_has_a_page(tmp_path):
    waiting = comparison_of([attempt(state="waiting")], state="training")
    text, _ = read_page(waiting)
    assert "No training has ended yet." in text


def test_runs_without_a_ledger_are_left_out_of_the_curves(tmp_path):
    comparison = compared(tmp_path, ["adam"], ["cosine"], seeds=1)
    (tmp_path / comparison.attempts[0].run / "ledger.db").unlink()
    _, reader = read_page(comparison)
    assert "Training loss" not in " ".join(reader.words)


def test_the_page_lies_in_the_comparisons_directory(tmp_path):
    comparison = compared(tmp_path, ["adam"], ["cosine", "constant"], seeds=2)
    page = write_comparison_page(comparison)
    assert page == tmp_path / "comparison.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_it_is_said_who_cannot_be_told_apart_from_the_best():
    near = [attempt(optimizer="a", seed=seed, validation_loss=0.1 + 0.1 * seed) for seed in (0, 1)]
    near += [attempt(optimizer="b", seed=seed, validation_loss=0.18) for seed in (0, 1)]
    far = [attempt(optimizer="c", seed=seed, validation_loss=0.9) for seed in (0, 1)]
    plan = {"optimizers": [], "controllers": [], "recipe": {}}
    facts = {"train": 1, "validation": 1, "test": 0}
    both = dataclasses.replace(comparison_of([*near, *far]), plan=plan, facts=facts)
    assert "Its seeds overlap with those of b × cosine." in render_comparison(both)
    clear = dataclasses.replace(comparison_of([*near[:2], *far]), plan=plan, facts=facts)
    assert "better than the best seed of every other method" in render_comparison(clear)
    once = dataclasses.replace(comparison_of([near[0], far[0]]), plan=plan, facts=facts)
    assert "One seed tells little" in render_comparison(once)
    alone = dataclasses.replace(comparison_of(near[:2]), plan=plan, facts=facts)
    assert "There is no other method" in render_comparison(alone)


def test_strips_share_an_axis_and_mark_what_is_not_finite():
    rows = comparison_of(
        [
            attempt(optimizer="a", validation_loss=0.01),
            attempt(optimizer="b", validation_loss=1.0),
            attempt(optimizer="c"),
        ]
    ).rows
    drawn = strips(rows)
    assert "0.01" in drawn.axis and "logarithmic" in drawn.axis
    assert 'class="bad"' in drawn.rows[2] and 'class="bad"' not in drawn.rows[0]
    places = [float(re.search(r'class="median" x1="([\d.]+)"', row)[1]) for row in drawn.rows[:2]]
    assert places[0] < places[1]


def test_strips_of_nothing_finite_are_drawn_without_a_scale():
    assert "bad" in strips(comparison_of([attempt()]).rows).rows[0]


@pytest.mark.parametrize("log", [False, True])
def test_axes_put_the_ends_of_the_data_inside_the_picture(log):
    trace = Trace(name="a", colour=0, xs=(1.0, 100.0), ys=(0.001, 1.0))
    axes = axes_of([Panel(key="a", title="a", traces=(trace,))], log_x=log)
    assert axes is not None and axes.log_y
    assert 0 < axes.x(1.0) < axes.x(100.0) < axes.width
    assert 0 < axes.y(1.0) < axes.y(0.001) < axes.height
    assert axes.y(1e9) == axes.y(axes.high_y)


def test_the_table_has_one_line_for_each_method(tmp_path, capsys):
    comparison = compared(tmp_path, ["adam", "sgd"], ["constant", "probe"], alone=["prodigy"])
    console_for(sys.stdout).print(comparison_table(comparison))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].split()[:3] == ["method", "validation", "loss"]
    assert "sgd × probe" in lines[1] or "adam × probe" in lines[1]
    assert any(line.startswith("prodigy ") for line in lines)
