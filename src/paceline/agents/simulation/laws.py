"""How much less an example brings at longer sync intervals and larger batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Form = Callable[[Array, float], Array]

_BETWEEN = 16.0


def _hyperbola(interval: Array, drift: float) -> Array:
    return 1 / (1 + drift * (interval - 1))


def _power(interval: Array, drift: float) -> Array:
    # as steep as the hyperbola in the middle of the usual intervals
    steepness = np.log1p(drift * (_BETWEEN - 1)) / np.log(_BETWEEN)
    return np.asarray(interval**-steepness)


def _cliff(interval: Array, drift: float) -> Array:
    return np.asarray(1 / (1 + (4 * drift * (interval - 1)) ** 2))


def _threshold(interval: Array, drift: float) -> Array:
    return np.minimum(1.0, (1 + 1 / (4 * drift)) / interval)


def _noise_scale(factor: Array, scale: float) -> Array:
    return (1 + scale) / (factor + scale)


def _batch_power(factor: Array, scale: float) -> Array:
    return np.asarray(factor ** -(max(scale, 1.0) ** -0.5))


def _batch_threshold(factor: Array, scale: float) -> Array:
    return np.minimum(1.0, max(scale, 1.0) / factor)


INTERVAL_FORMS: Final[dict[str, Form]] = {
    "hyperbola": _hyperbola,
    "power": _power,
    "cliff": _cliff,
    "threshold": _threshold,
}
BATCH_FORMS: Final[dict[str, Form]] = {
    "noise_scale": _noise_scale,
    "power": _batch_power,
    "threshold": _batch_threshold,
}


def interval_efficiency(form: str, intervals: Array, client_drift: float) -> Array:
    """What an example brings at sync intervals H, as a share of what it brings at 1.

    ``hyperbola`` is ``1 / (1 + k · (H − 1))``, ``power`` the power of H that meets it at 16,
    ``cliff`` ``1 / (1 + (4k · (H − 1))²)`` and ``threshold`` ``min(1, (1 + 1 / 4k) / H)``.

    Args:
        form: One of ``INTERVAL_FORMS``.
        intervals: H, of any shape, at least 1.
        client_drift: k, over 0.

    >>> interval_efficiency("hyperbola", np.array([1.0, 11.0]), 0.1).tolist()
    [1.0, 0.5]
    """
    return INTERVAL_FORMS[form](np.asarray(intervals, dtype=float), client_drift)


def batch_efficiency(form: str, factors: Array, noise_scale: float) -> Array:
    """What an example brings in a batch m times as large, as a share of what it brings at 1.

    ``noise_scale`` is ``(1 + φ) / (m + φ)``, ``power`` ``m^(−1 / √φ)`` and ``threshold``
    ``min(1, φ / m)``; the latter two take φ to be at least 1, and all are 1 at m = 1.

    Args:
        form: One of ``BATCH_FORMS``.
        factors: m, of any shape, over 0.
        noise_scale: φ, over 0: the gradient noise scale over the plain batch.

    >>> batch_efficiency("noise_scale", np.array([1.0, 4.0]), 2.0).tolist()
    [1.0, 0.5]

    Reference:
        McCandlish et al., An empirical model of large-batch training, 2018, equation 2.11.
    """
    return BATCH_FORMS[form](np.asarray(factors, dtype=float), noise_scale)
