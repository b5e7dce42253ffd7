"""A simulated world: unequal agents whose speeds change, and what a plan costs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from paceline.agents.simulation.fleet import draw_fleet, drawn
from paceline.agents.simulation.laws import batch_efficiency, interval_efficiency
from paceline.agents.simulation.scenario import Scenario, Switch
from paceline.agents.simulation.speed_curves import Counts, Floats, Mask, SpeedCurves
from paceline.core.errors import SettingError

MOST_AGENTS = 100_000
_RECALL = 0.995
_HOTTEST = 1.2
_HOT = 1.0
_SALT = {"link": 104_729, "round": 1_299_709, "noises": 15_485_863}
_NOISES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What is true in a round, and hidden from policies.

    Attributes:
        curves: Seconds without the noise.
        up: Who can work; shape (agents,).
        price: Of a second of each; shape (agents,).
        latency: Seconds of a message.
        exchange: Seconds to send the whole model once.
        steps: Micro-batches between two synchronisations, for each choice; shape (choices,).
        efficiency: What an example brings, for each choice; shape (choices,).
    """

    curves: SpeedCurves
    up: Mask
    price: Floats
    latency: float
    exchange: float
    steps: Floats
    efficiency: Floats

    def communication(self, active: Any) -> Any:
        """``latency · log2(k) + exchange · (1 − 1/k)`` seconds for k agents; 0 for one.

        >>> from paceline.agents.simulation.scenario import read_scenario
        >>> world = World(read_scenario("slow_links"), agents=2)
        >>> truth = world.truth()
        >>> bool(truth.communication(2) == truth.latency + truth.exchange / 2)
        True
        """
        k = np.maximum(active, 1)
        return self.latency * np.log2(k) + self.exchange * (1 - 1 / k)

    def seconds(self, compute: Any, active: Any, choice: int) -> Any:
        """Seconds of a round in which the slowest computes ``compute`` for a micro-batch."""
        return self.steps[choice] * compute + self.communication(active)

    def shortest(self, total: int) -> float:
        """Seconds of one plain round's progress with all who are up and the best choice."""
        compute = self.curves.shortest(total, self.up)
        seconds = self.steps * compute + self.communication(int(self.up.sum()))
        return float((seconds / (self.steps * self.efficiency)).min())


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a round gave.

    Attributes:
        agent_seconds: Of a micro-batch, for each agent: 0 for no work, nan for one that will
            not be there in the next round.
        communication_seconds: Of the round's synchronisation.
        seconds: Of the whole round.
        progress: Observed, in examples of full worth; noisy.
        true_seconds: Of one plain round's progress, without noise and without deaths.
        expected_seconds: The same in the mean over the noise.
        shortest_seconds: The least that all who are up could take, without noise.
        paid_seconds: Of one plain round's progress, with noise and deaths.
        price: The sum over those that worked.
        over_memory: Those that were given more than they can hold.
    """

    agent_seconds: tuple[float, ...]
    communication_seconds: float
    seconds: float
    progress: float
    true_seconds: float
    expected_seconds: float
    shortest_seconds: float
    paid_seconds: float
    price: float
    over_memory: tuple[int, ...] = ()


@final
class World:
    """Unequal agents in simulated time; the same seed gives every policy the same chance.

    Seconds of agent i are ``(a_i · √s_i + b_i · s_i · n) · noise``, where ``s_i`` is how slow
    it is just now: a slow random walk times its regime's factor. A hot agent's ``b_i`` is
    larger. An agent dies in the middle of a round, and the others do its examples again. One
    that was given more than it can hold loses the time to its memory's end, then does them in
    parts.

    Args:
        scenario: What it is made of.
        agents: How many there are in the beginning; the scenario's own number when None.
        rounds: Moments of the scenario are shares of these; the scenario's own when None.
        seed: Of all chance, at least 0.

    Raises:
        SettingError: A number is out of its range, or an event names an agent that is not there.

    >>> from paceline.agents.simulation.scenario import read_scenario
    >>> world = World(read_scenario("static"), agents=2, seed=1)
    >>> len(world.step((128, 128)).agent_seconds), world.round
    (2, 1)
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        agents: int | None = None,
        rounds: int | None = None,
        seed: int = 0,
    ) -> None:
        _refuse(agents, rounds, seed)
        self.scenario, self.seed = scenario, seed
        self.rounds = scenario.rounds if rounds is None else rounds
        self.fleet = draw_fleet(scenario, agents, self.rounds, seed)
        count = len(self.fleet)
        self.first = int((self.fleet.joins == 0).sum())
        self.total = scenario.examples_per_agent * self.first
        self.choices = scenario.all_choices
        self.round = 0
        chance = np.random.default_rng((seed, _SALT["noises"]))
        self._noises = np.exp(chance.normal(0.0, 1.0, (_NOISES, count)) * self.fleet.noise)
        self._start, self._slope = self.fleet.start.copy(), self.fleet.slope.copy()
        self._walk, self._level = np.zeros(count), np.zeros(count)
        self._heat, self.hot = np.zeros(count), np.zeros(count, dtype=bool)
        self._here = self.fleet.joins == 0
        self._away = np.zeros(count, dtype=np.int64)
        self._steps = np.array([each.sync_interval * each.batch_factor for each in self.choices])
        self._refuse_strangers()
        self._draw_link_and_law()
        self._happen()

    @property
    def present(self) -> int:
        """Agents that have joined so far; the others have higher numbers."""
        return int((self.fleet.joins <= self.round).sum())

    @property
    def switches(self) -> tuple[int, ...]:
        """The rounds in which speeds, links or laws change at once."""
        given = self.scenario
        moments = [each.at for each in given.switch]
        moments += [each.at for each in given.swap] + [each.at for each in given.redraw]
        return tuple(sorted({given.round_of(moment, self.rounds) for moment in moments}))

    @property
    def up(self) -> Mask:
        """Who can work in this round; shape (agents that ever join,)."""
        return np.asarray(self._here & (self._away == 0))

    def truth(self) -> Truth:
        """What is true in this round."""
        slow = np.exp(self._walk + self._level)
        fleet = self.fleet
        hot = np.where(self.hot, fleet.slowdown, 1.0)
        return Truth(
            curves=SpeedCurves(
                start=self._start * np.sqrt(slow),
                slope=self._slope * slow * hot,
                knee=fleet.knee,
                beyond=fleet.beyond,
                most=fleet.most,
            ),
            up=self.up,
            price=fleet.price,
            latency=self._latency,
            exchange=self._exchange,
            steps=self._steps,
            efficiency=self._efficiency(),
        )

    def step(self, samples: Any, choice: int = 0) -> Outcome:
        """Does a round and moves on to the next.

        Args:
            samples: For each agent present, summing to ``total``; 0 for those that are away.
            choice: Number of the choice.

        Raises:
            ValueError: Not all examples are given out, or some to an agent that is away.
        """
        given = self._checked(samples)
        truth = self.truth()
        chance = np.random.default_rng((self.seed, self.round, _SALT["round"]))
        count = len(self.fleet)
        noise = np.exp(chance.normal(0.0, 1.0, count) * self.fleet.noise)
        dies = self._dying(chance.random(count))
        over = given > truth.curves.most
        plain = truth.curves.seconds(given)
        wasted = truth.curves.seconds(np.where(over, truth.curves.most, 0.0))
        nobody = np.zeros(count, dtype=bool)
        true = self._paid(truth, plain + wasted, given, nobody, choice)
        slowest = float((plain * self._noises + wasted).max(axis=1).mean())
        expected = float(truth.seconds(slowest, int((given > 0).sum()), choice))
        paid = self._paid(truth, plain * noise + wasted, given, dies, choice)
        worked = (given > 0) & ~dies
        self._warm(plain * noise * truth.steps[choice], paid, truth)
        efficiency = float(truth.efficiency[choice])
        wobble = float(np.exp(chance.normal(0.0, 1.0) * self._progress_noise))
        bring = float(truth.steps[choice]) * efficiency
        seconds = np.where(worked, plain * noise, 0.0)
        self._move(chance, dies)
        joined = int((self.fleet.joins < self.round).sum())
        told = np.where(self.up, seconds, np.nan)[:joined]
        return Outcome(
            agent_seconds=tuple(told.tolist()),
            communication_seconds=float(truth.communication(int(worked.sum()))),
            seconds=paid,
            progress=self.total * bring * wobble,
            true_seconds=true / bring,
            expected_seconds=expected / bring,
            shortest_seconds=truth.shortest(self.total),
            paid_seconds=paid / bring,
            price=float(truth.price[given > 0].sum()),
            over_memory=tuple(np.flatnonzero(over).tolist()),
        )

    def _checked(self, samples: Any) -> Counts:
        given = np.zeros(len(self.fleet), dtype=np.int64)
        given[: len(samples)] = samples
        if given.sum() != self.total or (given < 0).any():
            raise ValueError(f"{self.total} examples must be given out, got {given.sum()}")
        if given[~self.up].any():
            raise ValueError(f"agents that are away were given {given[~self.up].sum()} examples")
        return given

    def _paid(self, truth: Truth, seconds: Floats, given: Counts, lost: Mask, choice: int) -> float:
        """Seconds of the round: the others do what was lost again when they are done."""
        kept = (given > 0) & ~lost
        compute = float(seconds[kept].max(initial=0.0))
        if lost.any() and given[lost].any():
            helpers = truth.up & ~lost
            helpers = helpers if helpers.any() else truth.up
            ample = SpeedCurves.of(truth.curves.start, truth.curves.slope)
            compute += ample.shortest(float(given[lost].sum()), helpers)
            kept = kept | helpers if not kept.any() else kept
        return float(truth.seconds(compute, int(kept.sum()), choice))

    def _dying(self, chance: Floats) -> Mask:
        """Who goes away in this round; somebody always stays."""
        up = self.up
        dies = up & (chance < self.fleet.fails)
        if up.any() and not (up & ~dies).any():
            dies[np.flatnonzero(dies)[0]] = False
        return dies

    def _warm(self, busy: Floats, seconds: float, truth: Truth) -> None:
        fleet = self.fleet
        if not fleet.heat_rate.any():
            return
        use = np.minimum(busy / seconds, 1.0)
        self._heat = np.clip(self._heat + fleet.heat_rate * (use - fleet.heat_above), 0, _HOTTEST)
        self._heat = np.where(truth.up, self._heat, 0.0)
        stays = self.hot & (self._heat >= fleet.cool)
        self.hot = (stays | (self._heat > _HOT)) & (fleet.heat_rate > 0)

    def _move(self, chance: np.random.Generator, dies: Mask) -> None:
        """On to the next round."""
        count, fleet = len(self.fleet), self.fleet
        walked, back, law = chance.normal(0.0, 1.0, count), chance.random(count), chance.normal()
        self._walk = _RECALL * self._walk + walked * fleet.drift
        counting = (self._away > 0) & (self._away < np.iinfo(np.int64).max)
        self._away = np.where(counting, self._away - 1, self._away)
        rounds_away = 1 + np.floor(np.log1p(-back) / np.log1p(-np.minimum(fleet.returns, 1 - 1e-9)))
        self._away = np.where(dies, rounds_away.astype(np.int64), self._away)
        if self.scenario.law is not None:
            self._scale *= float(np.exp(self.scenario.law.growth + law * self.scenario.law.drift))
        self.round += 1
        self._happen()

    def _happen(self) -> None:
        """The events of this round."""
        scenario, now = self.scenario, self.round
        self._here |= self.fleet.joins == now
        for number, switch in enumerate(scenario.switch):
            if scenario.round_of(switch.at, self.rounds) == now:
                self._switch(switch, number)
        for swap in scenario.swap:
            if scenario.round_of(swap.at, self.rounds) == now:
                self._swap(swap.agents)
        for leave in scenario.leave:
            if scenario.round_of(leave.at, self.rounds) == now:
                self._away[list(leave.agents)] = leave.rounds or np.iinfo(np.int64).max
        if any(scenario.round_of(each.at, self.rounds) == now for each in scenario.redraw):
            self._draw_link_and_law()

    def _switch(self, switch: Switch, number: int) -> None:
        chance = np.random.default_rng((self.seed, self.round, number))
        count = len(self.fleet)
        touched = chance.random(count) < switch.share
        touched[chance.integers(self.first)] = True
        if switch.agents:
            touched = np.isin(np.arange(count), switch.agents)
        factors = chance.choice(np.array(switch.factors), count)
        self._level = np.where(touched, self._level + np.log(factors), self._level)

    def _swap(self, agents: tuple[int, int] | None) -> None:
        slow = self._slope * np.exp(self._walk + self._level)
        here = np.flatnonzero(self._here)
        one, two = agents or (here[slow[here].argmin()], here[slow[here].argmax()])
        for values in (self._start, self._slope, self._walk, self._level):
            values[[one, two]] = values[[two, one]]

    def _draw_link_and_law(self) -> None:
        chance = np.random.default_rng((self.seed, self.round, _SALT["link"]))
        link, law = self.scenario.link, self.scenario.law
        self._latency = float(drawn(link.latency_seconds, 1, chance)[0])
        self._exchange = link.megabytes / float(drawn(link.megabytes_per_second, 1, chance)[0])
        self._progress_noise = law.noise if law else 0.0
        if law is None:
            return
        self._client_drift = float(drawn(law.client_drift, 1, chance)[0])
        scale = float(drawn(law.noise_scale, 1, chance)[0])
        if self.round == 0:  # a world keeps the form of its law; only the numbers change
            interval, batch = chance.integers(len(law.interval)), chance.integers(len(law.batch))
            self._forms = law.interval[interval], law.batch[batch]
            self._scale = scale

    def _efficiency(self) -> Floats:
        intervals = np.array([float(each.sync_interval) for each in self.choices])
        factors = np.array([each.batch_factor for each in self.choices])
        if self.scenario.law is None:
            return np.ones(len(self.choices))
        interval, batch = self._forms
        return interval_efficiency(interval, intervals, self._client_drift) * batch_efficiency(
            batch, factors, self._scale
        )

    def _refuse_strangers(self) -> None:
        count = len(self.fleet)
        for key in ("switch", "swap", "leave"):
            for number, event in enumerate(getattr(self.scenario, key)):
                for agent in event.agents or ():
                    if agent >= count:
                        where = f"{key}.{number}.agents"
                        raise SettingError(f"{where}: there is no agent {agent} of {count}")


def _refuse(agents: int | None, rounds: int | None, seed: int) -> None:
    if agents is not None and not 1 <= agents <= MOST_AGENTS:
        raise SettingError(f"agents must be from 1 to {MOST_AGENTS:,}, got {agents}")
    if rounds is not None and rounds < 1:
        raise SettingError(f"rounds must be at least 1, got {rounds}")
    if seed < 0:
        raise SettingError(f"seed must be at least 0, got {seed}")
