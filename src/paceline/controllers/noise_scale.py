"""The batch as large as the gradient's noise makes it worth, the rate along with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, final

from paceline.controllers.base import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

_REVERTS = 2  # after so many it switches itself off
_GAIN = 0.05


@final
class NoiseScale(Controller):
    """Stands beside another: doubles or halves the batch until it is near the noise scale.

    Below the noise scale, twice the examples nearly halve the steps that are needed; above
    it they hardly help. The batch doubles where even the double is below ``share`` times
    the scale, and halves where even the half is above it. It goes by powers of two of the
    first batch, by one at a time, never under the first batch. The rate follows by what
    the updates are really made of: a loop that keeps its batch keeps its rate.

    A change that leaves the smoothed loss higher than before, by more than the deviation
    of a single batch, is taken back when its cool-down is over; after two of those the
    controller switches itself off.

    Hears ``noise_scale_examples`` and ``update_examples`` (of the monitor of this name),
    ``loss``, ``loss_smooth``, ``probing`` and ``adaptive``.

    Args:
        learning_rate: The optimizer's own; it has no effect.
        rule: How the rate follows the batch: ``linear`` (with plain gradient descent),
            ``sqrt`` (with optimizers that divide by the gradient's size), ``auto`` (by
            the optimizer's kind).
        share: Of the noise scale that the batch should have, over 0.
        most: The largest multiple of the first batch, at least 1.
        cooldown: Steps from one change to the next, at least 1.

    Reference: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training",
    section 2.2; Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient
    Algorithms", for the root.

    >>> noise = NoiseScale(0.1, cooldown=1)
    >>> values = {"noise_scale_examples": 512.0, "update_examples": 64.0, "adaptive": 1.0}
    >>> for step in range(6):
    ...     heard = Reading(step=step, progress=0.0, values=values)
    ...     steer = noise.decide(heard)
    ...     noise.learn(heard, steer, heard)
    ...     values["update_examples"] = float(steer.batch_size or 64)
    >>> steer.batch_size, steer.factor
    (256, 2.0)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"gradient_product"})

    def __init__(
        self,
        learning_rate: float,
        *,
        rule: Literal["auto", "sqrt", "linear"] = "auto",
        share: float = 1.0,
        most: int = 16,
        cooldown: int = 50,
    ) -> None:
        super().__init__(learning_rate)
        if rule not in ("auto", "sqrt", "linear"):
            raise SettingError(f"rule must be auto, sqrt or linear, got {rule!r}")
        if not 0 < share < float("inf"):
            raise SettingError(f"share must be over 0 and finite, got {share:g}")
        for name, value in (("most", most), ("cooldown", cooldown)):
            if not value >= 1:
                raise SettingError(f"{name} must be at least 1, got {value}")
        self.rule, self.share, self.most, self.cooldown = rule, float(share), most, cooldown
        self._base = 0.0  # examples of the first updates
        self._power, self._from = 0, 0  # now, and before the last change
        self._since: int | None = None  # when the last change was
        self._before: float | None = None  # the loss then, until the change is judged
        self._deviation, self._heard = 0.0, 0
        self._reverts = 0
        self._reason = ""

    def decide(self, seen: Reading) -> Steer:
        power, reason = self._next(seen)
        if not reason:
            return Steer()
        done = self._done(seen, power)
        linear = self.rule == "linear" or (
            self.rule == "auto" and seen.values.get("adaptive", 1.0) == 0.0
        )
        return Steer(
            factor=2.0**done if linear else 2.0 ** (done / 2),
            batch_size=round(self._base * 2**power),
            reason=reason,
            told={"batch_multiple": float(2**done)},
        )

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        power, reason = self._next(seen)
        if reason != self._reason:
            taken_back = self._got_worse(seen)
            self._reverts += taken_back
            self._before = None if taken_back else _finite(seen, "loss_smooth")
            self._from, self._power, self._reason = self._power, power, reason
            self._since = seen.step
        elif self._is_due(seen):
            self._before = None  # it was judged, and may stay
        if self._since is None:
            self._base = max(self._base, outcome.values.get("update_examples", 0.0))
        loss, smooth = _finite(outcome, "loss"), _finite(outcome, "loss_smooth")
        if loss is not None and smooth is not None and not outcome.values.get("probing"):
            self._heard += 1
            gain = max(_GAIN, 1 / self._heard)
            self._deviation += gain * (abs(loss - smooth) - self._deviation)

    def state_dict(self) -> dict[str, Any]:
        return {
            "base": self._base,
            "power": self._power,
            "from": self._from,
            "since": self._since,
            "before": self._before,
            "deviation": self._deviation,
            "heard": self._heard,
            "reverts": self._reverts,
            "reason": self._reason,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._base, self._power, self._from = state["base"], state["power"], state["from"]
        self._since, self._before = state["since"], state["before"]
        self._deviation, self._heard = state["deviation"], state["heard"]
        self._reverts, self._reason = state["reverts"], state["reason"]

    def _next(self, seen: Reading) -> tuple[int, str]:
        """The power of two for the next step, and why; a new reason is a change."""
        if not self._is_due(seen):
            return self._power, self._reason
        if self._got_worse(seen):
            last = self._reverts + 1 >= _REVERTS
            return self._from, (
                f"batch back to {2**self._from} times the first: the loss got worse, time"
                f" {self._reverts + 1}{'; no more changes' if last else ''}"
            )
        scale = _finite(seen, "noise_scale_examples")
        if scale is None or not self._base > 0 or self._reverts >= _REVERTS:
            return self._power, self._reason
        wanted = self.share * scale / self._base
        power = self._power
        if wanted > 2 ** (power + 1) and 2 ** (power + 1) <= self.most:
            power += 1
        elif wanted < 2 ** (power - 1) and power > 0:
            power -= 1
        if power == self._power:
            return power, self._reason
        return power, f"batch {2**power} times the first: nearer to the gradient's noise scale"

    def _is_due(self, seen: Reading) -> bool:
        """Whether a change may be made or judged now."""
        resting = self._since is not None and seen.step - self._since < self.cooldown
        return not resting and not seen.values.get("probing")

    def _got_worse(self, seen: Reading) -> bool:
        """Whether the loss is higher than before the last change by more than its noise."""
        loss = _finite(seen, "loss_smooth")
        if self._before is None or loss is None:
            return False
        return loss > self._before + self._deviation

    def _done(self, seen: Reading, power: int) -> int:
        """The power of two that the last update was really made of, at most ``power``."""
        examples = _finite(seen, "update_examples")
        if examples is None or not examples > 0:
            return 0
        return min(max(round(math.log2(examples / self._base)), 0), power)


def _finite(reading: Reading, name: str) -> float | None:
    value = reading.values.get(name)
    return value if value is not None and math.isfinite(value) else None
