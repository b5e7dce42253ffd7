"""Finds the parts on the shelves. Nothing is registered: a file is a part, its name is the part's.

From outside a part is named ``package.module:Class``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from paceline.core.errors import SettingError, nearest

SHELVES = (
    "data",
    "tasks",
    "models",
    "optimizers",
    "learners",
    "monitors",
    "controllers",
    "policies",
)


def names(shelf: str) -> tuple[str, ...]:
    """The names of a shelf's parts, in alphabetical order; imports none of them.

    >>> "cosine" in names("controllers")
    True
    """
    if shelf not in SHELVES:
        raise SettingError(f"there is no shelf {shelf!r}{nearest(shelf, SHELVES)}")
    package = importlib.import_module(f"paceline.{shelf}")
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(package.__path__)
            if not module.ispkg and module.name != "base" and not module.name.startswith("_")
        )
    )


def find(shelf: str, name: str) -> type[Any]:
    """The class of a part: on a shelf by its name, elsewhere as ``package.module:Class``.

    Raises:
        SettingError: There is no such part.
    """
    if ":" in name:
        return _outside(name)
    if name not in names(shelf):
        raise SettingError(f"there is no {name!r} in {shelf}{nearest(name, names(shelf))}")
    return part_of(f"paceline.{shelf}.{name}")


def part_of(module_name: str) -> type[Any]:
    """The one public class that a part's file defines.

    Raises:
        SettingError: The file defines none, or several.
    """
    module = importlib.import_module(module_name)
    public = [
        value
        for key, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module_name and not key.startswith("_")
    ]
    if len(public) != 1:
        found = ", ".join(sorted(part.__name__ for part in public)) or "none"
        raise SettingError(f"{module_name} must define one public class; it defines {found}")
    return public[0]


def parts(shelf: str) -> Iterator[tuple[str, type[Any]]]:
    """Every part of a shelf with its name."""
    for name in names(shelf):
        yield name, find(shelf, name)


def settings(part: type[Any]) -> dict[str, inspect.Parameter]:
    """A part's settings: the keyword-only arguments of its constructor."""
    return {
        name: parameter
        for name, parameter in inspect.signature(part).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def build(part: type[Any], given: Mapping[str, Any], *arguments: Any) -> Any:
    """Builds a part from settings, refusing unknown names and wrong types.

    Raises:
        SettingError: A setting is unknown, of the wrong type or out of range.
    """
    known = settings(part)
    for name in given:
        if name not in known:
            raise SettingError(f"{part.__name__} has no setting {name!r}{nearest(name, known)}")
    hints = get_type_hints(part.__init__)
    typed = {
        name: _typed(part.__name__, name, value, hints.get(name, Any))
        for name, value in given.items()
    }
    return part(*arguments, **typed)


def _typed(owner: str, name: str, value: Any, hint: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError:
        wanted = getattr(hint, "__name__", None) or str(hint)
        raise SettingError(
            f"{owner}: {name} must be {wanted}, got {value!r} ({type(value).__name__})"
        ) from None


def _outside(name: str) -> type[Any]:
    module_name, _, class_name = name.partition(":")
    if not module_name or module_name.startswith("."):
        raise SettingError(f"{name}: write it as package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise SettingError(f"{name}: there is no module {error.name!r}") from None
    part = getattr(module, class_name, None)
    if not inspect.isclass(part):
        classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
        raise SettingError(f"{name}: no class {class_name!r}{nearest(class_name, classes)}")
    return part
