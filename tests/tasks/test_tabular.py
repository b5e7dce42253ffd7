"""Claims of the task for tables, on made-up and on real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples
from paceline.models.tabm import TabM
from paceline.tasks.base import find_goal
from paceline.tasks.tabular import Tabular

DATA = Path(__file__).parents[2].parent / "shared/data"


def examples(frame: pd.DataFrame, target: str) -> Examples:
    targets = frame[target].to_numpy(dtype=object if frame[target].dtype.kind not in "if" else None)
    return Examples(inputs=frame.drop(columns=target), targets=targets)


def learnt(train: Examples) -> Tabular:
    assert train.targets is not None
    corpus = Corpus(name="made", kind="table", train=train, fingerprint="0", facts={})
    return Tabular.from_corpus(corpus, train, find_goal(train.targets))


def made(count: int = 300, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(size=count)
    colour = random.choice(np.array(["red", "green", "blue"], dtype=object), count)
    label = np.where(size + (colour == "red") > 0.3, "yes", "no")
    gaps = np.where(random.random(count) < 0.1, np.nan, random.integers(0, 99, count))
    return pd.DataFrame({"size": size, "colour": colour, "gaps": gaps, "label": label})


def housing() -> pd.DataFrame:
    file = DATA / "california-housing/housing.csv"
    if not file.is_file():
        pytest.skip(f"no real data set {file}")
    return pd.read_csv(file)


def test_signature_tells_what_the_inputs_are():
    train = examples(made(), "label")
    task = learnt(train)
    encoded = task.encode(train)
    fields = task.signature().inputs
    assert [field.name for field in fields] == ["numeric", "category"]
    for field, part in zip(fields, encoded.inputs, strict=True):
        assert tuple(part.shape) == (300, *field.shape)
        assert part.dtype == getattr(torch, field.dtype)
    numeric, category = encoded.inputs
    assert numeric.isfinite().all()
    torch.testing.assert_close(numeric.mean(0), torch.tensor(fields[0].mean))
    torch.testing.assert_close(numeric.std(0, correction=0), torch.tensor(fields[0].scale))
    assert fields[1].cardinalities == (5,)
    assert sorted(category.unique().tolist()) == [2, 3, 4]
    assert all(len(edges) >= 3 for edges in fields[0].bins)


@pytest.mark.parametrize(
    ("columns", "names"),
    [(["size"], ["numeric"]), (["colour"], ["category"]), (["gaps", "size"], ["numeric"])],
)
def test_table_of_one_kind_has_one_field_and_one_input(columns, names):
    train = examples(made()[[*columns, "label"]], "label")
    task = learnt(train)
    assert [field.name for field in task.signature().inputs] == names
    encoded = task.encode(train)
    assert len(encoded.inputs) == 1
    output = TabM(task.signature(), width=8, members=2)(*encoded.inputs)
    assert output.shape == (300, 2, 2)


def test_encoding_is_exactly_the_same_after_a_round_trip_through_json():
    train = examples(made(), "label")
    task = learnt(train)
    again = Tabular.from_json(json.loads(json.dumps(task.to_json())))
    assert again.to_json() == task.to_json()
    assert again.signature() == task.signature()
    other = examples(made(50, seed=1), "label")
    one, two = task.encode(other), again.encode(other)
    assert all(torch.equal(a, b) for a, b in zip(one.inputs, two.inputs, strict=True))
    assert torch.equal(one.targets, two.targets)
    np.testing.assert_array_equal(task.features(other), again.features(other))
    assert again.notes() == task.notes()


def test_only_the_training_examples_are_learnt_from():
    frame = made()
    wild = frame.assign(size=1e6, colour="gold")
    train = examples(frame, "label")
    corpus = Corpus(
        name="made", kind="table", train=examples(pd.concat([frame, wild]), "label"),
        test=examples(wild, "label"), fingerprint="0", facts={},
    )  # fmt: skip
    goal = find_goal(train.targets)
    assert Tabular.from_corpus(corpus, train, goal).to_json() == learnt(train).to_json()


def test_targets_are_not_needed_to_predict():
    task = learnt(examples(made(), "label"))
    encoded = task.encode(Examples(inputs=made(5, seed=2).drop(columns="label"), targets=None))
    assert encoded.targets is None
    assert len(encoded) == 5


def test_features_go_with_the_columns_that_hold_codes():
    train = examples(made(), "label")
    task = learnt(train)
    features = task.features(train)
    assert features.dtype == np.float32
    assert task.categorical_features() == (2,)
    np.testing.assert_array_equal(np.isnan(features[:, 1]), train.inputs["gaps"].isna())


def test_warnings_about_columns_are_the_tasks_notes():
    frame = made().assign(same=1, copy=lambda table: table["label"])
    notes = learnt(examples(frame, "label")).notes()
    assert len(notes) == 2
    assert "'same' has one value only" in notes[0]
    assert "'copy' alone determines the target" in notes[1]


def test_a_table_unlike_the_training_one_is_refused():
    task = learnt(examples(made(), "label"))
    frame = made(3).drop(columns="label")
    with pytest.raises(DataError, match="the column 'size' is missing"):
        task.encode(Examples(inputs=frame.drop(columns="size"), targets=None))
    with pytest.raises(DataError, match="column 'size', row 2: 'tall' is not a number"):
        bad = frame.assign(size=["1", "tall", "2"])
        task.encode(Examples(inputs=bad, targets=None))


def test_defaults_fit_the_number_of_examples():
    task = learnt(examples(made(), "label"))
    counts = [1, 20, 150, 2_000, 15_000, 100_000, 1_000_000, 100_000_000]
    found = [task.defaults(count) for count in counts]
    batches = [each["batch_size"] for each in found]
    steps = [
        count * each["epochs"] / each["batch_size"]
        for count, each in zip(counts, found, strict=True)
    ]
    assert batches == sorted(batches)
    assert steps == sorted(steps)
    assert steps[3] < 1000
    assert all(each["optimizer"]["name"] == "adamw" for each in found)


def test_network_learns_a_made_up_table_in_a_moment():
    train, other = examples(made(), "label"), examples(made(1000, seed=1), "label")
    task = learnt(train)
    encoded, test = task.encode(train), task.encode(other)
    torch.manual_seed(0)
    network = TabM(task.signature(), width=32, members=4)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        task.goal.loss(network(*encoded.inputs), encoded.targets).backward()
        optimizer.step()
    with torch.no_grad():
        answer = task.goal.answer(network(*test.inputs))
    assert task.goal.metrics(answer, test.targets)["accuracy"] > 0.93


def test_californian_houses_are_read_as_they_are():
    frame = housing()
    task = learnt(examples(frame, "median_house_value"))
    numeric, category = task.signature().inputs
    assert numeric.shape == (9,)  # 8 columns and the gaps of total_bedrooms
    assert category.cardinalities == (7,)
    assert task.notes() == ()
    assert task.goal.name == "regression"


def test_hours_of_hired_bicycles_know_their_date_and_their_leaking_sum():
    file = DATA / "bike-sharing/hour.csv"
    if not file.is_file():
        pytest.skip(f"no real data set {file}")
    frame = pd.read_csv(file).assign(copied=lambda table: table["cnt"] * 2)
    task = learnt(examples(frame, "cnt"))
    kinds = {column.name: column.kind for column in task.columns.columns}
    assert kinds["dteday"] == "date"
    assert len(task.notes()) == 1
    assert "column 'copied' alone determines the target" in task.notes()[0]
