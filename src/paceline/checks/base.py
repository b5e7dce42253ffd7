"""What a promise is, and the promises about settings that several roles share.

A promise is a public function of a role's file: its name is the sentence, its argument
the part's class. It raises ``AssertionError`` where the part breaks it.
"""

from __future__ import annotations

import inspect
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, get_args, get_type_hints

import numpy as np
import torch

from paceline.core import catalog
from paceline.core.errors import SettingError

Part = Any
_UNREAL = (float("nan"), float("inf"), float("-inf"), -1e30)
_UNKNOWN = "no_such_setting"


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """Something that every part of a role keeps.

    Attributes:
        sentence: What is promised, to be read after the part's name.
        check: Raises ``AssertionError`` when a part breaks it.
        needs_place: Whether ``check`` takes data to read besides the part.
    """

    sentence: str
    check: Callable[..., None]
    needs_place: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What came of checking one promise.

    Attributes:
        promise: The sentence.
        passed: Whether the part keeps it.
        why: Where it does not: what was seen, in one line.
    """

    promise: str
    passed: bool
    why: str = ""


def promises_in(module: ModuleType) -> tuple[Promise, ...]:
    """The promises of a role: the public functions that its file defines, in order."""
    return tuple(
        Promise(
            sentence=name.replace("_", " "),
            check=function,
            needs_place="place" in inspect.signature(function).parameters,
        )
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    )


def expect(kept: bool, why: str) -> None:
    """Raises ``AssertionError`` with ``why`` unless it is so; ``python -O`` keeps it."""
    if not kept:
        raise AssertionError(why)


def expect_refusal(action: Callable[[], Any], error: type[Exception], what: str) -> None:
    """Expects ``action`` to raise ``error`` with a text of one line."""
    try:
        action()
    except error as refusal:
        text = str(refusal)
        expect(bool(text) and "\n" not in text, f"{what} is not refused in one line: {text!r}")
    except Exception as other:
        found = f"{type(other).__name__}: {other}"
        raise AssertionError(
            f"{what} must be refused with {error.__name__}, not with {found}"
        ) from other
    else:
        raise AssertionError(f"{what} must be refused with {error.__name__}; it was accepted")


def through_json(state: Any, owner: str) -> Any:
    """A state as it comes back from a file."""
    try:
        return json.loads(json.dumps(state))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{owner}: the state is not made of JSON values: {error}") from None


def same(left: Any, right: Any) -> bool:
    """Whether two nested values are equal bit for bit, nan being equal to nan."""
    if isinstance(left, torch.Tensor):
        return (
            isinstance(right, torch.Tensor)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and torch.equal(left.nan_to_num(7.25), right.nan_to_num(7.25))
        )
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return bool(left == right)


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """Seeds every global random generator for a block, and puts all of them back."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 # the user's own
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 # the user's own
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)  # noqa: NPY002 # the user's own


def expect_named_settings(part: Part, arguments: int) -> None:
    """Expects settings to be keyword-only, each with a type and a default.

    Args:
        part: The class.
        arguments: How many positional arguments its role has.
    """
    hints = get_type_hints(part.__init__)
    for at, parameter in enumerate(inspect.signature(part).parameters.values()):
        if at < arguments:
            continue
        name = parameter.name
        expect(
            parameter.kind is inspect.Parameter.KEYWORD_ONLY,
            f"{part.__name__}: {name} must be a keyword-only argument with a name of its own",
        )
        expect(name in hints, f"{part.__name__}: the setting {name} has no type")
        expect(
            parameter.default is not inspect.Parameter.empty,
            f"{part.__name__}: the setting {name} has no default",
        )


def expect_unknown_refused(part: Part, *arguments: Any) -> None:
    """Expects settings that a part does not have to be refused, by it and by the catalog."""
    known = catalog.settings(part)
    for name in [_UNKNOWN, *(f"{setting}s" for setting in known)]:
        if name in known:
            continue
        what = f"{part.__name__}: the unknown setting {name!r}"
        given: dict[str, Any] = {name: 1}
        expect_refusal(partial(part, *arguments, **given), TypeError, what)
        expect_refusal(partial(catalog.build, part, given, *arguments), SettingError, what)


def expect_unreal_refused(part: Part, *arguments: Any) -> None:
    """Expects numeric settings to refuse what no setting can be: nan, inf, -1e30."""
    hints = get_type_hints(part.__init__)
    for name in catalog.settings(part):
        for value in _unreal(hints.get(name)):
            what = f"{part.__name__}: {name} = {value}"
            build = partial(catalog.build, part, {name: value}, *arguments)
            expect_refusal(build, SettingError, what)


def _unreal(hint: Any) -> tuple[float, ...]:
    hints = {hint, *get_args(hint)}
    if float in hints:
        return _UNREAL
    return (float("nan"), -(10**9)) if int in hints else ()
