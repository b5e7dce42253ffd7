"""What a model and its plain rivals reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from paceline.core.errors import DataError
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.recipe import Recipe
from paceline.data.base import Examples
from paceline.jobs.material import Material
from paceline.jobs.prepare import Batches, Prepared, batches_of
from paceline.tasks.base import Goal, Judged, Task
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


def tested(
    material: Material, prepared: Prepared | None, network: nn.Module, precision: Precision
) -> tuple[dict[str, float], tuple[Finding, ...]]:
    """Metrics of a network on the test examples, and what is worth looking at."""
    assert material.test is not None
    goal = material.goal
    given, wanted = answers(network, material.test(), goal, precision)
    measured = public(goal.metrics(given, wanted))
    if prepared is None:
        return measured, goal.findings(given, wanted)
    task = prepared.task

    def ask(examples: Examples) -> Tensor:
        batches = unknown_batches(task, examples, precision.device)
        return answers(network, batches(), Answering(goal), precision)[0]

    judged = Judged(
        answer=given,
        target=wanted,
        examples=prepared.parts.test,
        train=prepared.parts.train,
        ask=ask,
    )
    more, found = task.findings(judged)
    return measured | more, found


def unknown_batches(task: Task, examples: Examples, device: torch.device) -> Batches:
    """Batches of examples whose targets nobody knows.

    Raises:
        DataError: There are none.
    """
    encoded = task.encode(Examples(inputs=examples.inputs, targets=None))
    unknown = torch.zeros(len(encoded))
    batches = batches_of(type(encoded)(inputs=encoded.inputs, targets=unknown), device)
    if batches is None:
        raise DataError("there are no examples to predict")
    return batches


@final
class Answering:
    """Gives answers where metrics would want what they need."""

    def __init__(self, goal: Goal) -> None:
        self.metrics, self.better, self._goal = goal.metrics, goal.better, goal

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """The answers."""
        return self._goal.answer(output)


def public(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics without the loss, which is there for comparing only."""
    return {name: value for name, value in metrics.items() if name != "loss"}


def rivals(prepared: Prepared, recipe: Recipe, progress: Progress) -> dict[str, dict[str, Any]]:
    """Metrics, seconds and a note of each plain baseline, on the test examples.

    A budget of time under ``UNHURRIED_SECONDS`` leaves them a like share of their work.
    """
    seconds = recipe.budget.seconds
    found = prepared.task.baselines(
        prepared.parts,
        seed=recipe.seed,
        progress=progress,
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
