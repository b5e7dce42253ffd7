"""What the schedules among the controllers share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler

from paceline.controllers.base.controller import Controller
from paceline.controllers.base.foretell import MOST, foretell
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

TIME_GRID = 1000
AHEAD = 64  # steps that are worked out at once


class Schedule(Controller):
    """A learning rate that depends on nothing but the share of the budget that is spent.

    The curve is the one of a ``torch.optim.lr_scheduler``, after a linear warm-up. Where
    the budget is a number of steps it has exactly torch's values; where it is time, the
    curve is laid over the time that is left.

    Args:
        learning_rate: The highest value of the curve.
        warmup: Share of the budget in which the rate rises linearly from zero, 0 to
            under 1.
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.0) -> None:
        super().__init__(learning_rate)
        if not 0 <= warmup < 1:
            raise SettingError(f"warmup must be at least 0 and under 1, got {warmup:g}")
        self.warmup = float(warmup)
        self._curve: _Curve | None = None

    @abstractmethod
    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler:
        """Torch's scheduler over ``steps`` steps after the warm-up."""

    def decide(self, seen: Reading) -> Steer:
        steps = TIME_GRID if seen.total_steps is None else seen.total_steps

        def rate_at(step: int, progress: float) -> float:
            by_time = min(progress, 1.0) * TIME_GRID
            return self._rate_at(by_time if seen.total_steps is None else float(step), steps)

        most, reason = MOST, f"{type(self).__name__} schedule"
        if self._is_warming(seen, steps):
            most, reason = min(MOST, self._left_of_warmup(seen, steps)), "warm-up"
        holds, rates = foretell(seen, rate_at, most)
        rate = rate_at(seen.step, seen.progress)
        return Steer(learning_rate=rate, reason=reason, holds=holds, rates=rates)

    def _is_warming(self, seen: Reading, steps: int) -> bool:
        if seen.total_steps is None:
            return min(seen.progress, 1.0) * TIME_GRID < self.warmup * steps
        return seen.step < self.warmup * steps

    def _left_of_warmup(self, seen: Reading, steps: int) -> int:
        return 1 if seen.total_steps is None else math.ceil(self.warmup * steps) - seen.step

    def _rate_at(self, at: float, steps: int) -> float:
        warm = self.warmup * steps
        if at < warm:
            return self.learning_rate * (at + 1) / (warm + 1)
        whole = round(warm)
        return self._over(max(steps - whole, 1)).at(max(at - whole, 0.0))

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        """A schedule learns nothing."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A schedule has no state: its curve follows from its settings."""

    def _over(self, steps: int) -> _Curve:
        if self._curve is None or self._curve.steps != steps:
            self._curve = _Curve(self, steps)
        return self._curve


class _Curve:
    """A torch scheduler's learning rates, worked out as far as they are asked for."""

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.steps = steps
        self._optimizer = SGD([torch.zeros(1)], lr=schedule.learning_rate)
        self._scheduler = schedule.scheduler(self._optimizer, steps)
        self._optimizer.step()
        self._rates = [self._rate()]

    def at(self, position: float) -> float:
        below = min(int(position), self.steps)
        above = min(below + 1, self.steps)
        if len(self._rates) <= above:
            self._work_out(min(above + AHEAD, self.steps))
        last = len(self._rates) - 1
        low, high = self._rates[min(below, last)], self._rates[min(above, last)]
        return low + (position - int(position)) * (high - low)

    def _work_out(self, upto: int) -> None:
        while len(self._rates) < upto:
            self._scheduler.step()
            self._rates.append(self._rate())

    def _rate(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])
