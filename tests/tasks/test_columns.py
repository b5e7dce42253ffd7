"""Claims of the column encoder."""

from __future__ import annotations

import itertools
import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.core.errors import DataError
from paceline.tasks.base.column_finder import FORMATS, find_column, format_of
from paceline.tasks.base.column_kinds import Category, Date, Number, Text
from paceline.tasks.base.columns import Columns, bin_edges

ROWS = 200


def learn(frame: pd.DataFrame, targets=None, classes=2) -> Columns:
    if targets is None:
        targets = np.random.default_rng(9).integers(0, 2, len(frame))
    return Columns.learn(frame, np.asarray(targets), classes)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def words(*choices: str, rows: int = ROWS) -> np.ndarray:
    return random().choice(np.array(choices, dtype=object), rows)


# --- what a column is


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(ROWS), Number),
        (np.linspace(0, 1, ROWS), Number),
        (np.arange(ROWS) % 2 == 0, Number),
        (pd.array([1, None] * (ROWS // 2), dtype="Int64"), Number),
        (np.array([True, None] * (ROWS // 2), dtype=object), Number),
        (pd.to_timedelta(np.arange(ROWS), unit="D"), Number),
        ([f" {at}.5" for at in range(ROWS)], Number),
        (["true", "False"] * (ROWS // 2), Number),
        (words("red", "green"), Category),
        (pd.Categorical(random().integers(0, 3, ROWS)), Category),
        (pd.date_range("2020-01-01", periods=ROWS, freq="D"), Date),
        ([f"2020-01-{1 + at % 28:02} 10:{at % 60:02}" for at in range(ROWS)], Date),
        ([f"{1 + at % 28}.3.2021" for at in range(ROWS)], Date),
        ([f"the {at} small cats" for at in range(ROWS)], Text),
    ],
)
def test_kind_of_a_column_is_found(values, kind):
    column, notes = find_column(pd.Series(values, name="x"))
    assert type(column) is kind
    assert notes == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None] * ROWS, "column 'x' is empty"),
        (["  "] * ROWS, "column 'x' is empty"),
        ([f"k{at:04}" for at in range(ROWS)], "like an identifier"),
    ],
)
def test_useless_column_is_left_out_with_a_note(values, said):
    column, notes = find_column(pd.Series(values, name="x"))
    assert column is None
    assert said in notes[0]


def test_constant_column_is_left_out_with_a_note_that_names_it():
    found = learn(pd.DataFrame({"same": 3.0, "word": "a", "x": np.arange(ROWS)}))
    assert [column.name for column in found.columns] == ["x"]
    assert found.notes == (
        "column 'same' has one value only; it was left out",
        "column 'word' has one value only; it was left out",
    )


def test_one_value_with_gaps_is_kept_as_its_gaps():
    frame = pd.DataFrame({"x": np.where(np.arange(ROWS) % 3 == 0, np.nan, 5.0)})
    found = learn(frame)
    numeric, codes = found.encode(frame)
    assert codes is None
    assert numeric[:, 0].tolist() == [float(at % 3 == 0) for at in range(ROWS)]


def test_table_without_a_usable_column_is_refused():
    with pytest.raises(DataError, match="none of the 1 columns can be learnt from; column 'same'"):
        learn(pd.DataFrame({"same": [1.0] * ROWS}))


def test_category_whose_values_are_all_rare_is_left_out():
    values = pd.Categorical([f"a{at}" for at in range(ROWS)])
    column, notes = find_column(pd.Series(values, name="x"))
    assert column is None
    assert "no value that occurs 2 times" in notes[0]


def test_a_few_odd_words_among_numbers_count_as_missing():
    values = [str(at) for at in range(ROWS)]
    values[7] = values[9] = "n.b."
    frame = pd.DataFrame({"x": values})
    found = learn(frame)
    assert "'n.b.' in 2 rows counts as missing" in found.notes[0]
    numeric, _ = found.encode(frame)
    assert numeric[7].tolist() == [float(np.median([v for v in range(ROWS) if v not in (7, 9)])), 1]


def test_infinite_values_count_as_missing_with_a_note():
    frame = pd.DataFrame(
        {"x": [np.inf, -np.inf, *range(ROWS)], "y": ["inf", *map(str, range(201))]}
    )
    found = learn(frame)
    assert found.notes[0] == "column 'x' has 2 infinite values; they count as missing"
    assert found.notes[1] == "column 'y' has 1 infinite values; they count as missing"
    numeric, _ = found.encode(frame)
    assert np.isfinite(numeric).all()
    assert numeric[:3, 2].tolist() == [1, 1, 0]


def test_complex_numbers_are_refused():
    with pytest.raises(DataError, match="column 'x' holds complex numbers"):
        learn(pd.DataFrame({"x": np.arange(ROWS) * 1j}))


@pytest.mark.parametrize("written", FORMATS[1:])
def test_dates_are_read_in_every_format(written):
    moments = pd.Series(pd.date_range("2019-11-03 05:00", periods=90, freq="31h"))
    column, _ = find_column(pd.Series(moments.dt.strftime(written).to_numpy(), name="x"))
    assert type(column) is Date
    parts = column.numbers(pd.Series(moments.dt.strftime(written).to_numpy(), name="x"))
    assert parts[:, 1].tolist() == moments.dt.year.tolist()
    assert parts[:, 2].tolist() == moments.dt.month.tolist()
    assert parts[:, 4].tolist() == moments.dt.day_of_week.tolist()


def test_dates_become_elapsed_days_and_parts_with_the_constant_ones_left_out():
    moments = pd.Series(pd.date_range("2020-05-01", periods=ROWS, freq="6h"))
    found = learn(pd.DataFrame({"when": moments}))
    numeric, _ = found.encode(pd.DataFrame({"when": moments}))
    twin = np.stack(
        [
            np.arange(ROWS) / 4,
            moments.dt.month,
            moments.dt.day,
            moments.dt.day_of_week,
            moments.dt.hour,
        ]
    ).T
    assert np.array_equal(numeric, twin.astype(np.float32))


def test_missing_date_is_filled_and_marked():
    values = [None if at % 10 == 0 else f"2020-01-{1 + at % 28:02}" for at in range(ROWS)]
    frame = pd.DataFrame({"when": values})
    numeric, _ = learn(frame).encode(frame)
    assert np.isfinite(numeric).all()
    assert numeric[:, -1].tolist() == [float(at % 10 == 0) for at in range(ROWS)]


def test_words_are_no_dates():
    assert format_of(pd.Series(["a-b", "c-d"])) is None
    assert format_of(pd.Series(["12-foo", "13-bar"])) is None


def test_text_becomes_length_word_count_and_frequent_words():
    values = [f"number {at} is {'odd' if at % 2 else 'even'}" for at in range(ROWS)]
    frame = pd.DataFrame({"x": values})
    found = learn(frame)
    numeric, _ = found.encode(frame)
    column = found.columns[0]
    assert isinstance(column, Text)
    assert set(column.words) == {"number", "is", "odd", "even"}
    raw = column.numbers(pd.Series(values, name="x"))
    for row in (0, 1, 150):
        here = set(values[row].split())
        assert raw[row].tolist() == [
            len(values[row]), 4, *[float(word in here) for word in column.words]
        ]  # fmt: skip
    assert numeric.shape[1] == 3  # the word count, "number" and "is" never change


# --- codes


def test_categories_are_coded_by_frequency_with_unknown_and_missing_apart():
    values = ["b"] * 90 + ["a"] * 60 + ["c"] * 49 + [None]
    found = learn(pd.DataFrame({"x": values}))
    assert found.category.cardinalities == (5,)
    _, codes = found.encode(pd.DataFrame({"x": ["b", "a", "c", None, "never seen", " b "]}))
    assert codes[:, 0].tolist() == [2, 3, 4, 1, 0, 2]


def test_rare_values_count_as_unknown():
    values = ["a"] * 100 + ["b"] * 99 + ["once"]
    found = learn(pd.DataFrame({"x": values}))
    assert found.columns[0].values == ("a", "b")


def test_integers_turned_to_floats_by_a_gap_keep_their_codes():
    found = learn(pd.DataFrame({"x": pd.Categorical([1, 2] * 100)}))
    _, codes = found.encode(pd.DataFrame({"x": [1.0, 2.0, np.nan]}))
    assert codes[:, 0].tolist() == [2, 3, 1]


def test_a_million_categories_keep_the_most_frequent_in_seconds():
    numbers = random().integers(0, 400_000, 1_000_000)
    frame = pd.DataFrame({"x": pd.Series(numbers).map("k{}".format)})
    start = time.process_time()
    found = learn(frame, np.zeros(len(frame)), None)
    numeric, codes = found.encode(frame)
    assert time.process_time() - start < 20
    assert numeric is None
    assert found.category.cardinalities == (10_002,)
    assert "10000 most frequent" in found.notes[0]
    counts = pd.Series(numbers).value_counts()
    assert counts[int(found.columns[0].values[0][1:])] == counts.max()
    assert 0 < (codes == 0).mean() < 1


# --- predicting


def test_missing_column_is_named_with_the_nearest():
    found = learn(pd.DataFrame({"income": np.arange(ROWS), "age": np.arange(ROWS)[::-1]}))
    with pytest.raises(DataError, match=r"column 'income' is missing; did you mean 'incme'\?"):
        found.encode(pd.DataFrame({"incme": [1.0], "age": [1.0]}))


def test_extra_columns_and_their_order_do_not_matter():
    frame = pd.DataFrame({"a": np.arange(ROWS), "b": words("u", "v")})
    found = learn(frame)
    one = found.encode(frame)
    other = found.encode(frame.assign(extra="?")[["extra", "b", "a"]])
    assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))


