"""How many examples a gradient should be made of, read off successive gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Glimpse
from paceline.monitors.base import Monitor


@final
class NoiseScale(Monitor):
    """The simple gradient noise scale: the batch above which more examples hardly help.

        B_simple = tr(Σ) / |G|²,

    where Σ is the covariance of one example's gradient and G the mean. Two successive
    gradients of B and B' examples, taken where the mean is about the same, give both:

        E[|g - g'|²] = tr(Σ) (1/B + 1/B'),   E[<g, g'>] = |G|².

    Each is averaged before they are divided. Where <g, g'> cannot be told from zero, its
    standard error stands for |G|²: what is given is then the least that the scale is
    likely to be. Also gives ``update_examples``, the examples of the last update.

    At rates so high that successive gradients turn round, <g, g'> is less than |G|², and
    what is given too large.

    Reads ``gradient_product``; it gives nothing where no controller asks for that, nor in
    its first ``memory`` steps.

    Args:
        memory: Steps that the exponential averages remember.

    Reference: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training",
    equation 2.9 and appendix A.1, which compares batches of two sizes instead.

    >>> scale = NoiseScale(memory=2.0)
    >>> step = dict(loss=1.0, examples=8, elapsed_seconds=0.0, learning_rate=0.1)
    >>> for at in range(1, 9):
    ...     values = scale.read(
    ...         Glimpse(step=at, gradient_norm=2.0, gradient_product=1.0, **step))
    >>> values
    {'noise_scale_examples': 24.0, 'update_examples': 8.0}
    """

    together: ClassVar[bool] = True  # where gradients are compared, steps are shown singly

    def __init__(self, *, memory: float = 50.0) -> None:
        if not 1 <= memory < float("inf"):
            raise SettingError(f"memory must be at least 1 step, got {memory:g}")
        self._memory = float(memory)
        self._step, self._norm, self._examples = -1, NAN, 0
        self._pairs = 0
        # Averages of tr(Σ), of |G|², and of its square.
        self._noise = self._signal = self._square = 0.0

    def read(self, glimpse: Glimpse) -> dict[str, float]:
        follows = glimpse.step == self._step + 1
        before, examples = self._norm, self._examples
        self._step, self._norm, self._examples = (
            glimpse.step,
            glimpse.gradient_norm,
            glimpse.examples,
        )
        product = glimpse.gradient_product
        square = product * product
        apart = before * before + glimpse.gradient_norm * glimpse.gradient_norm - 2 * product
        if not (follows and math.isfinite(apart) and math.isfinite(square)):
            return self._values()
        self._pairs += 1
        gain = max(1 / self._pairs, 1 / self._memory)
        noise = max(apart, 0.0) / (1 / examples + 1 / glimpse.examples)
        self._noise += gain * (noise - self._noise)
        self._signal += gain * (product - self._signal)
        self._square += gain * (square - self._square)
        return self._values()

    def _values(self) -> dict[str, float]:
        if self._pairs < self._memory or not self._examples:
            return {}
        # An average of this memory has half that variance, but neighbours share a gradient.
        error = math.sqrt(max(self._square - self._signal * self._signal, 0.0) / self._memory)
        signal = max(self._signal, error)
        if not signal > 0:
            return {}
        return {
            "noise_scale_examples": self._noise / signal,
            "update_examples": float(self._examples),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self._step,
            "norm": self._norm,
            "examples": self._examples,
            "pairs": self._pairs,
            "noise": self._noise,
            "signal": self._signal,
            "square": self._square,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._step, self._norm, self._examples = state["step"], state["norm"], state["examples"]
        self._pairs = state["pairs"]
        self._noise, self._signal, self._square = state["noise"], state["signal"], state["square"]
