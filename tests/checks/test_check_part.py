"""What check_part finds, and how it is told which part."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from paceline.checks import Finding, check, check_part, find_part, promises, shelf_of
from paceline.checks.base import (
    Promise,
    chance,
    expect,
    expect_named_settings,
    expect_refusal,
    same,
    through_json,
)
from paceline.controllers.base import Controller
from paceline.core import catalog
from paceline.core.errors import MissingExtra, SettingError


class Sleepy(Controller):
    """Breaks one promise: its state holds a tuple's set."""

    def decide(self, seen: Any) -> Any:
        raise RuntimeError("asleep\nfor a while")

    def learn(self, seen: Any, choice: Any, outcome: Any) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


@pytest.fixture
def plug_in(monkeypatch):
    module = types.ModuleType("some_plug_in")
    module.Sleepy = Sleepy
    module.Other = dict
    monkeypatch.setitem(sys.modules, "some_plug_in", module)


def test_a_part_of_our_own_is_found_by_name_or_by_shelf_and_name():
    assert find_part("linear") == find_part("controllers/linear")
    assert find_part("linear")[0] == "controllers"


def test_a_part_from_outside_gets_its_role_from_its_base_class(plug_in):
    assert find_part("some_plug_in:Sleepy") == ("controllers", Sleepy)


def test_whatever_a_part_raises_is_a_finding_of_one_line(plug_in):
    findings = check_part("some_plug_in:Sleepy")
    assert len(findings) == len(promises("controllers"))
    broken = [finding for finding in findings if not finding.passed]
    assert broken
    assert {finding.why for finding in broken} == {"RuntimeError: asleep for a while"}


def test_a_source_is_checked_with_a_place_where_there_is_one():
    without, given = check_part("digits"), check_part("digits", place="digits")
    assert len(without) < len(given) == len(promises("data"))
    assert all(finding.passed for finding in given)


def test_a_class_of_no_role_is_refused(plug_in):
    with pytest.raises(SettingError, match=r"dict is of no role; it must extend one of paceline"):
        check_part("some_plug_in:Other")


def test_a_misspelt_part_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'linear'"):
        check_part("lineer")


def test_a_misspelt_shelf_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'controllers'"):
        promises("controlers")
    with pytest.raises(SettingError, match="did you mean 'controllers'"):
        check_part("controlers/linear")


def test_a_name_on_two_shelves_must_be_told_apart(monkeypatch):
    monkeypatch.setattr(catalog, "names", lambda shelf: ("twin",))
    with pytest.raises(SettingError, match="write data/twin or tasks/twin"):
        find_part("twin")


def test_every_role_has_promises_and_every_shelf_a_role():
    for shelf in catalog.SHELVES:
        sentences = [promise.sentence for promise in promises(shelf)]
        assert len(sentences) == len(set(sentences)) >= 5


def test_every_in_house_part_is_of_the_role_of_its_shelf():
    for shelf in catalog.SHELVES:
        for _, part in catalog.parts(shelf):
            assert shelf_of(part) == shelf


def test_a_missing_package_is_no_breach():
    def lacks(part: Any) -> None:
        raise MissingExtra("needs the package x")

    with pytest.raises(MissingExtra, match="package x"):
        check(Promise(sentence="needs x", check=lacks), dict)


def test_a_kept_promise_has_nothing_to_say():
    finding = check(Promise(sentence="is", check=lambda part: None), dict)
    assert finding == Finding(promise="is", passed=True, why="")


def test_a_refusal_must_be_of_the_right_kind_and_of_one_line():
    def refusing(error: Exception):
        def act() -> None:
            raise error

        return act

    expect_refusal(refusing(SettingError("no")), SettingError, "it")
    with pytest.raises(AssertionError, match="not with KeyError: 'x'"):
        expect_refusal(refusing(KeyError("x")), SettingError, "it")
    with pytest.raises(AssertionError, match="it was accepted"):
        expect_refusal(lambda: None, SettingError, "it")
    with pytest.raises(AssertionError, match="not refused in one line"):
        expect_refusal(refusing(SettingError("a\nb")), SettingError, "it")


def test_a_state_that_json_cannot_hold_is_a_breach():
    with pytest.raises(AssertionError, match="not made of JSON values"):
        through_json({"a": {1, 2}}, "It")


def test_settings_need_a_type_and_a_default():
    class Untyped:
        def __init__(self, *, size=1) -> None: ...

    class Required:
        def __init__(self, *, size: int) -> None: ...

    with pytest.raises(AssertionError, match="has no type"):
        expect_named_settings(Untyped, 0)
    with pytest.raises(AssertionError, match="has no default"):
        expect_named_settings(Required, 0)


def test_values_are_the_same_bit_for_bit_or_not():
    import torch

    nan = float("nan")
    assert same({"a": [nan, (1, "x")]}, {"a": [nan, (1, "x")]})
    assert same(torch.tensor([nan, 1.0]), torch.tensor([nan, 1.0]))
    assert not same(torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64))
    assert not same(torch.tensor([1.0]), 1.0)
    assert not same({"a": 1}, {"b": 1})
    assert not same([1, 2], [1])


def test_chance_is_put_back_after_a_block():
    import random

    import numpy as np
    import torch

    def state() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = state()
    with chance(5):
        first = (random.random(), np.random.rand(), torch.rand(1).item())
    assert state() == before
    with chance(5):
        assert first == (random.random(), np.random.rand(), torch.rand(1).item())


def test_expect_does_not_depend_on_python_keeping_assertions():
    expect(True, "fine")
    with pytest.raises(AssertionError, match="why not"):
        expect(False, "why not")
