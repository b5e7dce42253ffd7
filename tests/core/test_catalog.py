"""A file on a shelf is a part; from outside a part is named by module and class."""

from __future__ import annotations

import sys
import types

import pytest

from paceline.core import catalog
from paceline.core.errors import SettingError


class Outside:
    """A part of a plug-in."""

    def __init__(self, first: float, *, size: int = 1, share: float | None = None) -> None:
        self.first, self.size, self.share = first, size, share


class _Hidden:
    pass


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("a_plug_in")
    made.Outside = Outside
    made.number = 3
    monkeypatch.setitem(sys.modules, "a_plug_in", made)
    return made


def _module_with(monkeypatch, *names: str) -> None:
    made = types.ModuleType("a_part")
    for name in names:
        setattr(made, name, type(name, (), {"__module__": "a_part"}))
    made.Borrowed = Outside
    monkeypatch.setitem(sys.modules, "a_part", made)


@pytest.mark.parametrize("shelf", catalog.SHELVES)
def test_every_file_on_a_shelf_is_found_under_its_name(shelf):
    names = catalog.names(shelf)
    assert list(names) == sorted(set(names))
    assert "base" not in names
    assert [name for name, _ in catalog.parts(shelf)] == list(names)
    for name in names:
        assert catalog.find(shelf, name).__module__ == f"paceline.{shelf}.{name}"


def test_an_unknown_shelf_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="no shelf 'models '; did you mean 'models'"):
        catalog.names("models ")


def test_an_unknown_part_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="no 'cosinus' in controllers; did you mean 'cosine'"):
        catalog.find("controllers", "cosinus")


def test_a_file_with_one_public_class_is_that_part(monkeypatch):
    _module_with(monkeypatch, "Mine", "_Helper")
    assert catalog.part_of("a_part").__name__ == "Mine"


def test_a_file_with_two_public_classes_is_refused(monkeypatch):
    _module_with(monkeypatch, "Mine", "Another")
    with pytest.raises(SettingError, match="one public class; it defines Another, Mine"):
        catalog.part_of("a_part")


def test_a_file_without_a_public_class_is_refused(monkeypatch):
    _module_with(monkeypatch, "_Helper")
    with pytest.raises(SettingError, match="one public class; it defines none"):
        catalog.part_of("a_part")


def test_a_part_from_outside_is_found_by_module_and_class(module):
    assert catalog.find("controllers", "a_plug_in:Outside") is Outside


def test_a_class_that_is_not_in_its_module_is_refused_with_the_nearest(module):
    with pytest.raises(SettingError, match="no class 'Outsid'; did you mean 'Outside'"):
        catalog.find("controllers", "a_plug_in:Outsid")


def test_something_that_is_no_class_is_refused(module):
    with pytest.raises(SettingError, match="no class 'number'"):
        catalog.find("controllers", "a_plug_in:number")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(SettingError, match="there is no module 'no_such_plug_in'"):
        catalog.find("controllers", "no_such_plug_in.mine:Mine")


@pytest.mark.parametrize("name", [":Mine", "..:Mine", "module:"])
def test_half_a_name_is_refused(name):
    with pytest.raises(SettingError):
        catalog.find("controllers", name)


def test_settings_are_the_keyword_only_arguments():
    assert list(catalog.settings(Outside)) == ["size", "share"]


def test_settings_are_converted_to_their_types():
    part = catalog.build(Outside, {"size": "3", "share": 1}, 0.5)
    assert (part.first, part.size, part.share) == (0.5, 3, 1.0)
    assert isinstance(part.share, float)


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="Outside has no setting 'sise'; did you mean 'size'"):
        catalog.build(Outside, {"sise": 3}, 0.5)


def test_a_setting_of_the_wrong_type_is_refused_with_what_it_must_be():
    with pytest.raises(SettingError, match=r"Outside: size must be int, got 'big' \(str\)"):
        catalog.build(Outside, {"size": "big"}, 0.5)
    with pytest.raises(SettingError, match=r"share must be float \| None, got 'x'"):
        catalog.build(Outside, {"share": "x"}, 0.5)
