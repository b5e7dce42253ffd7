"""What commands write to stdout: text for people, or one JSON object."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

AsJson = Annotated[bool, Parameter(name="--json", negative="")]


def put_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line; nan and inf, which JSON does not know, become null."""
    sys.stdout.write(json.dumps(_plain(value), default=str, allow_nan=False) + "\n")


def put(thing: Any) -> None:
    """A line of text, or anything that rich can draw."""
    from rich.text import Text

    from paceline.report.console import console_for

    shown = Text(thing) if isinstance(thing, str) else thing
    console_for(sys.stdout).print(shown, soft_wrap=isinstance(shown, Text))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Any:
    """A table without lines, whose named columns stand to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
