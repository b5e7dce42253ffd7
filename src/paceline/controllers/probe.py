"""Reads the learning rate off the weights: the first steps are measured, the rest follows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from paceline.controllers.base import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Move, Reading, Steer

TRIALS = (1.0, 1e-6, 1e6)
SOUND = (1e-5, 1e5)  # of a change relative to the weights: what single precision can measure
REFERENCE_STEPS, HORIZON_POWER = 500.0, 0.25
OPEN_STEPS = 2000.0
MEASUREMENTS = 200
FORGOTTEN = 1 / 3
RISE_AGAIN, RISE_FROM = 0.03, 0.3


@final
class Probe(Controller):
    """Keeps the size of a step, relative to the weights, where it is known to be best.

    Over many tasks and all of torch's optimizers the best rates differ by five decades, and
    yet in early training they make the same relative step: with u_t as the change of the
    weights w at a rate of one and β as the coefficient of the first moment,

        η = r · (500 / T)^¼ · sqrt((1 - β) / (1 + β)) · |w| / mean |u_t|,    r = 0.075.

    Successive changes of a first moment are alike, hence the root: the same drift needs
    smaller steps. The first step is a trial at a rate of one, taken back when it has been
    measured; then the rate warms up, follows the measurements until a quarter of the budget,
    stays until ``hold``, and falls in a straight line to zero. The optimizer's own rate is
    used only where nothing can be measured. In a run without an end the rate stays.

    When another controller tells that the data changed (``shifts``), the schedule begins
    again.

    Args:
        learning_rate: The hint.
        relative_step: r, over 0.
        warmup: Share of the budget in which the rate rises, 0 to under ``follow``.
        follow: Share in which it follows the measurements, over 0, at most ``hold``.
        hold: Share at which the fall begins, under 1.

    Reference: r, the powers and the shares were fitted on the six development workloads of
    ``benchmarks/workloads.py`` and tried on the others; that relative steps are alike across
    optimizers is the observation behind LARS (You et al. 2017) and Fromage (Bernstein et al.
    2020, "On the distance between two neural networks").

    >>> probe = Probe(1.0)
    >>> first = Reading(step=0, progress=0.0, total_steps=500)
    >>> steer = probe.decide(first)
    >>> steer.learning_rate, steer.measure, steer.probing
    (1.0, True, True)
    >>> probe.learn(first, steer, Reading(step=1, progress=0.002, total_steps=500,
    ...     values={"parameter_norm": 10.0, "update_norm": 2.0}))
    >>> round(probe.peak, 4)
    0.375
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        relative_step: float = 0.075,
        warmup: float = 0.05,
        follow: float = 0.25,
        hold: float = 0.6,
    ) -> None:
        super().__init__(learning_rate)
        if not 0 < relative_step < math.inf:
            raise SettingError(f"relative_step must be over 0, got {relative_step:g}")
        if not 0 <= warmup < follow <= hold < 1:
            raise SettingError(
                "warmup, follow and hold must rise from at least 0 to under 1, got"
                f" {warmup:g}, {follow:g}, {hold:g}"
            )
        self.relative_step, self.warmup = relative_step, warmup
        self.follow, self.hold = follow, hold
        self.peak = float(learning_rate)
        self._trial = 0  # of TRIALS; past its end: measured, or it cannot be
        self._measured: list[float] = []
        self._restores = False
        self._origin, self._shifts = 0.0, 0.0

    # --- decide

    def decide(self, seen: Reading) -> Steer:
        back = (Move("restore", "start"),) if self._restores and seen.remembers else ()
        if self._tries(seen):
            return Steer(
                learning_rate=TRIALS[self._trial],
                batch=seen.batch,
                moves=back or (Move("keep", "start"),),
                measure=True,
                probing=True,
                reason="measures a step at a rate of one",
            )
        share = self._warm(seen) * self._decay(seen.progress)
        return Steer(
            learning_rate=self.peak * share,
            moves=(*back, Move("forget", "start")) if back else (),
            measure=self._follows(seen),
            reason=self._reason(seen),
        )

    def _tries(self, seen: Reading) -> bool:
        return seen.remembers and self._trial < len(TRIALS)

    def _follows(self, seen: Reading) -> bool:
        """Whether this step is measured: all at first, some two hundred in a long run."""
        steps = seen.expected_steps or OPEN_STEPS
        if seen.step >= self.follow * steps or seen.progress >= self.follow:
            return False
        return seen.step % max(1, int(self.follow * steps / MEASUREMENTS)) == 0

    def _warm(self, seen: Reading) -> float:
        steps = seen.expected_steps or OPEN_STEPS
        if self._origin > 0:
            risen = (seen.progress - self._origin) / RISE_AGAIN
            return min(1.0, RISE_FROM + (1 - RISE_FROM) * risen)
        return min(1.0, (seen.step + 1) / max(self.warmup * steps, 1.0))

    def _decay(self, progress: float) -> float:
        left = 1 - max(progress - self._origin, 0.0) / max(1 - self._origin, 1e-9)
        return max(min(1.0, left / (1 - self.hold)), 0.0)

    def _reason(self, seen: Reading) -> str:
        if not self._measured:
            return f"nothing could be measured: falls from the given {self.peak:.3g}"
        if self._origin > 0:
            return "the data changed: begins the schedule again"
        if self._warm(seen) < 1:
            return "warms up to the rate that the steps' size asks for"
        if seen.progress < self.follow:
            return "follows the size of the steps"
        if self._decay(seen.progress) >= 1:
            return f"stays at {self.peak:.3g}"
        return f"falls from {self.peak:.3g} in a straight line"

    # --- learn

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        self._restores = False
        norm = outcome.values.get("parameter_norm", NAN)
        change = outcome.values.get("update_norm", NAN)
        if choice.probing:
            self._tried(TRIALS[self._trial], norm, change, outcome)
        elif choice.measure and self._follows_from(choice, change):
            assert choice.learning_rate is not None
            rate = outcome.values.get("learning_rate", choice.learning_rate)
            self._take(norm, change / rate, outcome)
        shifts = outcome.values.get("shifts", 0.0)
        if shifts > self._shifts:
            self._shifts, self._origin = shifts, outcome.progress

    def _follows_from(self, choice: Steer, change: float) -> bool:
        return bool(choice.learning_rate) and math.isfinite(change) and change > 0

    def _tried(self, rate: float, norm: float, change: float, outcome: Reading) -> None:
        self._restores = True
        low, high = (bound * norm for bound in SOUND)
        if math.isfinite(change) and math.isfinite(norm) and low <= change <= high:
            self._trial = len(TRIALS)
            self._take(norm, change / rate, outcome)
        else:
            self._trial += 1

    def _take(self, norm: float, change: float, outcome: Reading) -> None:
        """Takes in |w| and |u|, and sets the rate by all that was measured but the oldest."""
        if not (math.isfinite(norm) and norm > 0):
            return
        self._measured.append(change)
        recent = self._measured[int(FORGOTTEN * len(self._measured)) :]
        self.peak = self._aim(outcome) * norm * len(recent) / sum(recent)

    def _aim(self, outcome: Reading) -> float:
        steps = outcome.expected_steps or OPEN_STEPS
        momentum = min(max(outcome.values.get("momentum", 0.0), 0.0), 0.999)
        along = math.sqrt((1 - momentum) / (1 + momentum))
        horizon: float = (REFERENCE_STEPS / steps) ** HORIZON_POWER
        return self.relative_step * horizon * along

    # --- state

    def state_dict(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "trial": self._trial,
            "measured": list(self._measured),
            "restores": self._restores,
            "origin": self._origin,
            "shifts": self._shifts,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.peak, self._trial = state["peak"], state["trial"]
        self._measured, self._restores = list(state["measured"]), state["restores"]
        self._origin, self._shifts = state["origin"], state["shifts"]