def test_text_in_a_numeric_column_is_refused_with_column_row_and_value():
    found = learn(pd.DataFrame({"age": np.arange(ROWS)}))
    with pytest.raises(DataError, match="column 'age', row 2: 'old' is not a number"):
        found.encode(pd.DataFrame({"age": ["1", "old"]}))


def test_text_in_a_date_column_is_refused_with_column_row_and_value():
    found = learn(pd.DataFrame({"when": [f"2020-01-{1 + at % 28:02}" for at in range(ROWS)]}))
    with pytest.raises(DataError, match="column 'when', row 1: 'soon' is not a date in the format"):
        found.encode(pd.DataFrame({"when": ["soon"]}))


def test_numbers_written_as_text_and_empty_cells_are_read_when_predicting():
    found = learn(pd.DataFrame({"age": np.arange(ROWS)}))
    numeric, _ = found.encode(pd.DataFrame({"age": ["3", "", None, "inf", "1e30"]}))
    assert numeric[:, 0].tolist() == [3, 99.5, 99.5, 99.5, 99.5]


def test_no_rows_give_empty_arrays():
    frame = pd.DataFrame({"a": np.arange(ROWS), "b": words("u", "v"), "c": np.arange(ROWS) / 9})
    numeric, codes = learn(frame).encode(frame.iloc[:0])
    assert (numeric.shape, codes.shape) == ((0, 2), (0, 1))


