"""paceline doctor: what is wrong with this installation, and what mends it."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from paceline.cli import _install, _machine
from paceline.cli._install import Finding
from paceline.cli._out import AsJson, plain_table, put, put_json

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(folder: Path = Path(), /, *, as_json: AsJson = False) -> int:
    """Look for what is wrong with this installation; each finding comes with its mend.

    Leaves with exit code 1 where there is a problem.

    Examples:

        paceline doctor

        paceline doctor /data/runs --json

    Parameters
    ----------
    folder
        Where runs are to be written.
    as_json
        One JSON object on the last line of stdout.
    """
    found = examine(folder.absolute())
    sick = any(each.level == "problem" for each in found)
    if as_json:
        findings = [dataclasses.asdict(each) for each in found]
        put_json({"healthy": not sick, "findings": findings})
    else:
        _tell(found)
    return 1 if sick else 0


def examine(folder: Path) -> list[Finding]:
    """All findings, the installation's first; runs are to be written in ``folder``."""
    torch = _install.look_at_torch()
    temporary = Path(tempfile.gettempdir())
    return [
        _install.check_python(),
        _install.check_torch(torch),
        *(_install.check_companion(name, torch) for name in _install.COMPANIONS),
        *(_install.check_extra(name, packages) for name, packages in _install.EXTRAS.items()),
        _machine.check_gpu(torch, _machine.has_nvidia()),
        _machine.check_cores(torch),
        _machine.check_bf16(),
        _machine.check_writable("folder", folder),
        _machine.check_writable("temporary folder", temporary),
        _machine.check_space("disk", folder),
        _machine.check_space("temporary disk", temporary),
    ]


def _tell(found: list[Finding]) -> None:
    from rich.text import Text

    table = plain_table("what", "", "found", "mend")
    for each in found:
        level = Text(each.level, style=_STYLES[each.level])
        table.add_row(each.name, level, each.found, each.mend)
    put(table)
    problems = sum(each.level == "problem" for each in found)
    warnings = sum(each.level == "warning" for each in found)
    put(f"\n{problems} problems, {warnings} warnings")
