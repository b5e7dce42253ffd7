"""Finds the learning rate by short trials inside the run, then lets it fall to zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any, final

from paceline.controllers.base import Controller
from paceline.controllers.base.race import Race, race, sweep, vertex
from paceline.controllers.base.trials import DIVERGED, Script
from paceline.core.errors import SettingError
from paceline.core.readings import Move, Reading, Steer

OPEN_STEPS = 2000.0
SHORTEST = 60.0
_FIRST = 5


@final
class SweepRace(Controller):
    """Sweeps the rate on one batch, races short forks, and falls linearly to zero.

    The optimizer's own rate is only a hint. All trials are paid from the budget; the
    winner's steps are kept.

    Args:
        learning_rate: The hint; used where the budget is too short for trials.
        race_at: Share of the budget at which the race is run, over 0 and under 1.
        fork: Share of the budget that one fork takes, over 0 and under 0.5.
        ratio: Between the rates that race, over 1.
        boost: What the winner is multiplied by: short trials choose too low.
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        race_at: float = 0.06,
        fork: float = 0.04,
        ratio: float = 3.0,
        boost: float = 1.5,
    ) -> None:
        super().__init__(learning_rate)
        for name, value, least, most in (
            ("race_at", race_at, 0.0, 1.0),
            ("fork", fork, 0.0, 0.5),
            ("ratio", ratio, 1.0, 100.0),
            ("boost", boost, 0.0, 100.0),
        ):
            if not least < value < most:
                raise SettingError(
                    f"{name} must be over {least:g} and under {most:g}, got {value:g}"
                )
        self.race_at, self.fork, self.ratio, self.boost = race_at, fork, ratio, boost
        self._phase = "new"
        self._sweep: Script[float] | None = None
        self._race: Script[Race] | None = None
        self._moves: tuple[Move, ...] = ()
        self._peak = float(learning_rate)
        self._ramp_from, self._origin, self._shifts = 0, 0.0, 0.0
        self._first: list[float] = []
        self._promise = DIVERGED
        self._check: list[float] | None = None

    # --- decide

    def decide(self, seen: Reading) -> Steer:
        script = self._script(seen)
        if script is not None:
            steer = script.steer
            return replace(
                steer,
                batch=steer.batch if seen.replays else None,
                moves=(*self._moves, *steer.moves),
            )
        rate = self._peak * self._left(seen.progress) * self._ramp(seen)
        return Steer(learning_rate=rate, moves=self._moves, reason=self._reason())

    def _script(self, seen: Reading) -> Script[float] | Script[Race] | None:
        if self._phase == "new" and _can_probe(seen):
            return Script(sweep, {"steps": _sweep_steps(seen), "batch": seen.batch})
        return self._sweep or self._race

    def _left(self, progress: float) -> float:
        return 1 - min(max((progress - self._origin) / (1 - self._origin), 0.0), 1.0)

    def _ramp(self, seen: Reading) -> float:
        whole = seen.expected_steps or OPEN_STEPS
        since = seen.step - self._ramp_from
        if self._phase == "main":
            return min(1.0, 0.3 + 0.7 * (since + 1) / max(int(0.03 * whole), 1))
        return min(1.0, 0.02 + since / (0.05 * whole))

    def _reason(self) -> str:
        if self._phase == "main":
            return f"linear decay from {self._peak:.3g}"
        return f"warm-up to {self._peak:.3g}"

    # --- learn

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        loss = outcome.values.get("loss", math.nan)
        if self._phase == "new":
            self._begin(seen)
        self._moves = ()
        if self._sweep is not None:
            if self._sweep.hear(loss):
                self._swept(outcome)
        elif self._race is not None:
            if self._race.hear(loss):
                self._raced(outcome)
        else:
            self._took_a_step(loss, outcome)

    def _begin(self, seen: Reading) -> None:
        if _can_probe(seen):
            self._sweep = Script(sweep, {"steps": _sweep_steps(seen), "batch": seen.batch})
            self._phase = "sweep"
        else:
            self._phase = "plain"

    def _swept(self, outcome: Reading) -> None:
        assert self._sweep is not None and self._sweep.result is not None
        self._peak = 0.15 * self._sweep.result
        self._sweep, self._phase, self._ramp_from = None, "warm", outcome.step
        self._moves = (Move("restore", "sweep"), Move("forget", "sweep"))

    def _took_a_step(self, loss: float, outcome: Reading) -> None:
        if len(self._first) < _FIRST and math.isfinite(loss):
            self._first.append(loss)
        shifts = outcome.values.get("shifts", 0.0)
        if shifts > self._shifts:
            self._shifts, self._origin, self._ramp_from = shifts, outcome.progress, outcome.step
        if self._check is not None:
            self._look_back(loss, outcome)
        if self._phase == "warm" and self._is_time(outcome):
            steps = int(min(max(self.fork * (outcome.expected_steps or OPEN_STEPS), 16), 80))
            rate = self._peak * self._left(outcome.progress)
            self._race = Script(
                race, {"rate": rate, "steps": steps, "batch": outcome.batch, "ratio": self.ratio}
            )

    def _is_time(self, outcome: Reading) -> bool:
        if outcome.expected_steps is None:
            return outcome.step >= self.race_at * OPEN_STEPS
        return outcome.progress >= self.race_at

    def _raced(self, outcome: Reading) -> None:
        assert self._race is not None and self._race.result is not None
        won = self._race.result
        shift = self.ratio ** vertex(won.scores, won.rate, self.ratio)
        start = float(self._race.arguments["rate"])
        self._peak = won.rate * self._peak / start * self.boost * shift
        self._race, self._phase, self._ramp_from = None, "main", outcome.step
        self._promise, self._check = min(won.scores.values()), []
        self._moves = (
            Move("restore", "won"),
            Move("forget", "start"),
            Move("keep", "won"),
        )

    def _look_back(self, loss: float, outcome: Reading) -> None:
        """Once: has the run come to what its own short fork had come to?"""
        assert self._check is not None
        self._check.append(min(loss, DIVERGED) if math.isfinite(loss) else DIVERGED)
        length = max(int(0.08 * (outcome.expected_steps or OPEN_STEPS)), 12)
        if len(self._check) < length:
            return
        gain = max(fmean(self._first) - self._promise, 0.0)
        if fmean(self._check[-(length // 2) :]) > self._promise + 0.15 * gain:
            self._peak *= 0.3
            self._moves = (Move("restore", "won"), Move("forget", "won"))
        else:
            self._moves = (Move("forget", "won"),)
        self._check = None

    # --- state

    def state_dict(self) -> dict[str, Any]:
        return {
            "phase": self._phase,
            "sweep": self._sweep and self._sweep.state_dict(),
            "race": self._race and self._race.state_dict(),
            "moves": [list(move) for move in self._moves],
            "peak": self._peak,
            "ramp_from": self._ramp_from,
            "origin": self._origin,
            "shifts": self._shifts,
            "first": list(self._first),
            "promise": self._promise,
            "check": None if self._check is None else list(self._check),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._phase, self._peak = state["phase"], state["peak"]
        self._sweep = state["sweep"] and Script.load(sweep, state["sweep"])
        self._race = state["race"] and Script.load(race, state["race"])
        self._moves = tuple(Move(*move) for move in state["moves"])
        self._ramp_from, self._origin = state["ramp_from"], state["origin"]
        self._shifts, self._first = state["shifts"], list(state["first"])
        self._promise = state["promise"]
        self._check = None if state["check"] is None else list(state["check"])


def _can_probe(seen: Reading) -> bool:
    steps = seen.expected_steps
    return seen.remembers and (steps is None or steps >= SHORTEST)


def _sweep_steps(seen: Reading) -> int:
    return int(min(max(0.04 * (seen.expected_steps or 500.0), 16), 30))
