from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def law() -> ModuleType:
    """A little cluster whose examples bring less at long intervals and in large batches."""
    file = Path(__file__).with_name("law_cluster.py")
    spec = importlib.util.spec_from_file_location("law_cluster", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
