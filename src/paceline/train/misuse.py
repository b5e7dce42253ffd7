"""Refuses what the Pacer cannot work with, in one line that says what would be right."""

from __future__ import annotations

import math
from typing import NoReturn

from torch import Tensor
from torch.optim import LBFGS, Optimizer

from paceline.core.errors import BudgetError, SettingError


def refuse_budgets(total_steps: int | None, deadline: float | None) -> None:
    """Raises ``SettingError`` unless there is at most one budget, and it is positive."""
    if total_steps is not None and deadline is not None:
        raise SettingError("give total_steps or deadline, not both")
    if total_steps is not None and not 1 <= total_steps < math.inf:
        raise SettingError(f"total_steps must be at least 1, got {total_steps}")
    if deadline is not None and not 0 < deadline < math.inf:
        raise SettingError(f"deadline must be a positive number of seconds, got {deadline}")


def refuse_optimizers(optimizer: Optimizer) -> None:
    """Raises ``SettingError`` unless it is an optimizer with something to train."""
    if not isinstance(optimizer, Optimizer):
        raise SettingError(f"a torch.optim.Optimizer is needed, got {type(optimizer).__name__}")
    if isinstance(optimizer, LBFGS):
        raise SettingError("LBFGS needs a closure and searches its own step: it cannot be paced")
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    if not parameters:
        raise SettingError("the optimizer has no parameters: give it model.parameters()")
    if not any(each.requires_grad for each in parameters):
        raise SettingError(
            "all parameters of the optimizer are frozen: set requires_grad on what is to learn"
        )


def refuse_losses(loss: Tensor, optimizer: Optimizer) -> None:
    """Raises ``SettingError`` unless it is a scalar whose gradients are there."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        what = f"{tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise SettingError(f"the loss must be a tensor with one element, got {what}; give its mean")
    parameters = (each for group in optimizer.param_groups for each in group["params"])
    if all(each.grad is None for each in parameters):
        why = "the loss has no graph" if not loss.requires_grad else "call loss.backward() before"
        raise SettingError(f"no parameter has a gradient: {why}")


def refuse_steps_after_the_end(stopped: str, steps: int) -> NoReturn:
    """Raises ``BudgetError``: the run is over."""
    raise BudgetError(
        f"step was called after the end ({stopped or 'the budget is spent'}, {steps} steps): end"
        " the loop when pacer.done, or go on with pacer.extend(total_steps=…)"
    )


def refuse_the_same_loss() -> NoReturn:
    """Raises ``SettingError``: a loss came twice."""
    raise SettingError("step was called twice for one loss: call it once an update, after backward")
