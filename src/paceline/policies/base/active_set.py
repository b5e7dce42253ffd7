"""Which agents to use at all, where each costs money or communication."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.policies.base.water_filling import Curves, Floats, Mask, level

_MOST_MOVES = 6
_DISCOUNTS = (0.0, 0.5, 1.0)


@final
class Link:
    """Learns what communication takes: ``latency · log2(k) + exchange · (1 − 1/k)``.

    Least squares over the last rounds, older ones counting less. While only one number of
    agents was seen, most is taken for the exchange, which hardly depends on it.

    >>> link = Link()
    >>> for agents, seconds in ((2, 0.03), (4, 0.05), (2, 0.03), (4, 0.05)):
    ...     link.learn(agents, seconds)
    >>> float(link.seconds(1)), round(float(link.seconds(8)), 2)
    (0.0, 0.06)
    """

    _MEMORY = 0.97
    _RIDGE = (1e-2, 1e-4)

    def __init__(self) -> None:
        self._squares, self._products = np.zeros((2, 2)), np.zeros(2)

    def learn(self, agents: int, seconds: float) -> None:
        """Takes in what a round with so many agents needed."""
        if agents < 2:
            return
        features = _features(np.array(float(agents)))
        self._squares = self._MEMORY * self._squares + np.outer(features, features)
        self._products = self._MEMORY * self._products + features * seconds

    def seconds(self, agents: Any) -> Floats:
        """What it takes with so many agents; 0 with one, and before anything was learnt."""
        features = _features(np.maximum(np.asarray(agents, dtype=float), 1.0))
        return np.asarray(np.tensordot(self._costs(), features, axes=1))

    def _costs(self) -> Floats:
        ridge = np.diag(self._RIDGE) * max(float(np.trace(self._squares)), 1e-30)
        costs = np.linalg.solve(self._squares + ridge, self._products)
        if (costs >= 0).all():
            return np.asarray(costs)
        alone = np.maximum(self._products, 0) / (np.diag(self._squares) + np.diag(ridge))
        return np.asarray(np.where(costs > 0, alone, 0.0))

    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""
        return {"squares": self._squares.tolist(), "products": self._products.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the memory of something else.
        """
        squares, products = np.array(state.get("squares")), np.array(state.get("products"))
        if squares.shape != (2, 2) or products.shape != (2,):
            raise SettingError("this is no state of a link: it has no 'squares' and 'products'")
        self._squares, self._products = squares.astype(float), products.astype(float)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What a set of agents is to be good at: ``(alpha + beta · all_prices / prices) / T``.

    That is the reward ``α · T_ref / T + β · C_ref / C``, up to the factor T_ref.

    Attributes:
        alpha: What the time counts.
        beta: What the resources count.
        slack: A set may take this many times the shortest time, at least 1.
        all_prices: The sum over the agents of the first round.
        prices: Of each agent; shape (agents,).
        communication: Seconds for a number of agents.
    """

    alpha: float
    beta: float
    slack: float
    all_prices: float
    prices: Floats
    communication: Callable[[Any], Floats]

    def worth(self, seconds: Any, prices: Any) -> Floats:
        """Of a time and the prices of those that work."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.all_prices > 0, self.all_prices / np.asarray(prices), 1.0)
            value = (self.alpha + self.beta * np.minimum(share, 1e12)) / np.asarray(seconds)
        return np.asarray(value)


def best_set(curves: Curves, total: int, goal: Goal) -> Mask:
    """The agents to use: nearly the best of all sets, without trying them.

    For a time T agents are ordered by what they can do in it, over a power of their price;
    every beginning of that order is a set, and its time follows from the slopes at T. The
    best sets are looked at exactly, and then changed by one agent at a time while that pays.
    Sets that take longer than ``slack`` times the shortest time are left out.

    Args:
        curves: Of the agents; those with a cap of 0 are never used.
        total: Examples to share out.
        goal: What counts.

    Raises:
        SettingError: The caps together hold less than the total.

    >>> goal = Goal(alpha=1.0, beta=0.0, slack=1.25, all_prices=2.0, prices=np.ones(2),
    ...             communication=lambda k: 3.0 * (np.asarray(k) > 1))
    >>> best_set(Curves.of([0.0, 0.0], [1.0, 1.0]), 4, goal).tolist()
    [True, False]
    """
    everyone = curves.most > 0
    search = _Search(curves, total, goal)
    search.look(everyone)
    free = not goal.beta or not np.ptp(goal.prices[everyone])
    start = level(curves, total)
    for power in _DISCOUNTS[:1] if free else _DISCOUNTS:
        time = start
        for _ in range(3):
            used, later = search.prefix(time, power, shortest=not power)
            if not search.look(used) or abs(later - time) < 1e-9 * time:
                break
            time = later
    search.improve()
    return search.best()


