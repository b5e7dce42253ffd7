"""Writes down what a job was begun with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

import paceline
from paceline.core.recipe import Recipe
from paceline.jobs.material import Material
from paceline.jobs.prepare import GOALS
from paceline.jobs.record import Record
from paceline.train.precision import PRECISIONS, Precision


def write_settings(
    record: Record,
    recipe: Recipe,
    material: Material,
    precision: Precision,
    network: Mapping[str, Any],
) -> None:
    """The first rows of a ledger.

    Args:
        record: Where they go.
        recipe: What was asked for.
        material: What is learnt from.
        precision: What forward passes compute in.
        network: The model's name and size.
    """
    facts = material.facts
    record.note("setting", "recipe", recipe.model_dump(mode="json"))
    record.note("setting", "environment", _environment(precision.device))
    for line in material.notes:
        record.note("warning", "data", {"why": line}, source="data")
    kind = {"kind": facts["kind"], "source": facts["source"]}
    why = "asked for" if recipe.task.name else facts.get("claim", "asked for")
    record.decide("task", material.task_name, seen=kind, reason=why)
    record.decide(
        "goal",
        material.goal.name,
        seen={"outputs": material.goal.outputs},
        reason=why if recipe.task.name else "what the targets look like",
        choices=GOALS,
    )
    record.decide(
        "precision",
        precision.name,
        seen={"device": str(precision.device)},
        reason=precision.reason,
        choices=PRECISIONS,
    )
    counts = {f"{part}_examples": count for part, count in material.counts.items()}
    record.decide("division", facts.get("test_part", "as given"), seen=counts, reason="by seed")
    record.decide("data", material.residence, seen={}, reason=f"resident: {recipe.data.resident}")
    record.decide(
        "model",
        network["name"],
        seen={"parameters": network["parameters"]},
        reason="asked for" if recipe.model.name else "the task's default",
    )


def _environment(device: torch.device) -> dict[str, Any]:
    return {
        "paceline": paceline.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor(),
        "threads": torch.get_num_threads(),
    }
