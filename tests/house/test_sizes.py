"""Sizes: functions stay on one screen, files stay readable."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

MOST_BODY_LINES, P95_BODY_LINES, MOST_FILE_LINES = 60, 40, 400
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(root: Path) -> list[Path]:
    return [*sorted((root / "src" / "paceline").rglob("*.py")), root / "dev.py"]


def body_lines(function: Function) -> int:
    """Lines from the first statement to the last, the docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def functions(tree: ast.AST) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


@pytest.fixture(scope="module")
def sizes(root: Path) -> dict[str, int]:
    return {
        f"{file.relative_to(root)}:{function.lineno} {function.name}": body_lines(function)
        for file in sources(root)
        for function in functions(ast.parse(file.read_text(encoding="utf-8")))
    }


def test_a_body_is_counted_without_its_docstring() -> None:
    (function,) = functions(
        ast.parse('def f():\n    """One.\n\n    Two."""\n    a = 1\n\n    return a')
    )
    assert body_lines(function) == 3
    (bare,) = functions(ast.parse('def f():\n    """Only said."""'))
    assert body_lines(bare) == 0


def test_no_function_is_longer_than_a_screen(sizes: dict[str, int]) -> None:
    assert {name: lines for name, lines in sizes.items() if lines > MOST_BODY_LINES} == {}


def test_nineteen_functions_in_twenty_are_short(sizes: dict[str, int]) -> None:
    ordered = sorted(sizes.values())
    assert ordered[math.ceil(0.95 * len(ordered)) - 1] <= P95_BODY_LINES


def test_no_file_is_longer_than_four_hundred_lines(root: Path) -> None:
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sources(root)}
    assert {str(f.relative_to(root)): n for f, n in lines.items() if n > MOST_FILE_LINES} == {}
