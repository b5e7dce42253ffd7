"""The promises that each role keeps, for our own parts and for those of plug-ins.

from paceline.checks import check_part
for finding in check_part("my_package.mine:Mine"):
    print(finding.passed, finding.promise, finding.why)
"""

from __future__ import annotations

import importlib
from typing import Any

from paceline.checks.base import Finding, Part, Promise, promises_in
from paceline.core import catalog
from paceline.core.errors import MissingExtra, SettingError, nearest

__all__ = ["Finding", "Promise", "check", "check_part", "find_part", "promises", "shelf_of"]

# The role of each shelf: its file here, and where its base class is.
_ROLES = {
    "data": ("source", "paceline.data.base:Source"),
    "tasks": ("task", "paceline.tasks.base:Task"),
    "models": ("model", "paceline.models.base:Model"),
    "optimizers": ("optimizer", "torch.optim:Optimizer"),
    "learners": ("learner", "paceline.learners.base:Learner"),
    "monitors": ("monitor", "paceline.monitors.base:Monitor"),
    "controllers": ("controller", "paceline.controllers.base:Controller"),
    "policies": ("policy", "paceline.policies.base:Policy"),
}


def promises(shelf: str) -> tuple[Promise, ...]:
    """What every part of a shelf promises.

    Raises:
        SettingError: There is no such shelf.

    >>> "gives floats" in [promise.sentence for promise in promises("monitors")]
    True
    """
    if shelf not in _ROLES:
        raise SettingError(f"there is no shelf {shelf!r}{nearest(shelf, _ROLES)}")
    return promises_in(importlib.import_module(f"paceline.checks.{_ROLES[shelf][0]}"))


def check_part(name: str, *, place: Any = None) -> list[Finding]:
    """Checks every promise of a part.

    Args:
        name: ``controllers/linear``, ``linear`` where one shelf alone has it, or
            ``package.module:Class``.
        place: For a source: data of its kind, to check what it makes of them; promises
            that need them are left out where there are none. In a table the column to
            predict must be called ``target``.

    Raises:
        SettingError: There is no such part.
        MissingExtra: The part needs a package that is not installed.

    >>> all(finding.passed for finding in check_part("controllers/linear"))
    True
    """
    shelf, part = find_part(name)
    return [
        check(promise, part, place=place)
        for promise in promises(shelf)
        if place is not None or not promise.needs_place
    ]


def check(promise: Promise, part: Part, *, place: Any = None) -> Finding:
    """Checks one promise of a part; whatever else goes wrong counts as broken.

    Raises:
        MissingExtra: The part needs a package that is not installed.
    """
    try:
        if promise.needs_place:
            promise.check(part, place)
        else:
            promise.check(part)
    except MissingExtra:
        raise
    except AssertionError as breach:
        return Finding(promise=promise.sentence, passed=False, why=_one_line(str(breach)))
    except Exception as error:
        why = _one_line(f"{type(error).__name__}: {error}")
        return Finding(promise=promise.sentence, passed=False, why=why)
    return Finding(promise=promise.sentence, passed=True)


def find_part(name: str) -> tuple[str, Part]:
    """The shelf and the class of a part.

    Raises:
        SettingError: There is no such part, or it is of no role.

    >>> find_part("cosine")[0]
    'controllers'
    """
    if ":" in name:
        part = catalog.find("controllers", name)
        return shelf_of(part), part
    shelf, slash, rest = name.partition("/")
    if slash:
        return shelf, catalog.find(shelf, rest)
    known = {shelf: catalog.names(shelf) for shelf in _ROLES}
    shelves = [shelf for shelf, names in known.items() if name in names]
    if len(shelves) > 1:
        choices = " or ".join(f"{shelf}/{name}" for shelf in shelves)
        raise SettingError(f"there are several parts called {name!r}: write {choices}")
    if not shelves:
        everything = [each for names in known.values() for each in names]
        raise SettingError(f"there is no part {name!r}{nearest(name, everything)}")
    return shelves[0], catalog.find(shelves[0], name)


def shelf_of(part: Part) -> str:
    """The shelf that a class belongs on, by its base class.

    Raises:
        SettingError: It is of no role.
    """
    for shelf, (_, home) in _ROLES.items():
        module, _, base = home.partition(":")
        if issubclass(part, getattr(importlib.import_module(module), base)):
            return shelf
    bases = ", ".join(home.replace(":", ".") for _, home in _ROLES.values())
    raise SettingError(f"{part.__name__} is of no role; it must extend one of {bases}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
