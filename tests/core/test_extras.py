"""A missing package is answered with the extra that brings it."""

from __future__ import annotations

import sys

import pytest

from paceline.core.errors import MissingExtra
from paceline.core.extras import need


def test_a_module_that_is_there_is_given():
    assert need("json", extra="none", purpose="reading") is sys.modules["json"]


def test_a_missing_package_is_named_with_its_extra_and_its_purpose():
    with pytest.raises(MissingExtra) as caught:
        need("no_such_package.inner", extra="images", purpose="reading images")
    assert str(caught.value) == (
        'reading images needs the package no_such_package: pip install "paceline[images]"'
    )


def test_a_module_that_is_blocked_counts_as_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"needs the package pandas: .*paceline\[tables\]"):
        need("pandas", extra="tables", purpose="reading a CSV")
