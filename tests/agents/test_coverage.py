"""Every example is counted, and what is missing or doubled in a step is named."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paceline.agents.coverage import Coverage, gap_in


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=6))
def test_counts_are_those_of_a_counter(steps):
    coverage, slow = Coverage(7), Counter()
    for rows in steps:
        coverage.commit(torch.tensor(rows, dtype=torch.int64))
        slow.update(rows)
    assert coverage.counts.tolist() == [slow[example] for example in range(7)]
    told = coverage.summary()
    assert told["counted"] == slow.total() and told["examples"] == 7
    assert (told["fewest"], told["most"]) == (
        min(slow[each] for each in range(7)), max(slow[each] for each in range(7)),
    )  # fmt: skip


@given(st.lists(st.integers(0, 9), max_size=40))
def test_the_state_goes_through_json_and_counts_on(rows):
    first, other = Coverage(10), Coverage(10)
    first.commit(torch.tensor(rows, dtype=torch.int64))
    other.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for each in (first, other):
        each.commit(torch.tensor([0, 9, 9]))
    assert first.counts.tolist() == other.counts.tolist()


def slow_is_exact(ranges, numbers, rows):
    """Row by row."""
    done = Counter((n, row) for n, first, count in ranges for row in range(first, first + count))
    return all(done[number, row] == 1 for number in numbers for row in range(rows)) and not any(
        row >= rows for number, row in done if number in numbers
    )


pieces = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(1, 4)), max_size=5, unique=True
)


@given(pieces, st.integers(1, 5))
def test_a_gap_is_seen_exactly_where_rows_are_missing_or_doubled(ranges, rows):
    assert (gap_in(ranges, [0, 1], rows) == "") == slow_is_exact(ranges, [0, 1], rows)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.randoms())
def test_whatever_fills_the_batch_has_no_gap(counts, chance):
    starts = [sum(counts[:at]) for at in range(len(counts))]
    ranges = [(3, first, count) for first, count in zip(starts, counts, strict=True)]
    chance.shuffle(ranges)
    assert gap_in(iter(ranges), [3], sum(counts)) == ""


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ([], "batch 5: 0 of 6 rows were worked on"),
        ([(5, 0, 4)], "batch 5: 4 of 6 rows were worked on"),
        ([(5, 1, 5)], "batch 5: rows 1 to 5 of 6 come after row 0"),
        ([(5, 0, 4), (5, 3, 3)], "batch 5: rows 3 to 5 of 6 come after row 4"),
        ([(4, 0, 6)], "batch 5: 0 of 6 rows were worked on"),
    ],
)
def test_a_gap_is_told_with_its_place(ranges, told):
    assert gap_in(ranges, [5], 6) == told
