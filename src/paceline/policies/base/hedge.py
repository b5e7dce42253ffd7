"""What to allow for where seconds are not known for sure."""

from __future__ import annotations

from typing import Any

import numpy as np

from paceline.policies.base.water_filling import Floats


def tail_quantile(chance: Any) -> Floats:
    """The z that a standard normal exceeds with a chance of at most 0.5; error under 5e-4.

    >>> round(float(tail_quantile(0.025)), 2)
    1.96

    Reference:
        Abramowitz & Stegun, Handbook of mathematical functions, 1964, formula 26.2.23.
    """
    u = np.sqrt(-2 * np.log(np.clip(chance, 1e-12, 0.5)))
    above = 2.515517 + u * (0.802853 + u * 0.010328)
    below = 1 + u * (1.432788 + u * (0.189269 + u * 0.001308))
    return np.asarray(np.maximum(u - above / below, 0.0))


def hedge(share: Floats, spread: Floats) -> Floats:
    """The factor by which to take each agent for slower than it is thought to be.

    The round ends with the slowest agent. Its expected time is least when the chance of each
    agent to be that one is in proportion to its share of the examples: moving an example from
    one to another must not pay. With normal errors of the log seconds, and one late agent in
    a round, that is ``exp(z(share) · spread)`` with z the quantile of the normal tail. Where
    all are equally sure and equally fast it changes nothing.

    Args:
        share: Of the examples, summing to 1; shape (agents,).
        spread: Standard deviation of the log seconds; shape (agents,).

    >>> hedge(np.array([0.5, 0.5]), np.array([0.1, 0.1])).tolist()
    [1.0, 1.0]
    """
    return np.asarray(np.exp(tail_quantile(share) * spread))
