"""What an example still brings at longer sync intervals and larger batches: learnt by use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from paceline.policies.base.grid import Array, Grid

# Shapes (p, q) of a law with a prior weight. That of the interval is (1 + (k (H − 1))^p)^−q,
# that of the batch ((1 + φ^p) / (m^p + φ^p))^q. The first of each is the one of the books.
_INTERVAL_SHAPES: Final = (
    (1.0, 1.0, 2.0),
    (1.0, 0.5, 1.0),
    (1.0, 2.0, 1.0),
    (2.0, 1.0, 1.0),
    (2.0, 0.5, 1.0),
    (4.0, 0.25, 1.0),
    (4.0, 1.0, 1.0),
    (0.6, 1.0, 1.0),
)
_BATCH_SHAPES: Final = (
    (1.0, 1.0, 2.0),
    (1.0, 0.5, 1.0),
    (3.0, 1 / 3, 1.0),
    (2.0, 0.5, 1.0),
    (1.0, 1.5, 0.5),
    (3.0, 1.0, 0.5),
)
_DRIFTS: Final = np.geomspace(1e-3, 4.4, 21)
_SCALES: Final = np.geomspace(0.05, 40.0, 12)

# A law is forgotten at this rate, so that a slow drift is followed.
_KEEP = 0.985
# That the law changes at once, in any round.
_HAZARD = 0.02
_MOST_MOMENTS = 8
_FLOAT: Final = np.float32
_DEVIATION = 0.3
_LEAST_DEVIATION, _MOST_DEVIATION = 0.1, 1.0
_DEVIATION_MEMORY = 0.97
# What an observation that fits no law still counts, so that one outlier forgets nothing.
_ASTRAY = 1e-4


class Efficiency:
    """A belief about ``log e(H, m)``, the statistical efficiency of each choice.

    It weighs some twelve thousand laws, products of one for the interval and one for the batch,
    by ``exp(−Σ (y − log e)² / 2σ²)`` of what was observed since the law last changed. When
    that was is not known either: a few moments are kept, each with the probability of what
    came after it, and any round may begin a new law. The sums are all that is remembered, so
    the state is small and nothing is drawn at random.

    Args:
        grid: The choices; their plain one has an efficiency of 1.

    >>> from paceline.core.rounds import Choice
    >>> belief = Efficiency(Grid((Choice(), Choice(sync_interval=16))))
    >>> for _ in range(30):
    ...     belief.observe(1, math.log(0.4))
    >>> [round(each, 1) for each in belief.expected().tolist()]
    [1.0, 0.4]

    Reference:
        Adams & MacKay, Bayesian online changepoint detection, 2007, equation 3; McCandlish et
        al., An empirical model of large-batch training, 2018, equation 2.11.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        steps = np.array(grid.intervals, dtype=float) - grid.choices[0].sync_interval
        factors = np.array(grid.factors, dtype=float) / grid.choices[0].batch_factor
        first, of_first = _interval_laws(np.maximum(steps, 0.0))
        second, of_second = _batch_laws(factors)
        self._by_interval, self._by_factor = first.astype(_FLOAT), second.astype(_FLOAT)
        prior = np.outer(of_first, of_second)
        self._prior = (prior / prior.sum()).astype(_FLOAT)
        self._deviation = _DEVIATION
        # Of each moment at which the law may have begun: counts and sums [H, m] since then.
        self._counts = np.zeros((1, len(grid.intervals), len(grid.factors)))
        self._sums = np.zeros_like(self._counts)
        self._log_weights = np.zeros(1)
        self._weigh()

    def expected(self) -> Array:
        """The mean efficiency of each choice [choices]."""
        table = np.exp(self._by_interval).T @ self._weights @ np.exp(self._by_factor)
        return np.asarray(table[self.grid.rows, self.grid.columns], dtype=float)

    def draw(self, generator: np.random.Generator, count: int) -> Array:
        """The mean efficiency under a few laws that are drawn as they are believed [choices].

        Args:
            generator: Draws them.
            count: How many, at least 1.
        """
        cumulated = np.cumsum(self._weights, dtype=float)
        drawn = np.searchsorted(cumulated, generator.random(count) * cumulated[-1])
        first, second = np.divmod(np.minimum(drawn, cumulated.size - 1), len(self._by_factor))
        logs = self._by_interval[first][:, self.grid.rows]
        logs = logs + self._by_factor[second][:, self.grid.columns]
        return np.asarray(np.exp(logs).mean(0), dtype=float)

    def observe(self, choice: int, log_efficiency: float) -> None:
        """Takes in the efficiency that a round with a choice had.

        Args:
            choice: Its number.
            log_efficiency: Finite.
        """
        row, column = self.grid.places[choice]
        laws = self._by_interval[:, row][:, None] + self._by_factor[:, column]
        miss = (log_efficiency - laws) / self._deviation
        likely = (np.exp(-0.5 * miss**2) + _ASTRAY).ravel()
        expected = float(self._weights.ravel() @ laws.ravel())
        total = float(np.logaddexp.reduce(self._log_weights))
        known = self._each @ likely * (1 - _HAZARD)
        new = float(self._prior.ravel() @ likely) * _HAZARD
        weights = np.append(self._log_weights + np.log(known), total + math.log(new))
        blank = np.zeros((1, *self._counts.shape[1:]))
        counts = np.concatenate([_KEEP * self._counts, blank])
        sums = np.concatenate([_KEEP * self._sums, blank])
        counts[:, row, column] += 1
        sums[:, row, column] += log_efficiency
        kept = np.sort(np.argsort(-weights, kind="stable")[:_MOST_MOMENTS])
        self._counts, self._sums = counts[kept], sums[kept]
        self._log_weights = weights[kept] - weights.max()
        self._deviation = _deviation(self._deviation, log_efficiency - expected)
        self._weigh()

    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""
        return {
            "deviation": self._deviation,
            "counts": self._counts.tolist(),
            "sums": self._sums.tolist(),
            "log_weights": self._log_weights.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._deviation = float(state["deviation"])
        self._counts = np.array(state["counts"], dtype=float)
        self._sums = np.array(state["sums"], dtype=float)
        self._log_weights = np.array(state["log_weights"], dtype=float)
        self._weigh()

    def _weigh(self) -> None:
        """What each law is believed to be worth: since each moment [moments, laws], and in all."""
        first, second = self._by_interval, self._by_factor
        counts, sums = self._counts.astype(_FLOAT), self._sums.astype(_FLOAT)
        logs = first @ counts @ (-second.T)
        logs += ((sums.sum(2) @ first.T) - 0.5 * (counts.sum(2) @ (first**2).T))[:, :, None]
        logs += ((sums.sum(1) @ second.T) - 0.5 * (counts.sum(1) @ (second**2).T))[:, None, :]
        logs = logs.reshape(len(counts), -1) / _FLOAT(self._deviation**2)
        logs -= logs.max(1, keepdims=True)
        each = np.exp(logs) * self._prior.ravel()
        each /= each.sum(1, keepdims=True)
        shares = np.exp(self._log_weights)
        shares = (shares / shares.sum()).astype(_FLOAT)
        self._each, self._weights = each, (shares @ each).reshape(self._prior.shape)


def _interval_laws(steps: Array) -> tuple[Array, Array]:
    """Log efficiencies [laws, intervals] and prior weights [laws]."""
    laws = [
        -q * np.log1p((drift * steps) ** p) for p, q, _ in _INTERVAL_SHAPES for drift in _DRIFTS
    ]
    return np.array(laws), np.repeat([each[2] for each in _INTERVAL_SHAPES], len(_DRIFTS))


def _batch_laws(factors: Array) -> tuple[Array, Array]:
    """Log efficiencies [laws, factors] and prior weights [laws]."""
    laws = [
        q * (np.log1p(scale**p) - np.log(factors**p + scale**p))
        for p, q, _ in _BATCH_SHAPES
        for scale in _SCALES
    ]
    return np.array(laws), np.repeat([each[2] for each in _BATCH_SHAPES], len(_SCALES))


def _deviation(before: float, miss: float) -> float:
    """The noise of an observation, from one more miss; a large one counts as three deviations."""
    square = min(miss**2, (3 * before) ** 2)
    after = math.sqrt(_DEVIATION_MEMORY * before**2 + (1 - _DEVIATION_MEMORY) * square)
    return min(max(after, _LEAST_DEVIATION), _MOST_DEVIATION)
