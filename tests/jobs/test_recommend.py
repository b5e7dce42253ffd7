"""Claims of the job that recommends."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import paceline
from paceline.cli.main import run as command
from paceline.core.errors import RunError, SettingError
from paceline.jobs.recommend import recommend
from paceline.jobs.run import load


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recommend")
    random = np.random.default_rng(0)
    users, items = random.integers(0, 20, 800), random.integers(100, 130, 800)
    rows = {"userId": users, "movieId": items, "rating": 1.0 + (users % 2 == items % 2) * 3}
    frame = pd.DataFrame(rows).drop_duplicates(["userId", "movieId"])
    frame = frame.assign(timestamp=random.permutation(len(frame)))
    frame.to_csv(folder / "ratings.csv", index=False)
    settings = {"model.width": 4, "loop.validations": 2, "optimizer.name": "adam"}
    return paceline.fit(
        folder / "ratings.csv", steps=150, out=folder / "run", settings=settings, baselines=False
    )


def test_a_user_gets_the_best_of_what_was_not_rated(trained):
    found, note = recommend(trained, 4, count=30)
    assert note == "" and len(found) == 30
    assert len({each.item for each in found}) == 30
    assert [each.seen for each in found] == sorted(each.seen for each in found)
    unseen = [each.rating for each in found if not each.seen]
    assert unseen == sorted(unseen, reverse=True)
    rated = set(trained.task.rated("4"))
    assert {each.item for each in found if each.seen} == rated
    assert trained.recommend(4, count=30) == found


def test_expected_ratings_are_those_of_a_prediction(trained):
    found, _ = recommend(load(trained.path), 4, count=3)
    pairs = pd.DataFrame({"userId": [4] * 3, "movieId": [int(each.item) for each in found]})
    wanted = trained.predict(pairs).tolist()
    assert [each.rating for each in found] == pytest.approx(wanted)


def test_an_unknown_user_gets_what_is_liked_by_all(trained):
    found, note = recommend(trained, "stranger", count=2)
    assert len(found) == 2 and "'stranger' is not a known user" in note


def test_an_unknown_pair_is_said_to_be_unknown(trained):
    said = trained.answers(pd.DataFrame({"userId": [4, 999], "movieId": [105, 999]}))
    assert said["known"] == ["user and item", "neither user nor item"]


def test_how_lists_do_is_measured(trained):
    assert {"rmse", "mae", "ndcg_10", "recall_10", "mrr_10"} <= set(trained.test)
    titles = [each["title"] for each in trained.facts["result"]["findings"]]
    assert titles == ["Recommendations", "Furthest off"]


def test_what_cannot_be_is_refused_in_one_line(trained, tmp_path):
    with pytest.raises(SettingError, match="count must be at least 1"):
        recommend(trained, 4, count=0)
    numbers = np.random.default_rng(0).normal(size=(40, 2, 2, 2))
    other = paceline.fit(
        (numbers, np.arange(40) % 2),
        steps=1,
        out=tmp_path / "run",
        baselines=False,
        settings={"model.name": "mlp"},
    )
    with pytest.raises(RunError, match="only runs of ratings recommend"):
        recommend(other, 4)


def test_the_command_prints_a_table_or_json(trained, capsys):
    assert command(["recommend", str(trained.path), "4", "--count", "3"]) == 0
    assert "expected rating" in capsys.readouterr().out
    assert command(["recommend", str(trained.path), "zoe", "--count", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["items"]) == 3 and "not a known user" in told["note"]


def test_the_command_notes_an_unknown_user(trained, capsys):
    assert command(["recommend", str(trained.path), "zoe"]) == 0
    assert capsys.readouterr().err.startswith("note: 'zoe' is not a known user")
