"""What the benchmarks share: where results go and what they say of the machine."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
SHARED_DATA = HERE.parent.parent / "shared" / "data"
PACKAGES = ("paceline", "torch", "numpy", "scikit-learn", "tabm", "lightning", "pandas")


def write_result(name: str, figures: dict[str, Any], *, script: str | None = None) -> None:
    """Writes ``results/<name>.json`` with the command, the machine and the versions."""
    name = Path(name).stem
    result = {
        "command": " ".join(
            ["python", f"benchmarks/{script or name}.py", *map(_nowhere, sys.argv[1:])]
        ),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "processor": _processor(),
            "cores": torch.get_num_threads(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {package: _version(package) for package in PACKAGES},
    } | figures
    (HERE / "results").mkdir(exist_ok=True)
    path = HERE / "results" / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written: benchmarks/results/{name}.json")


def _nowhere(argument: str) -> str:
    """An argument without the folder of a machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def data_folder(given: str | None, name: str) -> Path:
    """A dataset's folder: the one that was given, or the one beside the checkout."""
    folder = Path(given) if given else SHARED_DATA / name
    if not folder.exists():
        sys.exit(f"error: {folder} is not there; give the path of {name} with --data")
    return folder


def commit() -> str:
    """The short name of what is checked out."""
    asked = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return asked.stdout.strip() or "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
