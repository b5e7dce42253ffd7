"""What a model and its plain rivals reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from paceline.core.progress import Progress
from paceline.core.recipe import Recipe
from paceline.jobs.material import Material
from paceline.jobs.prepare import Batches, Prepared
from paceline.tasks.base.baselines import measure_baselines
from paceline.train.judge import answers
from paceline.train.precision import Precision

UNHURRIED_SECONDS = 300.0


def validator(
    material: Material, precision: Precision
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Measures a network on the validation examples; None where there are none."""
    batches = material.validation
    if batches is None:
        return None

    def validate(network: nn.Module) -> dict[str, float]:
        given, wanted = answers(network, batches(), material.goal, precision)
        return material.goal.metrics(given, wanted)

    return validate


def measured_on(
    batches: Batches, material: Material, network: nn.Module, precision: Precision
) -> dict[str, float]:
    """Metrics of a network on some batches."""
    given, wanted = answers(network, batches(), material.goal, precision)
    return public(material.goal.metrics(given, wanted))


def public(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics without the loss, which is there for comparing only."""
    return {name: value for name, value in metrics.items() if name != "loss"}


def rivals(prepared: Prepared, recipe: Recipe, progress: Progress) -> dict[str, dict[str, Any]]:
    """Metrics, seconds and a note of each plain baseline, on the test examples.

    A budget of time under ``UNHURRIED_SECONDS`` leaves them a like share of their work.
    """
    task, parts, seconds = prepared.task, prepared.parts, recipe.budget.seconds
    assert parts.train.targets is not None and parts.test.targets is not None
    found = measure_baselines(
        task.goal,
        task.features(parts.train),
        parts.train.targets,
        task.features(parts.test),
        parts.test.targets,
        seed=recipe.seed,
        progress=progress,
        categorical=task.categorical_features(),
        effort=1.0 if seconds is None else min(1.0, seconds / UNHURRIED_SECONDS),
    )
    return {
        name: {
            "metrics": public(baseline.metrics),
            "note": baseline.note,
            "seconds": baseline.seconds,
        }
        for name, baseline in found.items()
    }
