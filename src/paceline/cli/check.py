"""paceline check: a run's files, or the promises of a part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paceline.cli._out import AsJson, put, put_json
from paceline.core import catalog
from paceline.report.integrity import check_run
from paceline.report.summary import DEFAULT_FOLDER, find_run

BROKEN = 1


def check(what: str, /, *, as_json: AsJson = False) -> int:
    """Check that RUN's files are what was written, or that PART keeps its role's promises.

    Leaves with exit code 1 where something does not hold.

    Examples:

        paceline check digits-1

        paceline check controllers/linear

        paceline check my_package.mine:Mine

    Parameters
    ----------
    what
        A run's directory or its name in paceline-runs; or a part, as shelf/name or
        package.module:Class.
    as_json
        One JSON object on the last line of stdout.
    """
    found = _check_part(what) if is_part(what) else check_run(find_run(what))
    passed = all(each.passed for each in found)
    if as_json:
        rows = [{"promise": e.promise, "passed": e.passed, "why": e.why} for e in found]
        put_json({"what": what, "passed": passed, "found": rows})
    else:
        for each in found:
            put(f"{'ok    ' if each.passed else 'BROKEN'}  {each.promise}{_because(each)}")
    return 0 if passed else BROKEN


def is_part(what: str) -> bool:
    """Whether a part is meant; a directory of that name is a run all the same."""
    if any((place / what).exists() for place in (Path(), Path(DEFAULT_FOLDER))):
        return False
    shelf, slash, _ = what.partition("/")
    if ":" in what or (slash and shelf in catalog.SHELVES):
        return True
    return any(what in catalog.names(name) for name in catalog.SHELVES)


def _check_part(name: str) -> list[Any]:
    from paceline.checks import check_part

    return list(check_part(name))


def _because(found: Any) -> str:
    return f": {found.why}" if found.why else ""
