"""How fast the training goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from paceline.core.errors import SettingError
from paceline.core.readings import Glimpse
from paceline.monitors.base import Monitor


@final
class Throughput(Monitor):
    """Examples in a second, over the last steps.

    Args:
        memory: Steps that the exponential average remembers.

    >>> speed = Throughput()
    >>> step = dict(examples=64, loss=1.0, gradient_norm=1.0, learning_rate=0.1)
    >>> speed.read(Glimpse(step=1, elapsed_seconds=1.0, **step))
    {}
    >>> speed.read(Glimpse(step=2, elapsed_seconds=1.5, **step))
    {'step_seconds': 0.5, 'examples_per_second': 128.0}
    """

    together: ClassVar[bool] = True

    def __init__(self, *, memory: float = 20.0) -> None:
        if not 1 <= memory < float("inf"):
            raise SettingError(f"memory must be at least 1 step, got {memory:g}")
        self._keep = 1 - 1 / memory
        self._last: float | None = None
        self._step_seconds: float | None = None

    def read(self, glimpse: Glimpse) -> dict[str, float]:
        last, self._last = self._last, glimpse.elapsed_seconds
        if last is None:
            return {}
        steps = len(glimpse.earlier) + 1
        seconds = max(glimpse.elapsed_seconds - last, 1e-9) / steps
        if self._step_seconds is None:
            self._step_seconds = seconds
        self._step_seconds += (1 - self._keep**steps) * (seconds - self._step_seconds)
        return {
            "step_seconds": self._step_seconds,
            "examples_per_second": glimpse.examples / self._step_seconds,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "step_seconds": self._step_seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._last, self._step_seconds = state["last"], state["step_seconds"]
