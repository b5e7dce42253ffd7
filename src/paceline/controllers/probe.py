"""Reads the learning rate off the weights: the first steps are measured, the rest follows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, variance
from typing import Any, final

from paceline.controllers.base import Controller
from paceline.controllers.base.foretell import MOST, foretell
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Move, Reading, Steer

TRIALS = (1.0, 1e-6, 1e6)
SOUND = (1e-5, 1e5)  # of a change relative to the weights: what single precision can measure
REFERENCE_STEPS, HORIZON_POWER = 500.0, 1 / 3
OPEN_STEPS = 2000.0
LEAST_FOR_BETA2 = 400  # under so many steps a shorter memory harms
MEMORIES = 10.0  # of second moments, that fit into a budget
LEAST_STEPS = 5  # in a budget of fewer, a step for a trial and one to look back are too many
MEASUREMENTS = 200
FORGOTTEN = 1 / 3
LATEST_SHARE, LEAST_LATEST = 0.2, 5
FIRST, LOOK_EVERY, RECENT, MOST_RECENT = 6, 0.12, 0.04, 40
RISEN, BLOWN, ERRORS, CUT = 1.75, 4.0, 3.0, 0.2
MOST_CUTS, BORN, DEAD_UNTIL, FOLLOW_AGAIN = 4, 12, 0.35, 0.1


@final
class Probe(Controller):
    """Keeps the size of a step, relative to the weights, where it is known to be best.

    Over many tasks and all of torch's optimizers the best rates differ by five decades, and
    yet in early training they make the same relative step: with u_t as the change of the
    weights w at a rate of one and β as the coefficient of the first moment,

        η = r · (500 / T)^⅓ · sqrt((1 - β) / (1 + β)) · |w| / mean |u_t|,    r = 0.08.

    Successive changes of a first moment are alike, hence the root: the same drift needs
    smaller steps. The mean is that of all but the oldest third or of the newest fifth, the
    larger one: gradients that grow count at once. The first step is a trial at a rate of
    one, taken back when it has been measured; then the rate warms up, follows the
    measurements until a quarter of the budget, stays until ``hold``, and falls in a straight
    line to zero. The optimizer's own rate is used only where nothing can be measured, and in
    budgets of fewer than five steps, which are not tried out. In a run without an end the
    rate stays.

    Weights that were trained before want smaller steps than the law's. So until ``follow``
    it looks twice whether the loss stands at 1.75 times what it began with, by more than
    three standard errors (and until the first look whether a single loss is four times as
    high); then it goes back to the first weights and takes a fifth of the rate. A smaller
    rise is borne: noise that a high rate makes is gone when the rate has fallen. Until a
    share of 0.35 it does the same where a layer that had gradients has none any more
    (``dead_layers``): that is a rate too high of which the loss tells nothing.
    When another controller tells that the data changed (``shifts``), the schedule begins
    again.

    Adam's second moments are given a memory that fits a short run: β2 = 1 − 10 / T, at most
    0.999, in budgets of 400 steps or more, where it was left at 0.999 (docs/decisions/0004).

    Args:
        learning_rate: The hint.
        relative_step: r, over 0.
        warmup: Share of the budget in which the rate rises, 0 to under ``follow``.
        follow: Share in which it follows the measurements, over 0, at most ``hold``.
        hold: Share at which the fall begins, under 1.
        look_back: Whether it looks back, at most four times; not where the loss is meant to
            rise, as in a generative adversarial network.
        set_beta2: Whether it sets β2.

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
    0.4
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        relative_step: float = 0.08,
        warmup: float = 0.05,
        follow: float = 0.25,
        hold: float = 0.6,
        look_back: bool = True,
        set_beta2: bool = True,
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
        self.follow, self.hold, self.look_back = follow, hold, look_back
        self.set_beta2 = set_beta2
        self.peak = float(learning_rate)
        self._trial = 0  # of TRIALS; past its end: measured, or it cannot be
        self._measured: list[float] = []
        self._restores = False
        self._origin, self._shifts = 0.0, 0.0
        self._cut, self._risen_from, self._looks = 1.0, 0, 0
        self._forgotten = False
        self._first: list[float] = []
        self._recent: list[float] = []
        self._lives: bool | None = None  # whether all layers did; False: some never have
        self._follows_until = 0.0

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
                beta2=self._beta2(seen),
            )
        measure = self._follows(seen)
        most = 1 if back or measure else self._unmeasured(seen)
        holds, rates = foretell(seen, lambda step, done: self._rate(seen, step, done), most)
        return Steer(
            learning_rate=self._rate(seen, seen.step, seen.progress),
            moves=back or self._farewell(seen),
            measure=measure,
            reason=self._reason(seen),
            holds=holds,
            rates=rates,
            alarm=self._most() if self._looks == 0 < self._looks_in_all else math.inf,
            beta2=self._beta2(seen),
        )

    def _beta2(self, seen: Reading) -> float | None:
        """The decay of second moments for a budget of so many steps; None leaves it."""
        steps = seen.total_steps
        if not self.set_beta2 or steps is None or steps < LEAST_FOR_BETA2:
            return None
        return min(0.999, 1 - MEMORIES / steps)

    def _rate(self, seen: Reading, step: int, progress: float) -> float:
        return self.peak * (self._warm(seen, step) * self._decay(progress))

    def _most(self) -> float:
        """A loss over this has blown up; at first it is held against that of the first weights."""
        if not self._first:
            return math.inf
        few = len(self._first) < FIRST
        return BLOWN * abs(self._first[0] if few else fmean(self._first))

    def _unmeasured(self, seen: Reading) -> int:
        """Steps until the next that is measured, or until another reason is given."""
        if not self._is_early(seen):
            steps = seen.expected_steps or OPEN_STEPS
            falls = self._origin + (1 - self._origin) * self.hold
            left = (falls - seen.progress) * steps if seen.progress < falls else MOST
            return max(1, min(MOST, math.ceil(left)))
        every = self._every(seen)
        return min(MOST, every - seen.step % every)

    def _farewell(self, seen: Reading) -> tuple[Move, ...]:
        """The first weights are let go when they are no longer looked back to."""
        over = self._looks >= self._looks_in_all and seen.progress > DEAD_UNTIL
        over = not self._forgotten and (over or not self.look_back)
        return (Move("forget", "start"),) if over and seen.remembers else ()

    def _tries(self, seen: Reading) -> bool:
        return seen.remembers and self._trial < len(TRIALS) and not _is_too_short(seen)

    def _follows(self, seen: Reading) -> bool:
        """Whether this step is measured: all at first, some two hundred in a long run."""
        early = self._is_early(seen) and not _is_too_short(seen)
        return early and seen.step % self._every(seen) == 0

    def _is_early(self, seen: Reading) -> bool:
        steps = seen.expected_steps or OPEN_STEPS
        first = seen.step < self.follow * steps and seen.progress < self.follow
        return first or seen.progress < self._follows_until

    def _every(self, seen: Reading) -> int:
        return max(1, int(self.follow * (seen.expected_steps or OPEN_STEPS) / MEASUREMENTS))

    def _warm(self, seen: Reading, step: int | None = None) -> float:
        steps = seen.expected_steps or OPEN_STEPS
        since = (seen.step if step is None else step) - self._risen_from
        return min(1.0, (since + 1) / max(self.warmup * steps, 1.0))

    def _decay(self, progress: float) -> float:
        left = 1 - max(progress - self._origin, 0.0) / max(1 - self._origin, 1e-9)
        return max(min(1.0, left / (1 - self.hold)), 0.0)

    def _reason(self, seen: Reading) -> str:
        if _is_too_short(seen):
            return f"too few steps for a trial: falls from the given {self.peak:.3g}"
        if not self._measured and self._cut == 1:
            return f"nothing could be measured: falls from the given {self.peak:.3g}"
        if self._origin > 0:
            return "the data changed: begins the schedule again"
        if self._warm(seen) < 1 and self._cut < 1:
            why = "layers died" if self._follows_until else "the loss rose over where it began"
            return f"{why}: first weights, {self._cut:.2g} of the rate"
        if self._warm(seen) < 1:
            beta2 = self._beta2(seen)
            along = "" if beta2 is None else f"; second moments, if any, decay by {beta2:.4g}"
            return f"warms up to the rate that the steps' size asks for{along}"
        if self._is_early(seen):
            return "follows the size of the steps"
        if self._decay(seen.progress) >= 1:
            return f"stays at {self.peak:.3g}"
        return f"falls from {self.peak:.3g} in a straight line"

    # --- learn

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        self._restores, self._forgotten = False, self._forgotten or self._farewell(seen) != ()
        norm = outcome.values.get("parameter_norm", NAN)
        change = outcome.values.get("update_norm", NAN)
        if choice.probing:
            self._tried(TRIALS[self._trial], norm, change, outcome)
            self._first = self._first or _finite([outcome.values.get("loss", NAN)])
        elif choice.measure and self._follows_from(choice, change):
            assert choice.learning_rate is not None
            rate = outcome.values.get("learning_rate", choice.learning_rate)
            self._take(norm, change / rate, outcome)
        if not choice.probing and self.look_back and not self._look_at_layers(outcome):
            self._look_back(outcome)
        shifts = outcome.values.get("shifts", 0.0)
        if shifts > self._shifts:
            self._shifts, self._origin = shifts, outcome.progress
            self._risen_from = outcome.step

    def _look_at_layers(self, outcome: Reading) -> bool:
        """Whether layers died since the first steps; if so, back to the first weights."""
        dead = outcome.values.get("dead_layers")
        if dead is None or outcome.progress > DEAD_UNTIL or self._lives is False:
            return False
        if self._lives is None:
            if dead and outcome.step <= BORN:
                self._lives = False  # the first weights are no better
            elif not dead and outcome.step >= BORN:
                self._lives = True
            return False
        if not dead:
            return False
        self._lives = None
        self._follows_until = outcome.progress + FOLLOW_AGAIN
        self._go_back(outcome)
        return True

    def _look_back(self, outcome: Reading) -> None:
        """Whether the loss stands above where it began; if so, back to the first weights."""
        if self._looks >= self._looks_in_all:
            return
        losses = _finite([*outcome.earlier, outcome.values.get("loss", NAN)])
        if not losses:
            return
        if self._looks == 0 and losses[-1] > self._most():
            self._first = self._first[: FIRST if len(self._first) == FIRST else 1]
            self._go_back(outcome)
            return
        wanting = FIRST - len(self._first)
        self._first += losses[:wanting]
        steps = outcome.expected_steps or OPEN_STEPS
        length = int(min(max(RECENT * steps, FIRST), MOST_RECENT))
        self._recent = [*self._recent, *losses[wanting:]][-length:]
        if outcome.step < LOOK_EVERY * (self._looks + 1) * steps or len(self._recent) < length:
            return
        self._looks += 1
        if _stands_above(self._recent, self._first):
            self._go_back(outcome)

    def _go_back(self, outcome: Reading) -> None:
        if self._cut < 1.5 * CUT**MOST_CUTS:
            return
        self._cut *= CUT
        self.peak *= CUT
        self._restores, self._risen_from, self._recent = True, outcome.step, []
        self._measured.clear()

    @property
    def _looks_in_all(self) -> int:
        return int(self.follow / LOOK_EVERY) if self.look_back else 0

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
        count = len(self._measured)
        recent = self._measured[int(FORGOTTEN * count) :]
        latest = self._measured[-max(LEAST_LATEST, int(LATEST_SHARE * count)) :]
        self.peak = self._aim(outcome) * norm / max(fmean(recent), fmean(latest))

    def _aim(self, outcome: Reading) -> float:
        steps = outcome.expected_steps or OPEN_STEPS
        momentum = min(max(outcome.values.get("momentum", 0.0), 0.0), 0.999)
        along = math.sqrt((1 - momentum) / (1 + momentum))
        horizon: float = (REFERENCE_STEPS / steps) ** HORIZON_POWER
        return self.relative_step * horizon * along * self._cut

    # --- state

    def state_dict(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "trial": self._trial,
            "measured": list(self._measured),
            "restores": self._restores,
            "origin": self._origin,
            "shifts": self._shifts,
            "cut": self._cut,
            "risen_from": self._risen_from,
            "looks": self._looks,
            "forgotten": self._forgotten,
            "first": list(self._first),
            "recent": list(self._recent),
            "lives": self._lives,
            "follows_until": self._follows_until,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.peak, self._trial = state["peak"], state["trial"]
        self._measured, self._restores = list(state["measured"]), state["restores"]
        self._origin, self._shifts = state["origin"], state["shifts"]
        self._cut, self._risen_from = state["cut"], state["risen_from"]
        self._looks, self._forgotten = state["looks"], state["forgotten"]
        self._first, self._recent = list(state["first"]), list(state["recent"])
        self._lives, self._follows_until = state["lives"], state["follows_until"]


def _is_too_short(seen: Reading) -> bool:
    return seen.total_steps is not None and seen.total_steps < LEAST_STEPS


def _finite(losses: list[float]) -> list[float]:
    return [loss for loss in losses if math.isfinite(loss)]


def _stands_above(recent: list[float], first: list[float]) -> bool:
    """Whether the mean of the one is far over that of the other, and not by chance.

    >>> _stands_above([2.0, 2.1, 1.9, 2.0], [1.0, 1.1, 0.9]), _stands_above([1.3, 1.2], [1.1, 1.0])
    (True, False)
    """
    error = math.sqrt(variance(recent) / len(recent) + variance(first) / len(first))
    began = fmean(first)
    return fmean(recent) - began > max(ERRORS * error, (RISEN - 1) * abs(began))