def test_encoding_does_not_change_the_table():
    frame = pd.DataFrame({"x": [np.inf, *range(ROWS)], "y": words("a", "b", rows=ROWS + 1)})
    before = frame.copy(deep=True)
    learn(frame).encode(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_features_are_numbers_then_codes_with_gaps():
    frame = pd.DataFrame({"c": ["a", "b", None, "a"] * 50, "x": [1.0, np.nan, 3.0, 4.0] * 50})
    found = learn(frame)
    expected = [[1, 2], [np.nan, 3], [3, np.nan], [4, 2]]
    np.testing.assert_array_equal(found.features(frame)[:4], np.array(expected, dtype=np.float32))
    assert found.categorical == (1,)


# --- leaks


@pytest.mark.parametrize("change", [lambda y: 3 * y - 1, lambda y: np.exp(y / 4), lambda y: -y])
def test_number_that_follows_the_target_is_named(change):
    y = random().normal(size=ROWS)
    noise = np.random.default_rng(1).normal(size=ROWS)
    found = learn(pd.DataFrame({"leak": change(y), "fine": y + noise}), y, None)
    assert len(found.notes) == 1
    assert "column 'leak' alone determines the target" in found.notes[0]
    assert [column.name for column in found.columns] == ["leak", "fine"]


def test_category_that_names_the_class_is_named():
    y = random().integers(0, 3, ROWS)
    frame = pd.DataFrame({"leak": np.array(["u", "v", "w"], dtype=object)[y], "x": np.arange(ROWS)})
    assert "'leak'" in learn(frame, y, 3).notes[0]


def test_category_that_determines_a_number_is_named():
    group = random().integers(0, 5, ROWS)
    frame = pd.DataFrame({"leak": np.array(list("abcde"), dtype=object)[group]})
    assert "'leak'" in learn(frame, np.array([3.0, -1, 8, 9, 2])[group], None).notes[0]


def test_number_of_which_an_interval_is_a_class_is_named():
    x = random().normal(size=5000)
    found = learn(pd.DataFrame({"leak": x}), (np.abs(x) < 0.5).astype(int), 2)
    assert found.notes == ()  # 64 bins cut across both borders
    steps = np.round(x * 4)
    found = learn(pd.DataFrame({"leak": steps}), (np.abs(steps) < 3).astype(int), 2)
    assert "'leak'" in found.notes[0]


@pytest.mark.parametrize("classes", [2, None])
def test_unique_and_few_and_one_sided_values_are_no_leak(classes):
    def notes(frame, targets):
        return learn(pd.DataFrame(frame), targets, classes).notes

    random_targets = random().integers(0, 2, ROWS).astype(int if classes else float)
    assert notes({"id": random().permutation(ROWS)}, random_targets) == ()
    values = pd.Categorical([f"k{at}" for at in range(ROWS)] * 2)
    assert notes({"id": values}, random().integers(0, 2, 2 * ROWS)) == ()
    few = np.array([0, 1] * 20)
    assert notes({"x": few}, few) == ()
    rare = (np.arange(ROWS) < 4).astype(int)
    if classes:
        assert notes({"x": rare, "y": np.arange(ROWS)}, rare) == ()


def test_column_that_is_mostly_missing_is_no_leak_by_correlation():
    y = random().normal(size=ROWS)
    frame = pd.DataFrame({"x": np.where(np.arange(ROWS) < 20, y, np.nan)})
    assert learn(frame, y, None).notes == ()


# --- bins and state


@pytest.mark.parametrize(("count", "bins"), [(1000, 48), (5000, 70), (20_000, 128)])
def test_bins_are_those_of_the_package_where_values_are_spread(count, bins):
    package = pytest.importorskip("rtdl_num_embeddings")
    values = random().normal(size=count).astype(np.float32)
    twin = package.compute_bins(torch.from_numpy(values)[:, None], n_bins=bins)[0].numpy()
    np.testing.assert_allclose(bin_edges(values), twin, rtol=1e-5, atol=1e-6)


def test_bins_of_a_column_that_is_mostly_zero_still_resolve_the_rest():
    values = np.concatenate([np.zeros(9000), random().exponential(size=1000)])
    edges = bin_edges(values)
    assert len(edges) > 40
    assert edges[0] == 0


@given(
    st.lists(st.floats(-(2.0**56), 2.0**56, width=32), min_size=2, max_size=300).filter(
        lambda values: len(set(values)) > 1
    ),
    st.integers(2, 48),
)
@settings(max_examples=100, deadline=None)
def test_bins_increase_and_span_the_values(values, most):
    edges = bin_edges(np.array(values), most)
    assert 2 <= len(edges) <= most + 1 + 2
    assert all(one < other for one, other in itertools.pairwise(edges))
    assert (edges[0], edges[-1]) == (min(values), max(values))


cells = st.one_of(
    st.none(), st.floats(width=64), st.integers(-9, 9), st.booleans(), st.text("ab 1.-", max_size=4)
)


@given(st.lists(st.tuples(cells, cells, st.floats(width=64)), min_size=30, max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_table_is_encoded_alike_after_a_round_trip_through_json(rows):
    frame = pd.DataFrame(
        {
            "mixed": pd.Series([row[0] for row in rows], dtype=object),
            "other": pd.Series([row[1] for row in rows], dtype=object),
            "number": [row[2] for row in rows],
            "row": np.arange(len(rows)) / 7,
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learn(frame)
        again = Columns.from_json(json.loads(json.dumps(found.to_json())))
        assert again == found
        for one, other in zip(found.encode(frame), again.encode(frame), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                assert np.isfinite(one).all()
                assert np.array_equal(one, other)
    if found.category is not None:
        _, codes = found.encode(frame)
        assert (codes < np.array(found.category.cardinalities)).all()
