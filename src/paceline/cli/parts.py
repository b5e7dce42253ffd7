"""paceline parts: what recipes can choose from, with settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from paceline.cli._out import AsJson, put, put_json
from paceline.core import catalog


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """A part as people need to know it.

    Attributes:
        line: First line of its docstring.
        text: The whole docstring.
        settings: Name, type and default of each; the default is None where there is none.
        missing: What is to be installed before it works; empty where all is there.
    """

    shelf: str
    name: str
    line: str
    text: str
    settings: tuple[dict[str, Any], ...]
    missing: str = ""


def parts(shelf: str | None = None, name: str | None = None, /, *, as_json: AsJson = False) -> int:
    """List the parts of all shelves or of SHELF, or tell all about NAME.

    Examples:

        paceline parts

        paceline parts controllers

        paceline parts models conv

    Parameters
    ----------
    shelf
        data, tasks, models, optimizers, learners, monitors or controllers.
    name
        A part of it.
    as_json
        One JSON object on the last line of stdout.
    """
    shelves = catalog.SHELVES if shelf is None else (shelf,)
    found = [
        describe(each, part)
        for each in shelves
        for part in ((name,) if name is not None else catalog.names(each))
    ]
    if as_json:
        put_json({"parts": [_object(part) for part in found]})
    elif name is not None:
        _tell(found[0])
    else:
        for each in shelves:
            _list(each, [part for part in found if part.shelf == each])
    return 0


def describe(shelf: str, name: str) -> Described:
    """A part with its settings; one that cannot be imported says what it lacks.

    Raises:
        SettingError: There is no such part.
    """
    try:
        part = catalog.find(shelf, name)
    except ImportError as error:
        return Described(
            shelf=shelf, name=name, line="", text="", settings=(), missing=_lack(error)
        )
    text = inspect.getdoc(part) or ""
    return Described(
        shelf=shelf,
        name=name,
        line=text.partition("\n")[0],
        text=text,
        settings=tuple(_setting(each) for each in catalog.settings(part).values()),
    )


def _lack(error: ImportError) -> str:
    if type(error) is ModuleNotFoundError:
        return f"needs the package {(error.name or '?').partition('.')[0]}, which is not installed"
    return str(error)


def _setting(parameter: inspect.Parameter) -> dict[str, Any]:
    annotation = parameter.annotation
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    bare = parameter.default is inspect.Parameter.empty
    return {"name": parameter.name, "type": kind, "default": None if bare else parameter.default}


def _object(part: Described) -> dict[str, Any]:
    return {
        "shelf": part.shelf,
        "name": part.name,
        "line": part.line,
        "settings": list(part.settings),
        "missing": part.missing,
    }


def _list(shelf: str, found: list[Described]) -> None:
    put(shelf)
    width = max((len(part.name) for part in found), default=0)
    for part in found:
        put(f"  {part.name:<{width}}  {part.missing or part.line}")
        if part.settings:
            put(f"  {'':<{width}}  {', '.join(map(_assignment, part.settings))}")
    put("")


def _assignment(setting: dict[str, Any]) -> str:
    return f"{setting['name']}={setting['default']!r}"


def _tell(part: Described) -> None:
    put(f"{part.shelf}/{part.name}\n")
    put(part.missing or part.text)
    for setting in part.settings:
        put(f"  {setting['name']}: {setting['type']} = {setting['default']!r}")
