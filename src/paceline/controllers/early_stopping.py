"""Ends the training where the validation loss lies still, as far as its noise lets one tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist, median
from typing import Any, final

from paceline.controllers.base import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Reading, Steer

LEAST_FOR_A_TREND, MOST_KEPT = 5, 200
TO_SIGMA = 1.4826 / math.sqrt(2)  # from the median size of differences, for normal noise
HELD = 16  # steps: it hears of validations alone, and those are told at once
WAITING = "the validation loss still falls, or may"


@final
class EarlyStopping(Controller):
    """Stops when the best validation loss stands, and nothing says that it will not.

    It sets no learning rate: it stands beside those who do. It stops where both are so:

    - for ``patience`` validations none was lower than the best before by more than the
      noise, which is 1.05 times the median distance of successive differences from their
      median;
    - over those validations, five at least, the Mann-Kendall test finds no fall: with ``S``
      the number of pairs that rise less the number that fall, among ``n`` values,

          z = (S ± 1) / √(n(n - 1)(2n + 5) / 18)  is not under the quantile of 1 - confidence.

    So neither does a single lucky validation prolong the run, nor does a slow descent under
    its noise end it. The loop puts the best weights back in any case. When the data changed
    (``shifts``) it begins anew.

    Hears ``validation_loss``, ``validations`` and ``shifts``.

    Args:
        learning_rate: Not used; every controller has one.
        patience: Validations, at least 1.
        after: Share of a budget that has an end, in which it never stops, 0 to 1: a rate
            that falls to zero brings the loss down at last.
        confidence: Of a fall, over 0.5 and under 1.
        most: Validations without a new best, noise or not, after which it stops whatever
            the trend says; at least ``patience``.

    >>> stopping = EarlyStopping(0.1, patience=3)
    >>> for count, loss in enumerate([3.0, 2.0, 1.5, 1.52, 1.49, 1.51, 1.5], start=1):
    ...     heard = Reading(step=count, progress=0.0,
    ...         values={"validation_loss": loss, "validations": count})
    ...     stopping.learn(heard, stopping.decide(heard), heard)
    >>> stopping.decide(heard).stop
    True

    Reference:
        Mann, Nonparametric tests against trend, Econometrica 13, 1945.
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        patience: int = 8,
        after: float = 0.5,
        confidence: float = 0.9,
        most: int = 100,
    ) -> None:
        super().__init__(learning_rate)
        if not 1 <= patience < math.inf:
            raise SettingError(f"patience must be at least 1, got {patience:g}")
        if not 0 <= after <= 1:
            raise SettingError(f"after must be from 0 to 1, got {after:g}")
        if not 0.5 < confidence < 1:
            raise SettingError(f"confidence must be over 0.5 and under 1, got {confidence:g}")
        if not patience <= most < math.inf:
            raise SettingError(f"most must be at least the patience of {patience}, got {most:g}")
        self.patience, self.after, self.confidence, self.most = patience, after, confidence, most
        self._losses: list[float] = []
        self._best, self._best_at, self._heard, self._shifts = math.inf, 0, 0, 0

    def decide(self, seen: Reading) -> Steer:
        if seen.progress < self.after and seen.expected_steps is not None:
            return Steer(reason=WAITING, holds=HELD)
        why = self._why()
        return Steer(stop=bool(why), reason=why or WAITING, holds=HELD)

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        values = outcome.values
        shifts = int(values.get("shifts", 0))
        if shifts > self._shifts:
            self._shifts, self._losses = shifts, []
            self._best, self._best_at = math.inf, self._heard
        count = int(values.get("validations", 0))
        if count <= self._heard or "validation_loss" not in values:
            return
        self._heard, loss = count, float(values["validation_loss"])
        if math.isfinite(loss):
            self._losses = [*self._losses, loss][-max(MOST_KEPT, self.patience + 1) :]
            if loss < self._best - self._noise():
                self._best_at = count
                self._best = loss

    def state_dict(self) -> dict[str, Any]:
        return {
            "losses": list(self._losses),
            "best": self._best,
            "best_at": self._best_at,
            "heard": self._heard,
            "shifts": self._shifts,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._losses = list(state["losses"])
        self._best, self._best_at = state["best"], state["best_at"]
        self._heard, self._shifts = state["heard"], state["shifts"]

    def _noise(self) -> float:
        """Standard deviation of one validation, trends of the recent ones left out."""
        recent = self._losses[-max(2 * self.patience, 2 * LEAST_FOR_A_TREND) :]
        steps = [after - before for before, after in pairwise(recent)]
        if len(steps) < LEAST_FOR_A_TREND - 1:
            return 0.0
        middle = median(steps)
        return TO_SIGMA * median(abs(step - middle) for step in steps)

    def _why(self) -> str:
        """Why to stop; empty where there is no reason to."""
        since = self._heard - self._best_at
        if since < self.patience or self._heard < LEAST_FOR_A_TREND:
            return ""
        window = self._losses[-max(self.patience + 1, LEAST_FOR_A_TREND) :]
        z = mann_kendall(window)
        if z < NormalDist().inv_cdf(1 - self.confidence) and since < self.most:
            return ""
        best = min(self._losses, default=NAN)
        return (
            f"plateau: for {since} validations none was under {self._best:.4g} by more than the "
            f"noise of {self._noise():.2g}, and the last {len(window)} do not fall (z = {z:.1f});"
            f" the best was {best:.4g}"
        )


def mann_kendall(values: Sequence[float]) -> float:
    """How many standard deviations the order of values is from having no trend.

    >>> mann_kendall([5, 4, 3, 2, 1])
    -2.2045407685048604
    """
    n = len(values)
    score = sum(
        (later > values[at]) - (later < values[at]) for at in range(n) for later in values[at + 1 :]
    )
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 0.0 if spread == 0 else (score - (score > 0) + (score < 0)) / spread
