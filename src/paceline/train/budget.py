"""How much there is to spend, and how much of it is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from paceline.core.recipe import Budget


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """A budget in the units of the loop: either steps or seconds.

    Attributes:
        steps: Updates in all, or None.
        seconds: Of the whole run from its start, or None; testing, saving and whatever
            was done before training are paid from it.
        begun_seconds: Of the run that had passed when training began.
    """

    steps: int | None
    seconds: float | None
    begun_seconds: float = 0.0

    def progress(self, *, step: float, elapsed_seconds: float, reserve_seconds: float) -> float:
        """Share of the training that is done, 0 to 1; the reserve is for what follows it.

        >>> Allowance(steps=10, seconds=None).progress(
        ...     step=5, elapsed_seconds=0.0, reserve_seconds=0.0)
        0.5
        """
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        assert self.seconds is not None
        whole = self.seconds - reserve_seconds - self.begun_seconds
        if whole <= 0:
            return 1.0
        return min(max(elapsed_seconds - self.begun_seconds, 0.0) / whole, 1.0)


def allowance(
    budget: Budget,
    *,
    examples: int,
    batch_size: int,
    default_epochs: float,
    begun_seconds: float,
    begun_steps: int = 0,
) -> Allowance:
    """What a budget comes to for so many training examples.

    Seconds and steps that had passed when training began are paid from it.

    >>> from paceline.core.recipe import Budget
    >>> allowance(Budget(epochs=2), examples=100, batch_size=32, default_epochs=9.0,
    ...     begun_seconds=0.0).steps
    7
    """
    if budget.seconds is not None:
        return Allowance(steps=None, seconds=budget.seconds, begun_seconds=begun_seconds)
    if budget.steps is not None:
        return Allowance(steps=max(1, budget.steps - begun_steps), seconds=None)
    epochs = default_epochs if budget.epochs is None else budget.epochs
    return Allowance(steps=max(1, math.ceil(epochs * examples / batch_size)), seconds=None)


def affordable_validations(
    wanted: int, *, steps: int | None, batch_size: int, validation_examples: int
) -> int:
    """How often to validate so that it costs a tenth of the training at most.

    A pass forward alone costs a third of a training pass. Where the budget is time the
    loop sees to it by the clock.

    >>> affordable_validations(20, steps=422, batch_size=128, validation_examples=6000)
    2
    """
    if steps is None or validation_examples == 0:
        return wanted
    most = 0.1 * 3 * steps * batch_size / validation_examples
    return max(1, min(wanted, int(most)))
