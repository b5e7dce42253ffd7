"""Everything that can go wrong and that a person can put right.

    PacelineError            one line for a person, exit code 2
    ├── DataError            the data cannot be used as they are
    ├── SettingError         a setting is unknown, of the wrong type or out of range
    ├── MissingExtra         a package is missing; names the extra that brings it
    ├── BudgetError          the budget is spent
    ├── AgentsLost           too few agents are left to go on
    ├── RunError             a run is missing, exists already, differs or is damaged
    └── StorageError         a disk is full, read-only or otherwise unwilling

Anything else that is raised is a bug in Paceline and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 2


class PacelineError(Exception):
    """A mistake that a person can mend; its text is one line."""


class DataError(PacelineError, ValueError):
    """The data cannot be used as they are."""


class SettingError(PacelineError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class MissingExtra(PacelineError, ImportError):
    """A package that an optional part needs is not installed."""


class BudgetError(PacelineError):
    """The budget is spent; says how to go on."""


class AgentsLost(PacelineError):
    """Too few agents are left to go on; says how to."""


class RunError(PacelineError):
    """A run is missing, exists already, was made with other settings, or is damaged."""


class StorageError(PacelineError, OSError):
    """A disk is full, read-only or otherwise unwilling."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Names the closest of ``known``, as the tail of an error message.

    >>> nearest("lerning_rate", ["learning_rate", "momentum"])
    "; did you mean 'learning_rate'? there are: learning_rate, momentum"
    >>> nearest("x", [])
    ''
    """
    names = sorted(map(str, known))
    if not names:
        return ""
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]!r}?" if close else ";"
    shown = ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")
    return f"{guess} there are: {shown}"
