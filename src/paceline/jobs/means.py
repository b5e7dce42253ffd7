"""What training is done with, whoever does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from paceline.core.progress import Progress
from paceline.core.recipe import Recipe
from paceline.jobs.record import Record
from paceline.train.precision import Precision


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What training is done with, and where it tells of it.

    Attributes:
        recipe: What was asked for.
        precision: What forward passes compute in, and where.
        record: Where decisions and readings go.
        progress: Told how far it is, and who comes and goes.
        folder: The run's.
    """

    recipe: Recipe
    precision: Precision
    record: Record
    progress: Progress
    folder: Path
