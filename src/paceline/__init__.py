"""Trains PyTorch models with small deterministic agents that set their own pace.

import paceline
run = paceline.fit("digits")
run.test["accuracy"], run.predict(x)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "fit": "paceline.jobs.fit",
    "load": "paceline.jobs.run",
    "Run": "paceline.jobs.run",
    "PacelineClassifier": "paceline.integrations.sklearn",
    "PacelineRegressor": "paceline.integrations.sklearn",
    "PacelineError": "paceline.core.errors",
    "Pacer": "paceline.train.pacer",
    "Scheduler": "paceline.agents.scheduler",
}
__all__ = [
    "PacelineClassifier",
    "PacelineError",
    "PacelineRegressor",
    "Pacer",
    "Run",
    "Scheduler",
    "fit",
    "load",
]

if TYPE_CHECKING:
    from paceline.agents.scheduler import Scheduler
    from paceline.core.errors import PacelineError
    from paceline.integrations.sklearn import PacelineClassifier, PacelineRegressor
    from paceline.jobs.fit import fit
    from paceline.jobs.run import Run, load
    from paceline.train.pacer import Pacer


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'paceline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
