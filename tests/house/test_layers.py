"""Which way imports point: the contracts in pyproject.toml, and what an import brings along."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Top-level modules that are there after some code ran and were not there before it.
PROBE = """
import json, sys
{before}
had = {{name.partition(".")[0] for name in sys.modules}}
{code}
now = {{name.partition(".")[0] for name in sys.modules}} - had - set(sys.stdlib_module_names)
now = {{name for name in now if not name.startswith(("paceline", "_sysconfigdata"))}}
print("\\n" + json.dumps(sorted(now)))
"""


def brought_along(code: str, before: str = "") -> list[str]:
    probe = PROBE.format(code=code, before=before)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, list)
    return found


def contracts(root: Path, source: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the package that lies in ``source``."""
    lint_imports = Path(sys.executable).with_name("lint-imports")
    command = [str(lint_imports), "--config", str(root / "pyproject.toml"), "--no-cache"]
    env = {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200"}
    return subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)


def test_imports_point_only_where_the_contracts_allow(root: Path) -> None:
    done = contracts(root, root / "src")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("core/breach", "import paceline.data.base", "Data walks one way"),
        ("room/__init__", "", "Data walks one way"),
        ("tasks/breach", "import paceline.models.base", "Data walks one way"),
        ("train/breach", "import paceline.controllers.cosine", "Engines import only base"),
        ("data/digits", "import paceline.data.idx", "Parts on a shelf"),
        ("data/base/breach", "import paceline.data.idx", "Parts on a shelf"),
        ("report/breach", "from torch import nn", "core, report and cli"),
    ],
)
def test_a_breach_is_seen(
    root: Path, own_directory: Path, module: str, line: str, contract: str
) -> None:
    package = own_directory / "paceline"
    shutil.copytree(root / "src" / "paceline", package)
    file = package / f"{module}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{line}\n")
    done = contracts(root, own_directory)
    broken = [said for said in done.stdout.splitlines() if "BROKEN" in said]
    assert any(said.startswith(contract) for said in broken), done.stdout + done.stderr


def test_paceline_alone_brings_only_the_standard_library() -> None:
    assert brought_along("import paceline") == []


def test_fit_brings_only_the_core_dependencies() -> None:
    before = "import torch, numpy, safetensors.torch, pydantic, annotated_types"  # pydantic's own
    assert brought_along("from paceline import fit", before) == []


@pytest.mark.parametrize(
    "code",
    [
        "import paceline.report.page",
        "import paceline.core.catalog, paceline.core.ledger, paceline.core.recipe",
        "import sys; sys.argv = ['paceline', '--help']\n"
        "from paceline.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass",
    ],
    ids=["report", "core", "help"],
)
def test_neither_core_nor_report_nor_help_loads_torch(code: str) -> None:
    assert "torch" not in brought_along(code)
