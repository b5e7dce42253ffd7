"""The best that can be done by somebody who knows what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from paceline.agents.simulation.scenario import Reward
from paceline.agents.simulation.speed_curves import Counts, Floats, Mask, SpeedCurves
from paceline.agents.simulation.world import Truth, World

_DENSITIES = (0.0, 0.5, 1.0, 2.0)
_MOST_SIZES = 24
_FLIPPED = 16
_MANY = 256
_FEW_SIZES = 10
_PASSES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do in a round.

    Attributes:
        samples: For each agent that ever joins, summing to the total.
        choice: Number of the choice.
        seconds: Of one plain round's progress, without noise.
        reward: ``alpha · T_ref / T + beta · C_ref / C``, without noise.
    """

    samples: Counts
    choice: int
    seconds: float
    reward: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    samples: Counts
    compute: float
    active: int
    price: float


@final
class Oracle:
    """Plans the rounds of a world, knowing its truth but not its noise, nor who will die.

    With shares alone to choose it gives the whole shares that are done earliest. Where fewer
    agents may be better it tries the first k by what they do in the time, over their price to
    several powers, and then those next to the border in and out (up to 256 agents: beyond them
    one more or less makes no difference). Where agents throttle it is the best for this round
    only; ``load`` keeps it from heating them.

    Args:
        world: Only looked at.
        load: Share of the round for which agents that can throttle may compute, over 0 and at
            most 1.

    >>> from paceline.agents.simulation.scenario import read_scenario
    >>> world = World(read_scenario("static"), agents=4, seed=0)
    >>> plan = Oracle(world).plan()
    >>> int(plan.samples.sum()) == world.total
    True
    """

    def __init__(self, world: World, *, load: float = 1.0) -> None:
        self.world, self.load = world, load
        self.reference = reference(world)
        self._known: tuple[bytes, Plan] | None = None

    def plan(self) -> Plan:
        """The best plan for the world's round."""
        truth = self.world.truth()
        key = _key(truth)
        if self._known is None or self._known[0] != key:
            self._known = key, self._best(truth)
        return self._known[1]

    def reward(self, seconds: float, price: float) -> float:
        """What a plan is worth that takes so long for one plain round's progress.

        Args:
            seconds: T, over 0.
            price: The sum over those that work; C is T times as much.
        """
        return worth(self.world.scenario.reward, self.reference, seconds, price)

    def _best(self, truth: Truth) -> Plan:
        planned = self._limited(truth.curves)
        tried = [_candidate(planned, truth, self.world.total, truth.up)]
        begun: list[tuple[Counts, int]] = [(np.flatnonzero(truth.up), int(truth.up.sum()))]
        for order in self._orders(planned, truth):
            for size in _sizes(len(order)):
                use = np.zeros(len(truth.up), dtype=bool)
                use[order[:size]] = True
                tried.append(_candidate(planned, truth, self.world.total, use))
                begun.append((order, size))
        if len(tried) > 1 and truth.up.sum() <= _MANY:
            order, size = begun[int(self._rewards(tried, truth).max(axis=1).argmax())]
            near = max(0, min(size - _FLIPPED // 2, len(order) - _FLIPPED))
            self._flip(tried, planned, truth, order[near : near + _FLIPPED])
        return self._choose(tried, truth)

    def _limited(self, curves: SpeedCurves) -> SpeedCurves:
        """As if agents that throttle were slower, so that they come to rest."""
        load = np.where(self.world.fleet.heat_rate > 0, self.load, 1.0)
        return SpeedCurves(
            start=curves.start / load,
            slope=curves.slope / load,
            knee=curves.knee,
            beyond=curves.beyond,
            most=curves.most,
        )

    def _orders(self, curves: SpeedCurves, truth: Truth) -> list[Counts]:
        """Orders in which agents are worth having; none where all of them always are."""
        free = not (truth.latency or truth.exchange)
        priced = self.world.scenario.reward.beta > 0
        if free and not priced:
            return []
        done = curves.examples(curves.shortest(self.world.total, truth.up))
        here = np.flatnonzero(truth.up)
        price = np.maximum(truth.price[here], 1e-12)
        powers = _DENSITIES if priced else (0.0,)
        return [here[np.argsort(-done[here] / price**power, kind="stable")] for power in powers]

    def _flip(
        self, tried: list[_Candidate], curves: SpeedCurves, truth: Truth, agents: Counts
    ) -> None:
        """Takes each of some agents in or out while that makes the plan better."""
        best = self._rewards(tried, truth).max(axis=1)
        for _ in range(_PASSES):
            before, at = best.max(), int(best.argmax())
            used = tried[at].samples > 0
            for agent in agents:
                use = used.copy()
                use[agent] = not use[agent]
                if use.any():
                    tried.append(_candidate(curves, truth, self.world.total, use))
            best = self._rewards(tried, truth).max(axis=1)
            if best.max() <= before:
                return

    def _rewards(self, tried: list[_Candidate], truth: Truth) -> Floats:
        """Of each candidate with each choice, -1 where it is too slow."""
        compute = np.array([each.compute for each in tried])[:, None]
        active = np.array([each.active for each in tried])[:, None]
        price = np.array([each.price for each in tried])[:, None]
        bring = truth.steps * truth.efficiency
        seconds = (truth.steps * compute + truth.communication(active)) / bring
        terms = self.world.scenario.reward
        time, resources = self.reference
        value = terms.alpha * time / seconds
        if terms.beta:
            value = value + terms.beta * resources / np.maximum(seconds * price, 1e-300)
        fast = seconds <= terms.slack * seconds.min() * (1 + 1e-9)
        return np.where(fast, value, -1.0)

    def _choose(self, tried: list[_Candidate], truth: Truth) -> Plan:
        rewards = self._rewards(tried, truth)
        at, choice = divmod(int(rewards.argmax()), rewards.shape[1])
        samples, price = tried[at].samples, tried[at].price
        compute = float(truth.curves.seconds(samples).max())
        bring = float(truth.steps[choice] * truth.efficiency[choice])
        true = float(truth.seconds(compute, tried[at].active, choice)) / bring
        return Plan(samples=samples, choice=choice, seconds=true, reward=self.reward(true, price))


def reference(world: World) -> tuple[float, float]:
    """T_ref and C_ref: those of the equal split over all in the world's present round."""
    truth = world.truth()
    up = np.flatnonzero(truth.up)
    shares = np.zeros(len(truth.up), dtype=np.int64)
    shares[up] = world.total // len(up)
    shares[up[: world.total % len(up)]] += 1
    compute = float(truth.curves.seconds(shares).max())
    seconds = float(truth.seconds(compute, len(up), 0)) / float(
        truth.steps[0] * truth.efficiency[0]
    )
    return seconds, seconds * float(truth.price[up].sum())


def worth(terms: Reward, reference: tuple[float, float], seconds: float, price: float) -> float:
    """``alpha · T_ref / T + beta · C_ref / C`` with ``C = T · price``.

    >>> worth(Reward(alpha=1.0, beta=0.5), (2.0, 6.0), 1.0, 3.0)
    3.0
    """
    time, resources = reference
    value = terms.alpha * time / seconds
    if terms.beta:
        value += terms.beta * resources / max(seconds * price, 1e-300)
    return value


def _candidate(curves: SpeedCurves, truth: Truth, total: int, use: Mask) -> _Candidate:
    samples = curves.fill(total, use)
    missing = total - int(samples.sum())
    if missing:  # the memories of these cannot hold all
        return _Candidate(samples=samples, compute=float("inf"), active=1, price=1.0)
    worked = samples > 0
    return _Candidate(
        samples=samples,
        compute=float(curves.seconds(samples).max()),
        active=int(worked.sum()),
        price=float(truth.price[worked].sum()),
    )


def _sizes(count: int) -> list[int]:
    if count <= _MOST_SIZES:
        return list(range(1, count + 1))
    sizes = np.geomspace(1, count, _MOST_SIZES if count <= _MANY else _FEW_SIZES)
    return sorted({round(each) for each in sizes})


def _key(truth: Truth) -> bytes:
    curves = truth.curves
    parts = (curves.start, curves.slope, truth.up, truth.efficiency)
    numbers = np.array([truth.latency, truth.exchange])
    return b"".join(each.tobytes() for each in (*parts, numbers))
