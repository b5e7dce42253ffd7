"""The loss, smoothed, and which way it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

from paceline.core.errors import SettingError
from paceline.core.readings import Glimpse
from paceline.monitors.base import Monitor


@final
class LossTrend(Monitor):
    """Exponential averages of the loss over a short and a long memory.

    Both are corrected for their start (Kingma & Ba 2015, section 3). Losses that are
    not finite are counted and left out of the averages.

    Args:
        memory: Steps that the short average remembers; the long one remembers ten times
            as many.

    >>> trend = LossTrend(memory=2.0)
    >>> step = dict(examples=1, elapsed_seconds=0.0, gradient_norm=1.0, learning_rate=0.1)
    >>> _ = trend.read(Glimpse(step=1, loss=4.0, **step))
    >>> values = trend.read(Glimpse(step=2, loss=2.0, **step))
    >>> round(values["loss_smooth"], 3), round(values["loss_trend"], 3)
    (2.667, -0.308)
    """

    together: ClassVar[bool] = True

    def __init__(self, *, memory: float = 20.0) -> None:
        if not 1 <= memory < float("inf"):
            raise SettingError(f"memory must be at least 1 step, got {memory:g}")
        self._keep_short, self._keep_long = 1 - 1 / memory, 1 - 0.1 / memory
        self._short = self._long = 0.0
        self._steps = self._broken = 0

    def read(self, glimpse: Glimpse) -> dict[str, float]:
        for each in glimpse.earlier:
            self._take(each)
        loss = glimpse.loss
        if math.isfinite(loss):
            self._take(loss)
        else:
            self._broken += 1
        if not self._steps:
            return {"loss": loss, "broken_steps": float(self._broken)}
        short = self._short / (1 - self._keep_short**self._steps)
        long = self._long / (1 - self._keep_long**self._steps)
        return {
            "loss": loss,
            "loss_smooth": short,
            "loss_trend": short - long,
            "broken_steps": float(self._broken),
        }

    def _take(self, loss: float) -> None:
        self._steps += 1
        self._short += (1 - self._keep_short) * (loss - self._short)
        self._long += (1 - self._keep_long) * (loss - self._long)

    def state_dict(self) -> dict[str, Any]:
        return {
            "short": self._short,
            "long": self._long,
            "steps": self._steps,
            "broken": self._broken,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._short, self._long = state["short"], state["long"]
        self._steps, self._broken = state["steps"], state["broken"]
