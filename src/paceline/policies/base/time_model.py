"""How long an agent needs for how much: many possible curves, each followed by a filter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.policies.base.water_filling import Curves, Floats, Mask

# Shares of the seconds that an agent needs before the first example.
_STARTS = (0.08, 0.0, 0.03, 0.2, 0.45)
_BENDS = tuple(0.4 * 1.25**k for k in range(16))
_STEEPER = (2.0, 4.0, 8.0)
_BEND_START = 0.05
# Log odds of a bend, before anything was seen: rarely needed, and there are many of them.
_BEND_ODDS = -5.0
_MEMORY = 0.98
_JUMP = 3.7
_JUMP_TWICE = 2.2
_JUMP_ODDS = -9.0
_FIRST_SPREAD = 0.3
_NOISE, _NOISE_WEIGHT, _NOISE_ROUNDS = 0.05, 3.0, 100.0
_WALK, _MOST_WALK, _LEAST_WALK = 3e-3, 0.1, 3e-4
_WALK_STEP = 0.15
# A shape is not quite that of an agent: what it misses when the load is e times as much.
_FAR = 0.05


def _shapes() -> tuple[Floats, Floats, Floats, Floats]:
    """Start, bend, steepness and log odds of every shape."""
    bends = [(_BEND_START, bend, steep, _BEND_ODDS) for bend in _BENDS for steep in _STEEPER]
    rows = [(start, math.inf, 1.0, -0.5 * k) for k, start in enumerate(_STARTS)] + bends
    start, bend, steep, odds = np.array(rows).T
    return start, bend, steep, odds


_START, _BEND, _STEEP, _ODDS = _shapes()
SHAPES = len(_START)


@final
class TimeModel:
    """Learns each agent's seconds ``t(n)``, a level times one of many shapes, and how sure it is.

    A shape says what share of an agent's seconds does not depend on its examples, and from
    which load on an example needs how much longer. Each shape j of each agent i has a Kalman
    filter of the level's logarithm θ, a random walk:

    ``log t = θ_ij + log g_j(n / reference_i) + ε,  ε ~ N(0, noise²),  Δθ ~ N(0, walk² + far²)``

    with ``far = 0.05 · Δlog n``: no shape is quite that of the agent, so that a level that was
    learnt at one load is less sure at another.

    The shape with the best predictions lately is used: the one without a start is an
    exponential average of the speed, the rival of the others. Noise and walk are learnt from
    all agents together, the walk so that successive errors do not go together. An error
    beyond 3.7 deviations, or two in a row beyond 2.2 on the same side, is a change: the level
    is learnt anew, at once.

    All shapes explain a change of speed at the same load equally well, so that it does not
    change what is thought of the shape; a bend shows where the load has changed.

    >>> model = TimeModel()
    >>> for load in (10, 20, 40, 10, 40):
    ...     model.learn(np.array([load]), np.array([0.1 + 0.01 * load]), reference=20.0)
    >>> 0.28 < float(model.curves().seconds(np.array([20]))[0]) < 0.32
    True

    Reference:
        Mehra, On the identification of variances and adaptive Kalman filtering, IEEE
        Transactions on Automatic Control 15, 1970; Blom & Bar-Shalom, The interacting
        multiple model algorithm, the same 33, 1988, without the mixing.
    """

    def __init__(self) -> None:
        self._level = np.zeros((SHAPES, 0))
        self._variance = np.zeros((SHAPES, 0))
        self._odds = np.zeros((SHAPES, 0))
        self._error = np.zeros((SHAPES, 0))
        self._reference = np.zeros(0)
        self._noise, self._noise_weight = _NOISE**2, _NOISE_WEIGHT
        self._walk = math.log(_WALK**2)
        self._lean, self._last = np.zeros(0), np.zeros(0)
        self.surprise = np.zeros(0)

    @property
    def known(self) -> Mask:
        """Which agents were measured at least once; shape (agents,)."""
        return np.asarray(self._reference > 0)

    @property
    def noise(self) -> float:
        """Standard deviation of the logarithm of the seconds."""
        return math.sqrt(self._noise)

    @property
    def best(self) -> Any:
        """Number of the shape that predicts each agent best; shape (agents,)."""
        return self._odds.argmax(axis=0)

    @property
    def spread(self) -> Floats:
        """Standard deviation of what is not known of the log level; shape (agents,)."""
        return np.asarray(np.sqrt(self._variance[self.best, np.arange(len(self._reference))]))

    def curves(self) -> Curves:
        """The likeliest curve of each agent; whatever for those that are not known."""
        best, agents = self.best, np.arange(len(self._reference))
        reference = np.where(self.known, self._reference, 1.0)
        level = np.exp(self._level[best, agents])
        slope = level * (1 - _START[best]) / reference
        return Curves(
            start=level * _START[best],
            slope=slope,
            bend=_BEND[best] * reference,
            steep=slope * _STEEP[best],
            most=np.full(len(reference), np.inf),
        )

    def resize(self, agents: int) -> None:
        """Makes room for agents that joined."""
        more = agents - len(self._reference)
        if more <= 0:
            return
        empty = np.zeros((SHAPES, more))
        self._level = np.hstack([self._level, empty])
        self._variance = np.hstack([self._variance, empty + _FIRST_SPREAD**2])
        self._odds = np.hstack([self._odds, empty + _ODDS[:, None]])
        self._error = np.hstack([self._error, empty])
        self._reference = np.concatenate([self._reference, np.zeros(more)])
        self._lean = np.concatenate([self._lean, np.zeros(more)])
        self._last = np.concatenate([self._last, np.ones(more)])

    def learn(self, samples: Any, seconds: Any, *, reference: float) -> None:
        """Takes in a round.

        Args:
            samples: Of each agent; shape (agents,).
            seconds: Of each agent; those at 0 or nan are not looked at.
            reference: A usual load, over 0: bends are sought about it. Of agents that are
                measured for the first time.
        """
        samples, seconds = np.asarray(samples, dtype=float), np.asarray(seconds, dtype=float)
        self.resize(len(samples))
        self.surprise = np.zeros(len(samples))
        self._variance += math.exp(self._walk)
        measured = (samples > 0) & (seconds > 0) & np.isfinite(seconds)
        fresh = measured & ~self.known
        if fresh.any():
            self._begin(np.flatnonzero(fresh), samples, seconds, reference)
        again = np.flatnonzero(measured & ~fresh)
        if len(again):
            self._follow(again, samples[again], seconds[again])

    def _begin(self, who: Any, samples: Floats, seconds: Floats, reference: float) -> None:
        self._reference[who] = max(reference, 1e-9)
        self._last[who] = samples[who]
        load = samples[who] / self._reference[who]
        self._level[:, who] = np.log(seconds[who]) - _log_shape(load)
        self._variance[:, who] = self._noise

    def _follow(self, who: Any, samples: Floats, seconds: Floats) -> None:
        level = self._level[:, who]
        far = np.log(samples / self._last[who])
        variance = self._variance[:, who] + (_FAR * far) ** 2
        self._last[who] = samples
        predicted = level + _log_shape(samples / self._reference[who])
        error = np.log(seconds) - predicted
        doubt = variance + self._noise
        scaled = error / np.sqrt(doubt)
        before = self._error[:, who]
        same = np.minimum(np.abs(scaled), np.abs(before)) > _JUMP_TWICE
        jumps = (np.abs(scaled) > _JUMP) | (same & (scaled * before > 0))
        best, at = self._odds[:, who].argmax(axis=0), np.arange(len(who))
        told, jumped = scaled[best, at], jumps[best, at]
        self.surprise[who] = np.where(jumped, error[best, at], 0.0)
        self._learn_noise(error[best, at], variance[best, at], ~jumped)
        self._learn_walk(who, told, jumped)
        likely = np.maximum(-0.5 * scaled**2 - 0.5 * np.log(doubt / self._noise), _JUMP_ODDS)
        odds = _ODDS[:, None] + _MEMORY * (self._odds[:, who] - _ODDS[:, None]) + likely
        self._odds[:, who] = odds - odds.max(axis=0)
        variance = np.where(jumps, variance + error**2, variance)
        gain = variance / (variance + self._noise)
        self._level[:, who] = level + gain * error
        self._variance[:, who] = variance * (1 - gain)
        self._error[:, who] = np.where(jumps, 0.0, scaled)

    def _learn_noise(self, error: Floats, variance: Floats, calm: Mask) -> None:
        """One step of expectation maximisation, over all agents."""
        if not calm.any():
            return
        share = self._noise / (variance + self._noise)
        found = (share * error) ** 2 + share * variance
        count = float(calm.sum())
        keep = 1 - 1 / _NOISE_ROUNDS
        weight = self._noise_weight * keep
        total = self._noise * weight + float(found[calm].sum())
        self._noise_weight = min(weight + count, _NOISE_ROUNDS * max(count, 3.0))
        self._noise = max(total / (weight + count), 1e-8)

    def _learn_walk(self, who: Any, scaled: Floats, jumped: Mask) -> None:
        """Raises the walk while successive errors are on the same side, and lowers it."""
        before = self._lean[who]
        pairs = ~jumped & (before != 0)
        if pairs.any():
            together = np.clip(scaled[pairs] * before[pairs], -4, 4)
            step = _WALK_STEP * float(together.sum()) / (len(together) + 8)
            low, high = 2 * math.log(_LEAST_WALK), 2 * math.log(_MOST_WALK)
            self._walk = min(max(self._walk + 2 * step, low), high)
        self._lean[who] = np.where(jumped, 0.0, scaled)

    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""
        return {
            "level": self._level.T.tolist(),
            "variance": self._variance.T.tolist(),
            "odds": self._odds.T.tolist(),
            "error": self._error.T.tolist(),
            "reference": self._reference.tolist(),
            "lean": self._lean.tolist(),
            "last": self._last.tolist(),
            "noise": self._noise,
            "noise_weight": self._noise_weight,
            "walk": self._walk,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the memory of something else.
        """
        reference = np.array(state.get("reference", ()), dtype=float)
        shape = (SHAPES, len(reference))
        found = {}
        for name in ("level", "variance", "odds", "error"):
            table = np.array(state.get(name, ()), dtype=float).T
            if len(reference) and table.shape != shape:
                raise SettingError(f"{name} must have {SHAPES} numbers for each agent")
            found[name] = np.ascontiguousarray(table) if len(reference) else np.zeros(shape)
        self._level, self._variance = found["level"], found["variance"]
        self._odds, self._error = found["odds"], found["error"]
        self._reference, self._lean = reference, np.array(state["lean"], dtype=float)
        self._last = np.array(state["last"], dtype=float)
        self._noise, self._walk = float(state["noise"]), float(state["walk"])
        self._noise_weight = float(state["noise_weight"])
        self.surprise = np.zeros(len(reference))


def _log_shape(load: Floats) -> Floats:
    """Log of the seconds at a load, as a share of those at 1 without a bend.

    Shape (shapes, agents).
    """
    beyond = np.maximum(0.0, load - _BEND[:, None])
    linear = load + (_STEEP[:, None] - 1) * beyond
    return np.asarray(np.log(_START[:, None] + (1 - _START[:, None]) * linear))
