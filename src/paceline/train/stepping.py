"""Steps an optimizer, unless something is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from paceline.train.gradients import EVERY, Alignment, Motion, Norms, global_norm


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """What came of one update.

    Attributes:
        loss: Mean over its batches, before it.
        gradient_norm: Global L2 norm, before clipping, as it was last measured.
        alignment: Cosine and inner product with the gradient before; nan where not asked
            for.
        motion: L2 norm of the parameters before, and of their change; nan where not asked
            for.
        skipped: Whether the weights were left alone because something was not finite.
        scaler_skipped: Whether they were because the gradient scaler's factor was too high.
    """

    loss: float
    gradient_norm: float
    alignment: tuple[float, float] = (math.nan, math.nan)
    motion: tuple[float, float] = (math.nan, math.nan)
    skipped: bool = False
    scaler_skipped: bool = False


@final
class Stepper:
    """Steps an optimizer on the gradients that are there.

    Args:
        optimizer: Whose gradients.
        align: Whether each gradient is compared with the one before.
        clip: Largest global L2 norm of the gradient, or None.
    """

    def __init__(self, optimizer: Optimizer, *, align: bool, clip: float | None = None) -> None:
        self._optimizer, self._clip = optimizer, clip
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._alignment = Alignment(self._parameters) if align else None
        self._motion = Motion(self._parameters)
        self._norms = Norms(self._parameters, 1 if align else EVERY)

    def step(
        self,
        loss: float,
        scaler: torch.amp.GradScaler | None = None,
        *,
        guards: bool = True,
        measure: bool = False,
    ) -> Update:
        """One step.

        Args:
            loss: Of the batches that the gradients are of, unscaled.
            scaler: What has scaled the gradients; it is stepped and updated.
            guards: Whether a step is left out when the loss or a gradient is not finite.
            measure: Whether the motion of the parameters is.
        """
        scaler = scaler if scaler is not None and scaler.is_enabled() else None
        if guards and not math.isfinite(loss):  # before the scaler takes it for an overflow
            return Update(loss=loss, gradient_norm=math.nan, skipped=True)
        scale = 1.0 if scaler is None else scaler.get_scale()
        if scaler is not None and self._clip is not None:
            scaler.unscale_(self._optimizer)
        norm = self._norm() / (scale if self._clip is None else 1.0)
        if scaler is None and guards and not math.isfinite(norm):
            return Update(loss=loss, gradient_norm=norm, skipped=True)
        aligned = self._aligned(norm)
        if measure:
            self._motion.begin()
        if not self._stepped(scaler, scale):
            return Update(loss=loss, gradient_norm=norm, scaler_skipped=True)
        motion = self._motion.end() if measure else (math.nan, math.nan)
        return Update(loss=loss, gradient_norm=norm, alignment=aligned, motion=motion)

    def pass_by(self) -> float | None:
        """One step where it is quick to tell that all is well; gives the gradient's norm.

        None, and nothing done, where it is not.
        """
        if self._clip is not None or self._alignment is not None:
            return None
        norm = self._norms.pass_by()
        if norm is not None:
            self._optimizer.step()
        return norm

    def _stepped(self, scaler: torch.amp.GradScaler | None, scale: float) -> bool:
        if scaler is None:
            self._optimizer.step()
            return True
        scaler.step(self._optimizer)
        scaler.update()
        return scaler.get_scale() >= scale

    def _aligned(self, norm: float) -> tuple[float, float]:
        """Read before the step: some optimizers write over the gradients."""
        return (math.nan, math.nan) if self._alignment is None else self._alignment.read(norm)

    def _norm(self) -> float:
        if self._clip is None:
            return self._norms.read()
        norm = global_norm(self._parameters)
        nn.utils.clip_grads_with_norm_(self._parameters, self._clip, norm)
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        """What was measured last, and the gradient before."""
        aligned = None if self._alignment is None else self._alignment.state_dict()
        return {"norms": self._norms.state_dict(), "alignment": aligned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._norms.load_state_dict(state["norms"])
        if self._alignment is not None and state["alignment"] is not None:
            self._alignment.load_state_dict(state["alignment"])
