"""Tells a flat start, on which the loss does not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from paceline.controllers.base.loss_watch import CALM_STEPS, LossWatch

FROM, EVERY, RAISES, LITTLE = 0.15, 0.02, 4, 0.1


@final
@dataclass(kw_only=True, slots=True)
class Plateau:
    """Asks for a higher rate, a few times, where a loss has not moved since the start.

    The loss moves where its progress is over a tenth of it, or over three of its mean
    deviations as they were before the first raise. It is first asked
    about after 15 % of the run, and after a raise again after 2 %.

    Attributes:
        raises: How often the rate was raised.
        at: Step of the last time.
        over: Whether it is no longer done: the loss moved once, or the raises were in vain.
        noise: The mean deviation before the first raise.

    >>> watch, plateau = LossWatch(), Plateau()
    >>> for loss in [2.0, 2.1] * 20:
    ...     watch.hear(loss, frac=0.15, deviations=3.0)
    >>> [plateau.ask(watch, step=step, horizon=200.0) for step in (20, 40, 42, 50)]
    ['', 'raise', '', 'raise']
    """

    raises: int = 0
    at: int = 0
    over: bool = False
    noise: float = 0.0

    def ask(
        self, watch: LossWatch, *, step: int, horizon: float
    ) -> Literal["", "raise", "undo", "leave"]:
        """What to do with the rate: raise it, undo all raises, or leave it from now on."""
        since = min(watch.seen, step - self.at)
        if self.over or step < FROM * horizon or since < max(EVERY * horizon, CALM_STEPS):
            return ""
        self.at = step
        self.noise = self.noise if self.raises else watch.deviation
        least = min(3 * self.noise, LITTLE * abs(watch.began))
        if watch.gain > least or watch.average == 0:
            self.over = True
            return "leave" if self.raises else ""
        if self.raises >= RAISES:
            self.over = True
            return "undo"
        self.raises += 1
        return "raise"
