"""Builds the parts of a run from its recipe: model, optimizer, controller, monitors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer

from paceline.controllers.base import Controller
from paceline.core import catalog
from paceline.core.errors import SettingError, nearest
from paceline.core.recipe import Part, Recipe
from paceline.core.signature import Signature
from paceline.monitors.base import Monitor

DEFAULT_CONTROLLER = "probe"
BESIDE: dict[str, dict[str, Any] | bool] = {"guard": True}
_FUSED = ("cpu", "cuda")


def build_model(signature: Signature, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """A network from the models shelf.

    Raises:
        SettingError: There is no such network, or it does not take this kind of input.
    """
    part = catalog.find("models", name)
    if signature.kind not in part.kinds:
        fits = [each for each, kind in catalog.parts("models") if signature.kind in kind.kinds]
        raise SettingError(
            f"the model {name} takes {' or '.join(part.kinds)}, not {signature.kind}; for those"
            f" there is {', '.join(fits)}"
        )
    model: nn.Module = catalog.build(part, settings, signature)
    return model


def optimizer_names() -> dict[str, type[Optimizer]]:
    """torch's optimizers by their names in lower case, and those of the shelf."""
    torchs = {
        name.lower(): value
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value)
        and issubclass(value, Optimizer)
        and value not in (Optimizer, LBFGS)
    }
    return torchs | dict(catalog.parts("optimizers"))


def build_optimizer(model: nn.Module, settings: Mapping[str, Any]) -> Optimizer:
    """An optimizer, torch's or of the shelf, over a model's parameters.

    Weight decay is kept off vectors (biases and the scales of normalisations), where it
    only does harm.

    Args:
        model: At least one of its parameters must be trainable.
        settings: ``name`` (or ``package.module:Class``) and the optimizer's own arguments.

    Raises:
        SettingError: There is no such optimizer or argument, or nothing to train.
    """
    rest = dict(settings)
    name = str(rest.pop("name"))
    part = _optimizer_called(name)
    arguments = inspect.signature(part).parameters
    for key in rest:
        if key not in arguments or key == "params":
            choices = [each for each in arguments if each != "params"]
            raise SettingError(f"{name} has no setting {key!r}{nearest(key, choices)}")
    parameters = [each for each in model.parameters() if each.requires_grad]
    if not parameters:
        raise SettingError("the model has no parameter to train: all are frozen")
    if "fused" in arguments and parameters[0].device.type in _FUSED:
        rest.setdefault("fused", True)
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if hasattr(model, "parameter_groups"):
        groups = _own_groups(model, arguments, rest)
    elif rest.get("weight_decay"):
        groups = [
            {"params": [each for each in parameters if each.ndim >= 2]},
            {"params": [each for each in parameters if each.ndim < 2], "weight_decay": 0.0},
        ]
    try:
        return part([group for group in groups if group["params"]], **rest)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name}: {error}") from None


def _own_groups(
    model: Any, arguments: Mapping[str, inspect.Parameter], rest: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The groups that a model makes itself; ``rate`` is each one's share of the learning rate."""
    groups: list[dict[str, Any]] = model.parameter_groups(rest.get("weight_decay", 0.0))
    default = arguments["lr"].default if "lr" in arguments else None
    rate = rest.get("lr", default)
    for group in groups:
        share = group.pop("rate", 1.0)
        if isinstance(rate, (int, float)):
            group["lr"] = rate * share
        if "weight_decay" not in arguments:
            group.pop("weight_decay", None)
    return groups


def _optimizer_called(name: str) -> type[Optimizer]:
    if ":" in name:
        return catalog.find("optimizers", name)
    known = optimizer_names()
    if name.lower() not in known:
        raise SettingError(f"there is no optimizer {name!r}{nearest(name, known)}")
    return known[name.lower()]


def build_controller(part: Part, learning_rate: float) -> Controller:
    """The controller of a recipe, or the plain default."""
    found = catalog.find("controllers", part.name or DEFAULT_CONTROLLER)
    controller: Controller = catalog.build(found, part.settings, learning_rate)
    return controller


def build_beside(
    wanted: Mapping[str, Mapping[str, Any] | bool], learning_rate: float
) -> list[Controller]:
    """The controllers that watch over it: those that stand there anyway, and those asked for."""
    return [
        catalog.build(
            catalog.find("controllers", name),
            {} if isinstance(settings, bool) else settings,
            learning_rate,
        )
        for name, settings in {**BESIDE, **wanted}.items()
        if settings is not False
    ]


def refuse_wrong_parts(recipe: Recipe) -> None:
    """Builds what a recipe names on nothing, so that a slip is told before the data are read.

    Raises:
        SettingError: A part is unknown, or a setting of one is.
    """
    build_controller(recipe.controller, 1.0)
    build_beside(recipe.beside, 1.0)
    if recipe.model.name is not None:
        catalog.find("models", recipe.model.name)
    if recipe.optimizer.name is not None:
        named = recipe.optimizer.settings | {"name": recipe.optimizer.name}
        build_optimizer(nn.Linear(1, 1), named)


def build_monitors() -> list[Monitor]:
    """Every monitor on the shelf, with its defaults."""
    return [part() for _, part in catalog.parts("monitors")]
