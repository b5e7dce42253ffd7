"""The learning rate's own gradient."""

from __future__ import annotations

import math
from typing import final

from paceline.controllers.base.multiplier import Multiplier
from paceline.core.errors import SettingError
from paceline.core.readings import Reading


@final
class Hypergradient(Multiplier):
    """Raises the rate while successive gradients point the same way, lowers it when not.

    The derivative of the loss by the last learning rate is minus the inner product of two
    successive gradients. In the multiplicative, scale-free form each step multiplies the rate
    by ``1 + strength · cos(g_t, g_{t−1})``; here the factors of ``window`` steps are one
    action, which is judged and may be reverted. Where each batch touches other parameters, as
    with embeddings, successive gradients hardly align at any rate, and it can do little.

    Args:
        learning_rate: To begin with.
        strength: Over 0 and under 1.
        until: Share of the budget after which the rate is left alone, over 0 and at most 1.
        decay: Whether the rate falls linearly to zero over the budget, whatever else is done.
        window: Steps over which losses are averaged, at least 4.
        cool_down: Steps between two actions at least, at least 1.
        tolerance: Standard errors that are forgiven, over 0.

    Raises:
        SettingError: A setting is out of its range.

    >>> controller = Hypergradient(0.1, strength=0.5, window=4, cool_down=4, decay=False)
    >>> for step in range(6):
    ...     told = {"loss": 6.0 - step, "gradient_alignment": 0.2}
    ...     heard = Reading(step=step, progress=0.0, values=told)
    ...     choice = controller.decide(heard)
    ...     controller.learn(heard, choice, heard)
    >>> round(choice.learning_rate, 6)  # 0.1 · (1 + 0.5 · 0.2) ** 4
    0.14641

    Reference:
        Baydin et al., Online learning rate adaptation with hypergradient descent, ICLR 2018,
        equation 8, with both gradients normalised.
    """

    needs = frozenset({"gradient_alignment"})

    def __init__(
        self,
        learning_rate: float,
        *,
        strength: float = 0.4,
        until: float = 1.0,
        decay: bool = True,
        window: int = 8,
        cool_down: int = 8,
        tolerance: float = 1.5,
    ) -> None:
        super().__init__(
            learning_rate, decay=decay, window=window, cool_down=cool_down, tolerance=tolerance
        )
        if not 0 < strength < 1:
            raise SettingError(f"strength must be over 0 and under 1, got {strength:g}")
        if not 0 < until <= 1:
            raise SettingError(f"until must be over 0 and at most 1, got {until:g}")
        self.strength, self.until = float(strength), float(until)

    def propose(self, seen: Reading) -> tuple[float, str]:
        if seen.progress >= self.until:
            return 1.0, ""
        cosines = [min(max(each, -1.0), 1.0) for each in self.alignments]
        factor = math.prod(1 + self.strength * each for each in cosines)
        mean = sum(cosines) / len(cosines) if cosines else 0.0
        return factor, f"gradients align by {mean:.2f}"
