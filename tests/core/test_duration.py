"""Time as people write it, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core.duration import in_words, to_seconds
from paceline.core.errors import SettingError


@given(st.integers(0, 20), st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_units_add_up(days, hours, minutes, seconds):
    text = f"{days}d {hours}h{minutes}min {seconds} s"
    assert to_seconds(text) == days * 86400 + hours * 3600 + minutes * 60 + seconds


@given(st.floats(0.001, 1e9))
def test_a_plain_number_is_seconds(number):
    assert to_seconds(f"{number:.6f}") == float(f"{number:.6f}")


@given(st.integers(1, 10**6))
def test_what_is_said_of_whole_minutes_and_hours_reads_back(seconds):
    read = to_seconds(in_words(seconds))
    assert abs(read - seconds) < (60 if seconds >= 3600 else 0.5)


@given(st.text(max_size=12))
def test_any_text_is_a_positive_time_or_refused_in_one_line(text):
    try:
        assert to_seconds(text) > 0
    except SettingError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["", "ten", "10x", "-5m", "1h-3m", "m", "1..5s", "nan", "1e5s"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(SettingError, match="write 90s, 10m or 1h30m"):
        to_seconds(text)


@pytest.mark.parametrize("nothing", [0, "0s", "0h0m", 0.0])
def test_no_time_at_all_is_refused(nothing):
    with pytest.raises(SettingError, match="more than nothing"):
        to_seconds(nothing)


@pytest.mark.parametrize("number", [1e-5, 1e16, 2e20])
def test_numbers_that_python_writes_with_an_exponent_are_seconds_too(number):
    assert to_seconds(number) == number


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1, -1.0])
def test_numbers_that_are_no_time_are_refused(number):
    with pytest.raises(SettingError):
        to_seconds(number)


def test_words_never_show_sixty_seconds():
    assert in_words(59.97) == "1 min 0 s"
    assert in_words(3599.7) == "1 h 0 min"
