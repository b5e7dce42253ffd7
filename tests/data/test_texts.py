"""Texts in a list are read as they are, and what is no text is refused."""

from __future__ import annotations

import pytest

from paceline.core.errors import DataError


def test_texts_alone_have_no_targets(inputs_of):
    examples = inputs_of(["a good film", "", "an élan"])
    assert examples.inputs.tolist() == ["a good film", "", "an élan"]
    assert examples.targets is None


def record(text, label):
    return {"text": text, "label": label}


def test_records_are_texts_with_their_labels(opened):
    train = opened([record("good", "yes"), record("bad", "no")]).train
    assert train.inputs.tolist() == ["good", "bad"]
    assert train.targets.tolist() == ["yes", "no"]


def test_numbers_stay_numbers(opened):
    assert opened([record("good", 4.5), record("bad", 1.0)]).train.targets.tolist() == [4.5, 1.0]


def test_records_can_be_predicted_with_and_without_labels(inputs_of):
    assert inputs_of([record("good", "yes")]).targets.tolist() == ["yes"]
    assert inputs_of([{"text": "good"}]).targets is None


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (["good", 3], "entry 2 is a int, where a text is needed"),
        ([record("good", 1), "bad"], "entry 2 is a str, where a record with a text is needed"),
        ([record("good", 1), {"text": "bad"}], "entry 2 has no label"),
    ],
)
def test_an_entry_of_another_kind_is_named(opened, place, words):
    with pytest.raises(DataError, match=words):
        opened(place)


def test_texts_without_labels_cannot_be_learnt(opened):
    with pytest.raises(DataError, match="no labels to learn"):
        opened(["good", "bad"])
