"""What may be asked of a training in an environment, and what it was begun with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, final

import torch

import paceline
from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.extras import need
from paceline.core.recipe import Recipe
from paceline.jobs.control.learner import PURPOSE
from paceline.jobs.control.run import TASK

if TYPE_CHECKING:
    from paceline.jobs.job import Request


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Settings of the task, ``--set task.seeds=5``.

    Attributes:
        seeds: Trainings, each with a seed of its own; the best one is kept.
        episodes: To measure the chosen weights by.
        looks: How often the weights are looked at in the last two fifths of a training.
        look_share: Share of the steps that looks may take.
        pictures: Whether frames of an episode are drawn.
    """

    seeds: int = 1
    episodes: int = 100
    looks: int = 5
    look_share: float = 0.1
    pictures: bool = True

    @staticmethod
    def of(given: Mapping[str, Any]) -> Settings:
        """Checked settings.

        Raises:
            SettingError: One is unknown, of the wrong type or out of range.
        """
        known = {field.name: field for field in fields(Settings)}
        for name, value in given.items():
            if name not in known:
                raise SettingError(f"{TASK} has no setting {name!r}{nearest(name, known)}")
            if type(value) is not type(known[name].default):
                kind = type(known[name].default).__name__
                raise SettingError(f"{TASK}: {name} must be {kind}, got {value!r}")
        settings = Settings(**given)
        if min(settings.seeds, settings.episodes, settings.looks) < 1:
            raise SettingError(f"{TASK}: seeds, episodes and looks must be at least 1")
        if not 0 < settings.look_share < 1:
            raise SettingError(f"{TASK}: look_share must be over 0 and under 1")
        return settings


def refuse(request: Request) -> None:
    """Refuses what was asked for and has no meaning where one acts."""
    recipe: Recipe = request.recipe
    wanted = recipe.task.name
    asked = {
        "--target": recipe.target,
        "--epochs": recipe.budget.epochs,
        "--agents": recipe.agents.count,
        "--test-data": request.test,
        "validation=": request.validation,
        "loss=": request.loss,
        f"--task {wanted}": wanted if wanted != TASK else None,
    }
    for name, value in asked.items():
        if value is not None:
            raise SettingError(
                f"{name} does not go with an environment to act in; its budget is --steps or --time"
            )
    if request.model is not None:
        raise DataError("a network of your own cannot act yet; give --model dqn, ppo or a2c")


def machine() -> dict[str, Any]:
    """Versions, for the ledger."""
    return {
        "paceline": paceline.__version__,
        "torch": torch.__version__,
        "gymnasium": need("gymnasium", extra="rl", purpose=PURPOSE).__version__,
        "stable_baselines3": need("stable_baselines3", extra="rl", purpose=PURPOSE).__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": "cpu",
        "threads": torch.get_num_threads(),
    }
