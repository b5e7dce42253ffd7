"""Tags of every scheme become spans and come back; ill-formed ones are read as seqeval does."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.core.errors import DataError
from paceline.data.base.tag_schemes import (
    SCHEMES,
    Span,
    find_scheme,
    spans,
    written,
    wrong_transitions,
)

kinds = st.sampled_from(["PER", "LOC", "A-B"])
ill_formed = st.lists(
    st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BIES"), kinds)), max_size=12
)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, and the number of words."""
    found, at = [], 0
    for kind in draw(st.lists(kinds, max_size=4)):
        first = at + draw(st.integers(0, 2))
        at = first + draw(st.integers(1, 3))
        found.append(Span(first, at, kind))
    return found, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", [each for each in SCHEMES if each not in ("IO", "bare")])
@given(sentences())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_and_in_a_right_order(scheme, sentence):
    found, length = sentence
    tags = written(found, length, scheme)
    assert spans(tags, scheme) == found
    assert wrong_transitions(tags, scheme) == []


@pytest.mark.parametrize("scheme", ["IO", "bare"])
def test_schemes_without_borders_run_touching_things_together(scheme):
    tags = written([Span(0, 1, "PER"), Span(1, 2, "PER"), Span(2, 3, "LOC")], 3, scheme)
    assert spans(tags, scheme) == [Span(0, 2, "PER"), Span(2, 3, "LOC")]


@given(ill_formed)
@settings(max_examples=150, deadline=None)
def test_ill_formed_tags_enclose_what_seqeval_finds(tags):
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = seqeval.get_entities(tags)
    assert [(each.kind, each.first, each.end - 1) for each in spans(tags, "BIOES")] == twin


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-PER", "I-PER", "B-PER"], "BIO"),
        (["I-PER", "B-PER", "I-LOC"], "IOB1"),
        (["I-PER", "O", "I-LOC"], "IO"),
        (["PER", "O", "LOC"], "bare"),
        (["B-PER", "E-PER", "S-LOC"], "BIOES"),
        (["B-PER", "L-PER", "U-LOC"], "BILOU"),
        (["B-PER", "M-PER", "E-PER"], "BMES"),
        (["I-PER", "E-PER"], "IOE"),
        (["B", "I", "O"], "BIO"),
    ],
)
def test_the_scheme_is_found_from_the_marks(tags, scheme):
    assert find_scheme([tags]) == scheme


@pytest.mark.parametrize("tags", [["U-PER", "S-PER"], ["M-PER", "I-PER"]])
def test_mixed_schemes_are_refused(tags):
    with pytest.raises(DataError, match="the tags mix schemes"):
        find_scheme([tags])


@pytest.mark.parametrize(
    ("tags", "scheme", "wrong"),
    [
        (["O", "I-PER"], "BIO", [1]),
        (["B-PER", "I-LOC"], "BIO", [1]),
        (["I-PER", "O", "B-PER"], "IOB1", [2]),
        (["B-PER", "O", "E-LOC"], "BIOES", [1, 2]),
        (["O", "B-PER"], "BIOES", [1]),
        (["U-PER", "L-PER"], "BILOU", [1]),
        (["I-PER", "I-LOC", "E-LOC"], "IOE", [1]),
        (["I-PER", "I-LOC"], "IO", []),
    ],
)
def test_tags_in_a_wrong_order_are_found(tags, scheme, wrong):
    assert wrong_transitions(tags, scheme) == wrong


def test_tags_may_name_no_type():
    assert spans(["B", "I", "O", "B"], "BIO") == [Span(0, 2, ""), Span(3, 4, "")]
    assert written([Span(0, 2, "")], 2, "BIOES") == ["B", "E"]
