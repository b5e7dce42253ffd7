from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from paceline.core.ledger import Entry
from paceline.report.series import Series, series_of, smoothed, thinned, ticks, wants_log

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


def series(values):
    return Series(steps=tuple(range(len(values))), values=tuple(values))


@given(st.lists(NUMBERS, max_size=300), st.integers(1, 20))
def test_thinning_keeps_first_last_lowest_and_highest(values, buckets):
    whole, thin = series(values), thinned(series(values), buckets)
    assert len(thin) <= max(5 * buckets, 4)
    if whole.finite.values:
        assert min(thin.finite.values) == min(whole.finite.values)
        assert max(thin.finite.values) == max(whole.finite.values)
    if values:
        assert (thin.steps[0], thin.steps[-1]) == (0, len(values) - 1)
    assert list(thin.steps) == sorted(set(thin.steps))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_smoothing_is_the_weighted_mean_of_all_before(values):
    keep = 1 - 1 / 5
    for at, found in enumerate(smoothed(series(values), window=5).values):
        weights = [keep ** (at - before) for before in range(at + 1)]
        slow = sum(w * v for w, v in zip(weights, values, strict=False)) / sum(weights)
        assert math.isclose(found, slow, rel_tol=1e-9, abs_tol=1e-6)


def test_smoothing_steps_over_what_is_not_finite():
    assert smoothed(series([1.0, math.nan, math.inf, 1.0])).steps == (0, 3)


def test_a_reading_without_a_number_was_nan():
    row = Entry(
        id=1,
        kind="reading",
        step=3,
        elapsed_seconds=0.0,
        source="loop",
        name="loss",
        value=None,
        detail={},
    )
    found = series_of([row])
    assert found.steps == (3,) and math.isnan(found.values[0])


def test_one_spike_does_not_make_an_axis_logarithmic():
    assert not wants_log([1.0] * 50 + [1000.0])
    assert wants_log([10.0**-power for power in range(6)])
    assert not wants_log([0.0, 1.0, 100.0])
    assert not wants_log([])


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_rising_and_within_the_range(low, width):
    high = low + width
    found = ticks(low, high, log=False)
    assert len(found) <= 6
    assert found == sorted(found)
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert all(low - slack <= tick <= high + slack for tick in found)


@given(st.floats(1e-12, 1e6), st.floats(1.5, 1e12))
def test_logarithmic_ticks_are_few_and_within_the_range(low, ratio):
    found = ticks(low, low * ratio, log=True)
    assert len(found) <= 8
    assert all(low * (1 - 1e-6) <= tick <= low * ratio * (1 + 1e-6) for tick in found)


def test_a_range_without_width_has_one_tick():
    assert ticks(2.0, 2.0, log=False) == [2.0]
