"""Steps that were decided together, done in as few calls as it takes."""

from __future__ import annotations

import weakref
from typing import final

from torch import Tensor

from paceline.train.pace import Pace
from paceline.train.processes import has_team
from paceline.train.rates import Rates
from paceline.train.stepping import Stepper, Update


@final
class Shortcut:
    """Does what the Pacer does in a step where nothing is out of the ordinary.

    Each call costs several times its usual time there, for the model has filled the
    processor's caches.

    Args:
        pace: Whose decisions.
        rates: That are set.
        stepper: That is stepped.
    """

    def __init__(self, pace: Pace, rates: Rates, stepper: Stepper) -> None:
        self._pace, self._rates, self._stepper = pace, rates, stepper
        self._last: weakref.ref[Tensor] | None = None
        self._alone = True

    def look_round(self) -> None:
        """Before several steps: whether another process trains the same model."""
        self._alone = not has_team()

    def is_last(self, loss: Tensor) -> bool:
        """Whether it is the very loss that was remembered last."""
        return self._last is not None and self._last() is loss

    def remember(self, loss: Tensor) -> None:
        """A loss that is stepped on in the ordinary way."""
        self._last = weakref.ref(loss)

    def step(self, loss: Tensor) -> Update | None:
        """Does a step; None, and nothing done, where something is out of the ordinary."""
        pace, last = self._pace, self._last
        if not (pace.left or pace.goes_on):
            return None
        if not self._alone or last is None or last() is loss:
            return None
        try:
            value = loss.item()
        except (AttributeError, RuntimeError, ValueError):  # no tensor with one element
            return None
        if not value <= pace.alarm or not self._rates.is_own():
            return None
        norm = self._stepper.pass_by()
        if norm is None:
            return None
        self._last = weakref.ref(loss)
        return Update(loss=value, gradient_norm=norm)
