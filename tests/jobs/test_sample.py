"""Claims of the job that writes a text on."""

from __future__ import annotations

import json

import numpy as np
import pytest

import paceline
from paceline.cli.main import run as command
from paceline.core.errors import DataError, RunError, SettingError
from paceline.jobs.run import load
from paceline.jobs.sample import sample

SETTINGS = {"task.context": 16, "model.width": 16, "model.layers": 1, "loop.validations": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    (folder / "cats.txt").write_text("the cat sat on the mat\nand ate the fat rat\n" * 60)
    return paceline.fit(
        folder / "cats.txt", steps=40, out=folder / "run", settings=SETTINGS | {"model.name": "gpt"}
    )


def test_the_same_seed_writes_the_same_text(trained):
    first = sample(trained, "the", tokens=30, seed=1)
    assert sample(load(trained.path), "the", tokens=30, seed=1) == first
    assert sample(trained, "the", tokens=30, seed=2) != first
    assert len(first) == 30
    assert trained.sample("the", tokens=30, seed=1) == first


def test_the_likeliest_token_is_taken_at_temperature_nought(trained):
    assert sample(trained, "the", tokens=9, temperature=0) == sample(
        trained, "the", tokens=9, top_k=1, seed=5
    )


def test_pieces_are_told_as_they_come(trained):
    told = []
    assert sample(trained, tokens=12, tell=told.append) == "".join(told)


def test_what_it_measured_and_found_is_kept(trained):
    assert set(trained.test) == {"cross_entropy", "bits_per_character", "perplexity"}
    findings = trained.facts["result"]["findings"]
    assert [each["title"] for each in findings] == ["What it writes", "Hardest lines"]
    assert "divided where it stands" in trained.facts["data"]["notes"][0]


def test_another_text_can_be_evaluated_and_foretold(trained, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("the cat sat on the mat\nand ate the fat rat\n" * 3)
    assert trained.evaluate(other)["cross_entropy"] > 0
    assert len(trained.predict(other)) == 1


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"prompt": "THE zoo"}, DataError, "never saw: 'E', 'H', 'T', 'z'"),
        ({"tokens": 0}, SettingError, "tokens must be at least 1"),
        ({"temperature": -1.0}, SettingError, "temperature must be at least 0"),
        ({"top_k": 0}, SettingError, "top-k must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(trained, given, kind, said):
    with pytest.raises(kind, match=said):
        sample(trained, **given)


def test_a_run_of_another_kind_writes_nothing(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(40, 2, 2, 2))
    settings = {"model.name": "mlp"}
    run = paceline.fit(
        (numbers, np.arange(40) % 2),
        steps=1,
        out=tmp_path / "run",
        baselines=False,
        settings=settings,
    )
    with pytest.raises(RunError, match="only language runs write text"):
        sample(run)


def test_the_command_prints_what_was_asked_and_what_came(trained, capsys):
    assert command(["sample", str(trained.path), "--prompt", "the", "--tokens", "8"]) == 0
    plain = capsys.readouterr().out
    assert command(["sample", str(trained.path), "--prompt", "the", "--tokens", "8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert plain == "the" + told["text"] + "\n"


def test_the_command_refuses_in_one_line(trained, capsys):
    assert command(["sample", str(trained.path), "--prompt", "Zoo"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
