"""Claims of the task for ratings."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples
from paceline.tasks.base.biases import Biases, chosen_strength
from paceline.tasks.base.ranking import ranking_metrics
from paceline.tasks.base.rating import Rating, last_of_each
from paceline.tasks.base.rating_columns import find_columns, keys, seconds
from paceline.tasks.ratings import Ratings


def made(count=600, seed=0):
    random = np.random.default_rng(seed)
    users, items = random.integers(0, 20, count), random.integers(100, 130, count)
    good = np.sin(users) + np.cos(items) + 0.2 * random.normal(size=count)
    return pd.DataFrame(
        {
            "userId": users,
            "movieId": items,
            "rating": np.clip(np.round(2 * (3 + good)) / 2, 0.5, 5.0),
            "timestamp": random.permutation(count),
        }
    )


def corpus_of(frame, target="rating"):
    inputs = frame if target is None else frame.drop(columns=target)
    targets = None if target is None else frame[target].to_numpy()
    return Corpus(
        name="made",
        kind="table",
        train=Examples(inputs=inputs, targets=targets),
        fingerprint="0",
        facts={"target": target},
    )


def learnt(frame, target="rating", validation=0.1, test=0.2, hints=None, **settings):
    claim = Ratings.claim(corpus_of(frame, target), hints or {})
    assert claim is not None
    given = dict(hints or {}) | settings
    goal = Ratings.find_goal(claim.corpus, None, given)
    parts = Ratings.divide(claim.corpus, goal, seed=0, validation=validation, test=test)
    return Ratings.from_corpus(claim.corpus, parts.train, goal, **given), parts


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["userId", "movieId", "rating", "timestamp"], "userId movieId rating timestamp"),
        (["user", "item", "score"], "user item score None"),
        (["UserID", "ISBN", "Book-Rating"], "UserID ISBN Book-Rating None"),
        (["customer_id", "product_id", "stars", "date"], "customer_id product_id stars date"),
        (["user_id", "anime_id", "rating"], "user_id anime_id rating None"),
        (["user_id", "song_title", "song_id", "stars"], "user_id song_id stars None"),
    ],
)  # fmt: skip
def test_columns_are_found_by_the_words_in_their_names(columns, found):
    roles = find_columns(columns, None, {})
    assert roles is not None
    assert " ".join(str(each) for each in roles.to_json().values()) == found


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        (["age", "income", "label"], "label"),
        (["userId", "movieId", "rating"], "movieId"),
        (["userId", "movieId", "watched"], "watched"),
        (["userId", "rating"], None),
    ],
)
def test_other_tables_are_left_to_others(columns, target):
    assert find_columns(columns, target, {}) is None


def test_ratings_are_claimed_with_and_without_a_target():
    for target in ("rating", None):
        claim = Ratings.claim(corpus_of(made(), target), {})
        assert claim is not None and claim.strength > 0.5
        assert claim.reason == "20 users (userId) rate 30 items (movieId)"
        assert claim.corpus.train.targets.dtype == np.float64
        assert "rating" not in claim.corpus.train.inputs
        assert claim.corpus.facts["target"] == "rating"


def test_a_table_whose_users_come_once_is_not_claimed():
    frame = made(30).assign(userId=range(30))
    assert Ratings.claim(corpus_of(frame), {}) is None


def test_hints_name_what_no_word_tells():
    frame = made().rename(columns={"userId": "who", "movieId": "what", "rating": "verdict"})
    assert Ratings.claim(corpus_of(frame, None), {}) is None
    hints = {"user": "who", "item": "what", "rating": "verdict"}
    task, _ = learnt(frame, None, hints=hints)
    assert task.columns.to_json() == {**hints, "time": "timestamp"}


@pytest.mark.parametrize(
    ("hints", "target", "said"),
    [
        ({"user": "usr"}, None, "no column 'usr' for user=.*userId"),
        ({"rating": "timestamp"}, "rating", "two columns; give one of them"),
    ],
)
def test_hints_that_do_not_fit_are_refused(hints, target, said):
    with pytest.raises(DataError, match=said):
        Ratings.claim(corpus_of(made(), target), hints)


def test_a_hint_without_the_other_columns_is_refused():
    frame = made().rename(columns={"movieId": "what"})
    with pytest.raises(
        DataError, match=r"looks like the item; name it with --set task.item=COLUMN"
    ):
        Ratings.claim(corpus_of(frame), {"user": "userId"})


def test_last_ratings_of_each_user_are_the_test():
    _, parts = learnt(made())
    for user, rows in parts.train.inputs.groupby("userId"):
        for later in (parts.validation, parts.test):
            after = later.inputs[later.inputs["userId"] == user]["timestamp"]
            assert rows["timestamp"].max() < after.min() or not len(after)
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 600
    assert abs(len(parts.test) - 120) <= 10


def test_a_random_division_can_be_asked_for():
    _, parts = learnt(made(), split="random")
    counts = [len(parts.train), len(parts.validation), len(parts.test)]
    assert counts == [420, 60, 120] and parts.notes == ()


def test_everybody_keeps_a_rating_to_learn_from():
    users, times = np.array([7, 7, 8, 9, 9, 9]), np.arange(6.0)
    train, validation, test = last_of_each(users, times, 0.3, 0.6)
    assert set(users[train]) == {7, 8, 9}
    assert sorted([*train, *validation, *test]) == list(range(6))


def test_dates_are_times_too():
    dates = pd.Series(["2020-01-01", "2020-01-02"])
    assert np.diff(seconds(dates, "date")).tolist() == [86400.0]
    with pytest.raises(DataError, match="the column 'date' holds no times"):
        seconds(pd.Series(["soon", "later"]), "date")
    with pytest.raises(DataError, match="1 of 2 rows have no date"):
        seconds(pd.Series([1.0, np.nan]), "date")


def test_numbers_are_the_same_user_whatever_their_type():
    for column in (pd.Series([1, 2]), pd.Series([1.0, 2.0]), pd.Series(["1", " 2"], dtype=object)):
        assert keys(column).tolist() == ["1", "2"]


def test_unknown_users_and_items_have_the_code_nought():
    task, _ = learnt(made())
    users, items = task.codes(pd.DataFrame({"userId": [3, 99, None], "movieId": [999, 101, 101]}))
    assert users[0] > 0 and users[1:].tolist() == [0, 0]
    assert items[0] == 0 and items[1] == items[2] > 0


def test_it_is_exactly_the_same_after_a_round_trip_through_json():
    task, parts = learnt(made())
    again = Ratings.from_json(json.loads(json.dumps(task.to_json())))
    assert again.to_json() == task.to_json() and again.signature() == task.signature()
    one, two = task.encode(parts.test), again.encode(parts.test)
    assert all(torch.equal(a, b) for a, b in zip(one.inputs, two.inputs, strict=True))
    assert torch.equal(one.targets, two.targets)
    assert again.rated("3") == task.rated("3")


def test_columns_that_belong_to_items_go_with_them():
    genres = {item: ["Drama|War", "Comedy", "Drama"][item % 3] for item in range(100, 130)}
    frame = made().assign(
        genres=lambda table: table["movieId"].map(genres),
        year=lambda table: table["movieId"] + 1900.0,
        mood=lambda table: table["timestamp"] % 5,
    )
    task, parts = learnt(frame)
    assert task.sides.names == ["genres=Comedy", "genres=Drama", "genres=War", "year"]
    bare = parts.test.inputs[["userId", "movieId"]]
    full, alone = (
        task.encode(Examples(inputs=each, targets=None)).inputs[2]
        for each in (parts.test.inputs, bare)
    )
    assert torch.equal(full, alone)
    new = pd.DataFrame({"userId": [1], "movieId": [999], "genres": ["War"], "year": [2015.0]})
    side = task.encode(Examples(inputs=new, targets=None)).inputs[2]
    assert side[0, :3].tolist() == [0.0, 0.0, 1.0]


def beside(folder, **tables):
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    corpus = corpus_of(made())
    return replace(corpus, facts=corpus.facts | {"folder": str(folder)})


def test_tables_beside_the_ratings_tell_of_the_items(tmp_path):
    films = ["movieId,title,genres", *(f"{n},Film {n},Drama|War" for n in range(100, 126))]
    corpus = beside(
        tmp_path,
        movies="\n".join(films) + "\n",
        tags="userId,movieId,tag\n1,101,fun\n",
        colours="a,b\n1,2\n",
        broken='movieId,"x\n1,2,3\n',
    )
    claim = Ratings.claim(corpus, {})
    assert "of which movies.csv tells more" in claim.reason
    assert list(claim.corpus.train.inputs.columns[-2:]) == ["title", "genres"]
    goal = Ratings.find_goal(claim.corpus, None, {})
    task = Ratings.from_corpus(claim.corpus, claim.corpus.train, goal)
    assert task.titles[0] == "Film 100" and task.titles[-1] == ""
    again = Ratings.from_json(json.loads(json.dumps(task.to_json())))
    assert again.titles == task.titles and again.to_json() == task.to_json()


def test_items_that_stand_twice_in_a_table_are_not_told_by_it(tmp_path):
    corpus = beside(tmp_path, links="movieId,link\n101,a\n101,b\n")
    assert "tells more" not in Ratings.claim(corpus, {}).reason


def test_ratings_stay_within_what_was_seen():
    goal = Rating(mean=3.0, scale=1.0, low=1.0, high=5.0)
    answer = goal.answer(torch.tensor([[[9.0, 3.0], [9.0, 3.0]], [[-9.0, 0.0], [-8.0, 0.0]]]))
    assert goal.says(answer) == {
        "prediction": [5.0, 1.0],
        "known": ["user and item", "neither user nor item"],
    }


def test_metrics_are_in_the_unit_of_the_ratings():
    goal = Rating(mean=3.0, scale=2.0, low=1.0, high=5.0)
    target = goal.encode(np.array([1.0, 5.0]))
    answer = goal.answer(torch.zeros(2, 2))
    measured = goal.metrics(answer, target)
    assert measured["rmse"] == pytest.approx(2.0) and measured["mae"] == pytest.approx(2.0)
    assert measured["loss"] == pytest.approx(1.0)


def test_biases_solve_the_regularised_least_squares():
    random = np.random.default_rng(0)
    users, items = random.integers(0, 5, 90), random.integers(0, 7, 90)
    ratings = random.normal(size=90)
    found = Biases(users, items, ratings, strength=2.0)
    design = np.zeros((90, 12))
    design[np.arange(90), users], design[np.arange(90), 5 + items] = 1, 1
    wanted = np.linalg.solve(
        design.T @ design + 2.0 * np.eye(12), design.T @ (ratings - ratings.mean())
    )
    np.testing.assert_allclose(np.concatenate([found.users, found.items]), wanted, atol=1e-5)
    assert found.rate(np.array([-1]), np.array([-1])).tolist() == [found.mean]


def test_noise_is_shrunk_more_than_what_repeats():
    random = np.random.default_rng(0)
    users, items = random.integers(0, 50, 500), random.integers(0, 50, 500)
    plain = np.sin(users * 9.0) + np.cos(items * 7.0)
    noise = random.normal(size=500)
    assert chosen_strength(users, items, plain, 0) < chosen_strength(users, items, noise, 0)


def test_a_ranking_is_measured_as_by_hand():
    liked = np.array([[True, False, True], [False, False, False]])
    found = ranking_metrics(liked, np.array([3, 1]), 3)
    ideal = 1 + 1 / math.log2(3) + 0.5
    assert found["ndcg_3"].tolist() == pytest.approx([1.5 / ideal, 0.0])
    assert found["recall_3"].tolist() == pytest.approx([2 / 3, 0.0])
    assert found["mrr_3"].tolist() == [1.0, 0.0]


def test_baselines_are_the_mean_and_the_biases():
    task, parts = learnt(made())
    found = task.baselines(parts, seed=0, progress=Silence())
    assert found["biases"].metrics["rmse"] < 0.5 * found["mean"].metrics["rmse"]
    assert "strength" in found["biases"].note


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (made().assign(rating="good"), "must hold numbers to be ratings|needs numbers"),
        (made().assign(rating=3.0), "every rating is 3; there is nothing to learn"),
    ],
)
def test_ratings_that_cannot_be_learnt_are_refused(frame, said):
    hints = {"user": "userId", "item": "movieId", "rating": "rating"}
    with pytest.raises(DataError, match=said):
        learnt(frame, None, hints=hints)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(SettingError, match="split must be time or random, got 'alphabet'"):
        learnt(made(), split="alphabet")
    with pytest.raises(SettingError, match="split=time needs a column of times"):
        learnt(made().drop(columns="timestamp"), split="time")
    with pytest.raises(SettingError, match="there is no classification of them"):
        Ratings.find_goal(corpus_of(made()), "classification", {})


def test_a_table_without_users_is_refused_at_prediction():
    task, parts = learnt(made())
    with pytest.raises(DataError, match="the column 'userId' is missing"):
        task.encode(Examples(inputs=parts.test.inputs.drop(columns="userId"), targets=None))
