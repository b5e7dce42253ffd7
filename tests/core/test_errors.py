"""Errors are of one family and name what would be right."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core import errors
from paceline.core.errors import PacelineError, nearest

_KINDS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception)
]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_error_can_be_caught_as_one_family(kind):
    assert issubclass(kind, PacelineError)


@pytest.mark.parametrize("kind", _KINDS)
def test_every_error_stands_in_the_tree_at_the_top_of_the_file(kind):
    assert kind.__name__ in (errors.__doc__ or "")


@given(st.text(max_size=20), st.lists(st.text(st.characters(categories=["L"]), max_size=10)))
def test_a_suggestion_is_one_of_the_known_names(name, known):
    line = nearest(name, known)
    if "did you mean" in line:
        assert any(f"did you mean {each!r}?" in line for each in known)
    assert bool(line) == bool(known)


def test_names_that_are_nothing_alike_are_listed_without_a_guess():
    assert nearest("zzz", ["linear"]) == "; there are: linear"


def test_long_lists_are_cut():
    line = nearest("x", [f"name {at:03d}" for at in range(50)])
    assert line.endswith("… (50 in all)")
    assert line.count("name") == 20


def test_names_may_be_of_any_type():
    assert "did you mean '12'" in nearest("121", [12, 7])
