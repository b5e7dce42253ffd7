"""What entities are counted as, with the package seqeval as a twin to the last digit."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paceline.core.errors import DataError, SettingError
from paceline.tasks.base.crf import IGNORED
from paceline.tasks.base.entities import Entities, precision_recall_f1

marks = st.sampled_from(["PER", "LOC"])


def tags_of(letters: str) -> st.SearchStrategy[str]:
    return st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from(letters), marks))


@st.composite
def pairs(draw: st.DrawFn, letters: str) -> tuple[list[list[str]], list[list[str]]]:
    """Tags that are there and that were found, in any order, of as many words."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    both = [
        [draw(st.lists(tags_of(letters), min_size=n, max_size=n)) for n in lengths]
        for _ in range(2)
    ]
    return both[0], both[1]


def column(rows: list[list[str]]) -> np.ndarray:
    made = np.empty(len(rows), dtype=object)
    for at, row in enumerate(rows):
        made[at] = row
    return made


def judged(goal: Entities, found: list[list[str]]) -> torch.Tensor:
    codes = goal.encode(column(found)).double()
    return torch.cat([codes, torch.zeros(len(codes), 1, dtype=torch.float64)], 1)


def twins(there: list[list[str]], found: list[list[str]]) -> list[float]:
    metrics = pytest.importorskip("seqeval.metrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = ("f1_score", "precision_score", "recall_score")
        return [float(getattr(metrics, name)(there, found)) for name in names]


@pytest.mark.parametrize("letters", ["BI", "BIES", "I"])
@pytest.mark.parametrize("learnt", ["BIOES", "BIO"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_scores_are_those_of_seqeval_to_the_last_digit(letters, learnt, data):
    there, found = data.draw(pairs(letters))
    assume({tag[2:] for row in there for tag in row} >= {"PER", "LOC"})
    goal = Entities.of(column(there), learnt=learnt)
    if letters == "BI":
        # Alone, some tags look like those of another scheme, which reads them alike.
        goal = Entities(goal.types, scheme="BIO", learnt=learnt)
    elif letters == "BIES":
        goal = Entities(goal.types, scheme="BIOES", learnt=learnt)
    target = goal.encode(column(there))
    measured = goal.metrics(judged(goal, found), target)
    assert [measured[name] for name in ("f1", "precision", "recall")] == twins(there, found)


@given(pairs("BI"))
@settings(max_examples=25, deadline=None)
def test_each_type_is_counted_as_seqeval_does(both):
    there, found = both
    assume({tag[2:] for row in there for tag in row} >= {"PER", "LOC"})
    goal = Entities(["LOC", "PER"], scheme="BIO")
    metrics = pytest.importorskip("seqeval.metrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = metrics.classification_report(there, found, output_dict=True)
    table = goal.findings(judged(goal, found), goal.encode(column(there)))[0]
    for kind, precision, recall, f1, count in table.rows:
        twin = report[kind]
        assert (precision, recall, count) == (twin["precision"], twin["recall"], twin["support"])
        assert f1 == twin["f1-score"]


def test_answers_that_are_always_in_order_count_the_same_in_strict_mode():
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme")
    there = [["B-PER", "L-PER", "O", "U-LOC"], ["O", "B-LOC", "I-LOC", "L-LOC"]]
    found = [["B-PER", "L-PER", "O", "U-PER"], ["O", "O", "B-LOC", "L-LOC"]]
    goal = Entities(["LOC", "PER"], scheme="BILOU")
    measured = goal.metrics(judged(goal, found), goal.encode(column(there)))
    twin = metrics.f1_score(there, found, mode="strict", scheme=scheme.BILOU)
    assert measured["f1"] == twin == pytest.approx(1 / 3)


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "IO"])
def test_the_accuracy_is_that_of_the_tags_of_the_data(scheme):
    goal = Entities(["PER"], scheme=scheme)
    there, found = ["I-PER", "I-PER", "I-PER", "O"], ["I-PER", "I-PER", "O", "O"]
    if scheme == "BIO":
        there[0] = found[0] = "B-PER"
    if scheme == "BIOES":
        there, found = ["B-PER", "I-PER", "E-PER", "O"], ["B-PER", "E-PER", "O", "O"]
    right = np.mean([a == b for a, b in zip(there, found, strict=True)])
    measured = goal.metrics(judged(goal, [found]), goal.encode(column([there])))
    assert measured["token_accuracy"] == right


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES", "BILOU", "BMES", "IOE", "IO", "bare"])
@pytest.mark.parametrize("learnt", ["BIOES", "BIO"])
def test_tags_come_back_in_the_scheme_of_the_data(scheme, learnt):
    from paceline.data.base.tag_schemes import Span, written

    spans = [Span(0, 3, "PER"), Span(4, 5, "LOC"), Span(6, 8, "LOC")]
    rows = column([written(spans, 9, scheme), written([], 2, scheme)])
    goal = Entities(["LOC", "PER"], scheme=scheme, learnt=learnt)
    codes = goal.encode(rows, 12)
    assert codes.shape == (2, 12) and (codes[1, 2:] == IGNORED).all()
    assert goal.decode(codes).tolist() == rows.tolist()


def test_entities_are_said_by_their_words():
    goal = Entities(["PER"], scheme="BIO")
    said = goal.says(goal.encode(column([["O", "B-PER", "I-PER"], ["O"]])))
    assert said["prediction"] == [["O", "B-PER", "I-PER"], ["O"]]
    assert said["entities"] == [[{"type": "PER", "first": 1, "end": 3}], []]


def test_mistakes_are_counted_by_their_nature():
    goal = Entities(["LOC", "PER"], scheme="BIO")
    there = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-LOC", "O", "O", "B-PER", "I-PER"]
    found = ["B-PER", "O", "O", "B-PER", "O", "O", "O", "B-PER", "O", "B-LOC"]
    _, mistakes = goal.findings(judged(goal, [found]), goal.encode(column([there])))
    assert dict(mistakes.rows) == {
        "missed": 1,
        "wrong ends": 1,
        "wrong type": 1,
        "wrong ends and type": 1,
        "invented": 1,
    }


def test_the_loss_is_the_mean_over_words():
    goal = Entities(["PER"], scheme="BIO", learnt="BIO")
    target = goal.encode(column([["O", "O"], ["B-PER"]]))
    free = goal.loss(torch.zeros(2, 2, 3, 3), target)
    # Of two words 5 sequences are allowed, of one word 2: an inside begins nothing.
    assert float(free) == pytest.approx((np.log(5) + np.log(2)) / 3, abs=1e-6)
    output = torch.zeros(2, 2, 3, 3)
    output[1, 1] = -1e6
    measured = goal.metrics(goal.judged(output, target), target)
    assert measured["loss"] == pytest.approx(float(free), abs=1e-6)


def test_nothing_found_and_nothing_there_is_no_division_by_zero():
    assert precision_recall_f1(0, 0, 0) == (0.0, 0.0, 0.0)
    assert precision_recall_f1(0, 0, 3) == (0.0, 0.0, 0.0)


def test_it_comes_back_from_json():
    goal = Entities(["PER"], scheme="IOB1", learnt="BIO")
    other = Entities.from_json(json.loads(json.dumps(goal.to_json())))
    assert other.to_json() == goal.to_json() and other.tags == goal.tags


def test_what_cannot_be_learnt_is_refused():
    with pytest.raises(DataError, match="every tag is O; there is nothing to learn"):
        Entities.of(column([["O", "O"]]))
    with pytest.raises(DataError, match="the type 'ORG' was not among the training examples"):
        Entities(["PER"], scheme="BIO").encode(column([["B-ORG"]]))
    with pytest.raises(SettingError, match="no tag scheme 'IOB'"):
        Entities(["PER"], scheme="IOB")
    with pytest.raises(SettingError, match="learnt must be BIOES or BIO, got 'IO'"):
        Entities(["PER"], scheme="BIO", learnt="IO")
