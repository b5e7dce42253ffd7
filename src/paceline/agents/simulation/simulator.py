"""Drives a Scheduler through a simulated world, beside an oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from paceline.agents.scheduler import Scheduler
from paceline.agents.simulation.oracle import Oracle
from paceline.agents.simulation.scenario import Scenario
from paceline.agents.simulation.speed_curves import Floats
from paceline.agents.simulation.world import Outcome, World
from paceline.core.clock import Clock, WallClock
from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, Assignment

LOADS = (1.0, 0.9, 0.8, 0.76, 0.72, 0.68, 0.64, 0.6, 0.5)
ADAPTED = 0.95
# A plan may miss the slack by as much as an estimate of a speed may be wrong.
_FORGIVEN = 1.1
_SHOWN = 16

Tick = Callable[[float], None]


class Shares(Protocol):
    """As much of ``paceline.Scheduler`` as a simulation calls."""

    @property
    def decisions(self) -> Assignment | None:
        """The last assignment."""

    def allocate_tasks(self, total: int) -> Sequence[int]:
        """Examples for each agent, summing to ``total``."""

    def observe(
        self, seconds: Sequence[float], *, communication_seconds: float, progress: float
    ) -> None:
        """What the last allocation took."""

    def join(self, price: float) -> Any:
        """One more agent."""

    def leave(self, agent: int) -> None:
        """An agent is not there."""

    def cap(self, agent: int, most_samples: int) -> None:
        """An agent cannot hold more."""


Make = Callable[[World], Shares]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What happened, round by round; every array has shape (rounds,).

    Attributes:
        seconds: Of one plain round's progress, with noise and deaths.
        expected_seconds: The same of the plans: in the mean over the noise, without deaths.
        reward: ``alpha · T_ref / T + beta · C_ref / C``, with noise and deaths.
        expected_reward: The same of the plans.
        shares: Examples of the first agents; shape (rounds, up to 16 agents).
        choices: Numbers of the choices.
        over_slack: Whether a plan took longer than the scenario's slack allows.
        switches: Rounds in which the world changed at once.
        decide_seconds: Wall-clock seconds that the policy took for a round, in the mean.
        reasons: Rounds with the reason that the policy gave, where it changed.
    """

    seconds: Floats
    expected_seconds: Floats
    reward: Floats
    expected_reward: Floats
    shares: Floats
    choices: Floats
    over_slack: Floats
    switches: tuple[int, ...] = ()
    decide_seconds: float = 0.0
    reasons: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A policy beside the oracle, in the same world with the same chance.

    Attributes:
        time_share_of_oracle: The oracle's seconds over the policy's, for the same progress.
        reward_share_of_oracle: The policy's reward over the oracle's, the mean over the rounds.
        rounds_to_adapt: Rounds after a switch until the plan is worth 0.95 of the oracle's,
            the mean over the switches; 0 where there is none.
        policy_seconds_per_round: Wall-clock seconds of deciding and learning.
        share_over_slack: Share of the rounds with a plan that the slack does not admit; their
            reward may be beyond the oracle's, which keeps to it.
    """

    time_share_of_oracle: float
    reward_share_of_oracle: float
    rounds_to_adapt: float
    policy_seconds_per_round: float
    share_over_slack: float


@final
class _Log:
    """Collects a trace."""

    def __init__(self, world: World, oracle: Oracle) -> None:
        self._world, self._oracle = world, oracle
        self._rows: list[tuple[float, ...]] = []
        self._shares: list[list[int]] = []
        self.reasons: list[tuple[int, str]] = []
        self.decide_seconds = 0.0

    def add(self, outcome: Outcome, samples: Sequence[int], choice: int, reason: str) -> None:
        worth_of = self._oracle.reward
        paid, plan = outcome.paid_seconds, outcome.expected_seconds
        rewards = worth_of(paid, outcome.price), worth_of(plan, outcome.price)
        slack = self._world.scenario.reward.slack * _FORGIVEN
        slow = outcome.true_seconds > slack * outcome.shortest_seconds
        self._rows.append((paid, plan, *rewards, choice, slow))
        shown = [*samples[:_SHOWN]]
        width = min(_SHOWN, len(self._world.fleet))
        self._shares.append(shown + [0] * (width - len(shown)))
        if reason and (not self.reasons or self.reasons[-1][1] != reason):
            self.reasons.append((len(self._rows) - 1, reason))

    def trace(self) -> Trace:
        rows = np.array(self._rows, dtype=float).reshape(-1, 6)
        return Trace(
            seconds=rows[:, 0],
            expected_seconds=rows[:, 1],
            reward=rows[:, 2],
            expected_reward=rows[:, 3],
            shares=np.array(self._shares, dtype=float),
            choices=rows[:, 4],
            over_slack=rows[:, 5],
            switches=self._world.switches,
            decide_seconds=self.decide_seconds / max(len(rows), 1),
            reasons=tuple(self.reasons),
        )


def run_policy(
    world: World, make: Make, *, tick: Tick | None = None, clock: Clock | None = None
) -> Trace:
    """Lets a scheduler work in a new world until its last round.

    A round with the choice (H, m) is H local steps of m micro-batches, each with the samples
    that were allocated, and one synchronisation. The scheduler is told the seconds of one
    micro-batch, nan for those that will not be there in the next round, and the examples'
    worth where the scenario has a law.

    Args:
        world: In its first round.
        make: Builds the scheduler for the agents that are there.
        tick: Is told the share of the rounds that is done.
        clock: Tells how long the policy takes; the machine's when None.

    Raises:
        SettingError: Nobody is left, or the policy refuses what it is asked.
    """
    oracle, scheduler, clock = Oracle(world), make(world), clock or WallClock()
    log, known, learns = _Log(world, oracle), world.first, world.scenario.law is not None
    for agent in np.flatnonzero(~world.up[:known]).tolist():
        scheduler.leave(agent)
    for number in range(world.rounds):
        if not world.up.any():
            raise SettingError(f"round {number}: all agents are away")
        for agent in range(known, world.present):
            scheduler.join(float(world.fleet.price[agent]))
        known = world.present
        began = clock.now()
        samples = scheduler.allocate_tasks(world.total)
        decided = scheduler.decisions
        spent = clock.now() - began
        choice = decided.choice if decided is not None else 0
        outcome = world.step(samples, choice)
        began = clock.now()
        for agent in outcome.over_memory:
            scheduler.cap(agent, max(1, samples[agent] // 2))
        scheduler.observe(
            outcome.agent_seconds,
            communication_seconds=outcome.communication_seconds,
            progress=outcome.progress if learns else NAN,
        )
        log.decide_seconds += spent + clock.now() - began
        log.add(outcome, samples, choice, decided.reason if decided is not None else "")
        if tick is not None:
            tick((number + 1) / world.rounds)
    return log.trace()


def run_oracle(
    scenario: Scenario,
    *,
    agents: int | None = None,
    rounds: int | None = None,
    seed: int = 0,
    tick: Tick | None = None,
) -> Trace:
    """What the oracle reaches; where agents throttle, with the best of ``LOADS``.

    Args:
        scenario: What the world is made of.
        agents: As for a ``World``.
        rounds: As for a ``World``.
        seed: As for a ``World``.
        tick: Is told the share that is done.

    Raises:
        SettingError: A number is out of its range, or nobody is left.
    """
    throttles = any(each.heat is not None for each in scenario.agents)
    loads = LOADS if throttles else (1.0,)
    traces = []
    for turn, load in enumerate(loads):
        world = World(scenario, agents=agents, rounds=rounds, seed=seed)
        oracle = Oracle(world, load=load)
        log = _Log(world, oracle)
        for number in range(world.rounds):
            if not world.up.any():
                raise SettingError(f"round {number}: all agents are away")
            plan, here = oracle.plan(), world.present
            samples = plan.samples[:here].tolist()
            log.add(world.step(samples, plan.choice), samples, plan.choice, "")
            if tick is not None:
                tick((turn + (number + 1) / world.rounds) / len(loads))
        traces.append(log.trace())
    return max(traces, key=lambda each: float(each.reward.sum()))


def scheduler_for(policy: str, *, settings: dict[str, Any] | None = None) -> Make:
    """Builds ``paceline.Scheduler`` with a policy for a world's prices, terms and choices.

    Args:
        policy: A name on the shelf of policies, or ``package.module:Class``.
        settings: The policy's own settings.
    """

    def make(world: World) -> Shares:
        terms = world.scenario.reward
        return Scheduler(
            agents=world.first,
            policy=policy,
            alpha=terms.alpha,
            beta=terms.beta,
            prices=world.fleet.price[: world.first].tolist(),
            seed=world.seed,
            slack=terms.slack,
            choices=world.choices,
            settings=settings,
        )

    return make


def compare(own: Trace, oracle: Trace) -> Score:
    """The figures of a policy's trace beside the oracle's of the same world."""
    return Score(
        time_share_of_oracle=float(oracle.seconds.sum() / own.seconds.sum()),
        reward_share_of_oracle=float((own.reward / oracle.reward).mean()),
        rounds_to_adapt=rounds_to_adapt(own, oracle),
        policy_seconds_per_round=own.decide_seconds,
        share_over_slack=float(own.over_slack.mean()),
    )


def rounds_to_adapt(own: Trace, oracle: Trace) -> float:
    """Rounds after a switch until the plan is worth ``ADAPTED`` of the oracle's again.

    Plans are compared by what they take in the mean over the noise, so that a lucky round is
    not taken for a good plan. A switch that is not mastered counts until the next one, or the
    end.

    >>> many = {"seconds": np.ones(6), "expected_seconds": np.ones(6), "reward": np.ones(6)}
    >>> many |= {"shares": np.ones((6, 1)), "choices": np.ones(6), "over_slack": np.zeros(6)}
    >>> many["switches"] = (2,)
    >>> best = Trace(expected_reward=np.ones(6), **many)
    >>> rounds_to_adapt(Trace(expected_reward=np.array([1, 1, 0.5, 0.9, 0.96, 1]), **many), best)
    2.0
    """
    if not own.switches:
        return 0.0
    good = own.expected_reward >= ADAPTED * oracle.expected_reward
    ends = [*own.switches[1:], len(good)]
    needed = [
        int(good[begin:end].argmax()) if good[begin:end].any() else end - begin
        for begin, end in zip(own.switches, ends, strict=True)
    ]
    return float(np.mean(needed))
