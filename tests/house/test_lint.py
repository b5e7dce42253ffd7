"""Style and types: what `python3 dev.py lint` says."""

from __future__ import annotations

import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

CODE = ("src", "tests", "benchmarks", "examples", "dev.py")
EXEMPTION = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|nosec|fmt:|mypy:|ruff:)")
# A rule and, on the same line, a reason.
REASONED = re.compile(r"#\s*(noqa: [A-Z]+\d+|type: ignore\[[a-z-]+(, ?[a-z-]+)*\])\s+#\s*\w+.*")


def present(root: Path) -> list[Path]:
    return [root / name for name in CODE if (root / name).exists()]


def succeeds(root: Path, tool: str, *arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name(tool), *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_has_nothing_to_say(root: Path) -> None:
    succeeds(root, "ruff", "check", "--no-cache", *present(root))


def test_code_is_formatted_as_ruff_formats_it(root: Path) -> None:
    succeeds(root, "ruff", "format", "--check", "--no-cache", *present(root))


def test_types_hold_strictly(root: Path) -> None:
    succeeds(root, "mypy", "--strict")


@pytest.mark.parametrize(
    ("comment", "reasoned"),
    [
        ("# noqa: E501 # a long address", True),
        ("# type: ignore[misc] # torch is untyped", True),
        ("# noqa: E501", False),
        ("# noqa", False),
        ("# type: ignore # torch", False),
    ],
)
def test_an_exemption_without_rule_or_reason_is_seen(comment: str, reasoned: bool) -> None:
    assert EXEMPTION.match(comment)
    assert bool(REASONED.match(comment)) is reasoned


def test_every_exemption_names_its_rule_and_its_reason(root: Path) -> None:
    bare = []
    for file in [*(root / "src").rglob("*.py"), root / "dev.py"]:
        with tokenize.open(file) as lines:
            for token in tokenize.generate_tokens(lines.readline):
                exempt = token.type == tokenize.COMMENT and EXEMPTION.search(token.string)
                if exempt and not REASONED.search(token.string):
                    bare.append(f"{file.relative_to(root)}:{token.start[0]} {token.string}")
    assert bare == []