@final
class _Search:
    """The sets that were looked at."""

    def __init__(self, curves: Curves, total: int, goal: Goal) -> None:
        self._curves, self._total, self._goal = curves, total, goal
        self._seen: dict[bytes, tuple[Mask, float, float, float]] = {}

    def look(self, used: Mask) -> bool:
        """Works out a set exactly; whether it is new and can hold the total."""
        key = used.tobytes()
        if key in self._seen or not used.any():
            return False
        if float(self._curves.most[used].sum()) < self._total:
            return False
        time = level(self._curves.only(used), self._total)
        works = used & (self._curves.samples(time) >= 0.5)
        used = works if works.any() else used
        seconds = time + float(self._goal.communication(int(used.sum())))
        worth = float(self._goal.worth(seconds, float(self._goal.prices[used].sum())))
        self._seen[key] = (used, time, seconds, worth)
        return True

    def best(self) -> Mask:
        """The best of those that are fast enough."""
        return self._best()[0]

    def _best(self) -> tuple[Mask, float, float, float]:
        limit = self._goal.slack * min(each[2] for each in self._seen.values()) * (1 + 1e-9)
        fast = [each for each in self._seen.values() if each[2] <= limit]
        return max(fast, key=lambda each: each[3])

    def prefix(self, time: float, power: float, *, shortest: bool) -> tuple[Mask, float]:
        """The best beginning of the order for a time, and its own time."""
        done, rate = self._at(time)
        order = np.argsort(-done / np.maximum(self._goal.prices, 1e-12) ** power, kind="stable")
        order = order[done[order] > 0]
        ends = self._ends(time, np.cumsum(done[order]), np.cumsum(rate[order]))
        seconds = ends + self._goal.communication(np.arange(1, len(order) + 1))
        worth = self._goal.worth(seconds, np.cumsum(self._goal.prices[order]))
        slow = seconds > self._goal.slack * seconds.min()
        at = int(seconds.argmin()) if shortest else int(np.where(slow, -math.inf, worth).argmax())
        used = np.zeros(len(done), dtype=bool)
        used[order[: at + 1]] = True
        return used, float(ends[at])

    def improve(self) -> None:
        """Takes one agent in or out while that pays."""
        for _ in range(_MOST_MOVES):
            used, time, _, _ = self._best()
            done, rate = self._at(time)
            sign = np.where(used, -1.0, 1.0)
            can = (self._curves.most > 0) & (used | (done > 0))
            can &= ~used | (used.sum() > 1)
            ends = self._ends(time, done[used].sum() + sign * done, rate[used].sum() + sign * rate)
            count = int(used.sum()) + sign
            seconds = ends + self._goal.communication(count)
            prices = self._goal.prices[used].sum() + sign * self._goal.prices
            worth = np.where(can & np.isfinite(seconds), self._goal.worth(seconds, prices), -1.0)
            changed = used.copy()
            at = int(worth.argmax())
            changed[at] = ~changed[at]
            before = self._best()[3]
            if not self.look(changed) or self._best()[3] <= before:
                return

    def _at(self, time: float) -> tuple[Floats, Floats]:
        """What each can do in a time, and how much more in a second more."""
        curves, done = self._curves, self._curves.samples(time)
        slope = np.where(done < curves.bend, curves.slope, curves.steep)
        return done, np.where((done > 0) & (done < curves.most), 1 / slope, 0.0)

    def _ends(self, time: float, done: Floats, rate: Floats) -> Floats:
        """When sets are through that do so much until ``time``, and so much a second then."""
        missing = self._total - done
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = time + np.where(rate > 1e-300, missing / rate, np.inf)
        return np.asarray(np.where(ends > 0, ends, np.inf))


def _features(agents: Floats) -> Floats:
    return np.array([np.log2(agents), 1 - 1 / agents])
