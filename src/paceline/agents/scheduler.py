"""Shares out rounds of work among unequal agents; a pure decider, fed with measured seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, final

from paceline.agents.soundness import (
    choice_of,
    expect_choices,
    expect_count,
    expect_not_negative,
    expect_sound,
    price_of,
    samples_of,
    seconds_of,
    terms_of,
)
from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, AgentReading, Assignment, Choice, RoundReading
from paceline.policies.base import Policy


@final
class Scheduler:
    """Decides how many examples each agent gets, from the seconds that the last ones took.

    It starts no process and reads no clock: ask ``allocate_tasks`` before a round, tell
    ``observe`` after it. The same seconds give the same shares.

    The reward that its policy works for is ``R = α · T_ref / T + β · C_ref / C``. T is the
    seconds to one round's worth of progress: those of the slowest agent, for each micro-batch
    of the choice, and of the communication. C is T times the prices of the agents that
    worked. T_ref and C_ref are those of equal shares in the first round.

    Args:
        agents: How many there are, at least 1.
        policy: On the shelf of policies, or ``package.module:Class``.
        alpha: What the time counts, at least 0.
        beta: What the resources count, at least 0; not both 0.
        prices: Of a second of each agent, at least 0; 1 for all when None.
        seed: Of all that the policy draws, at least 0.
        slack: A plan may take this many times the shortest time, at least 1.
        choices: Sync intervals and batches that the policy may choose from; the first is the
            plain one.
        settings: The policy's own.

    Raises:
        SettingError: A setting is out of its range, or there is no such policy.

    >>> scheduler = Scheduler(agents=2)
    >>> scheduler.allocate_tasks(90)
    (45, 45)
    >>> scheduler.observe([0.45, 0.9])
    >>> first, second = scheduler.allocate_tasks(90)
    >>> first > second, first + second
    (True, 90)
    """

    def __init__(
        self,
        agents: int = 4,
        policy: str = "model",
        alpha: float = 1.0,
        beta: float = 0.0,
        prices: Sequence[float] | None = None,
        seed: int = 0,
        *,
        slack: float = 1.25,
        choices: Sequence[Choice] = (Choice(),),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        expect_count(agents)
        terms = terms_of(alpha, beta, slack, seed)
        expect_choices(choices)
        given = [1.0] * agents if prices is None else [price_of(each) for each in prices]
        if len(given) != agents:
            raise SettingError(f"prices must be {agents}, one for each agent, got {len(given)}")
        self.terms, self.choices = terms, tuple(choices)
        self.policy_name = policy
        part = catalog.find("policies", policy)
        self.policy: Policy = catalog.build(part, dict(settings or {}), terms)
        self._agents = [AgentReading(price=price) for price in given]
        self._round, self._total, self._chosen = 0, 1, 0
        self._communication, self._reward, self._progress = 0.0, NAN, NAN
        self._reference: tuple[float, float] | None = None
        self._pending: Assignment | None = None
        self._last: Assignment | None = None
        self._merging = [0] * agents
        self._since = 0

    @property
    def agents(self) -> int:
        """How many there are, dead ones too."""
        return len(self._agents)

    @property
    def decisions(self) -> Assignment | None:
        """The last assignment with its reason; None before the first."""
        return self._last

    @property
    def expected_seconds(self) -> tuple[float, ...]:
        """What each agent was thought to need for the last assignment; empty when unknown."""
        return () if self._last is None else self._last.expected_seconds

    @property
    def reading(self) -> RoundReading:
        """What the policy sees."""
        return RoundReading(
            round=self._round,
            total=self._total,
            agents=tuple(self._agents),
            communication_seconds=self._communication,
            choices=self.choices,
            chosen=self._chosen,
            reward=self._reward,
            progress=self._progress,
        )

    def allocate_tasks(self, total: int) -> tuple[int, ...]:
        """Examples for each agent in the next round, summing to ``total``.

        Asked again before ``observe`` it answers the same, unless the agents have changed.

        Args:
            total: At least 1.

        Raises:
            SettingError: The total is under 1, all agents are dead, their memories cannot
                hold it, or the policy does not keep its word.
        """
        if not isinstance(total, int) or isinstance(total, bool) or total < 1:
            raise SettingError(f"there must be at least 1 example to share out, got {total!r}")
        if not any(each.is_up for each in self._agents):
            raise SettingError(f"all {self.agents} agents are dead: let one join, then go on")
        if self._pending is None or sum(self._pending.samples) != total:
            self._total = total
            seen = self.policy.observe(self.reading)
            decided = self.policy.decide(seen)
            expect_sound(decided, seen, self.policy_name)
            self._pending = self._last = decided
        return self._pending.samples

    def observe(
        self,
        seconds: Sequence[float],
        *,
        communication_seconds: float = 0.0,
        progress: float = NAN,
        samples: Sequence[int] | None = None,
        choice: int | None = None,
    ) -> None:
        """Takes in what the last allocation took.

        Args:
            seconds: One for each agent: what it computed for its share, waiting left out, of
                one micro-batch where the choice has several; 0 for no work, nan for an agent
                that is dead or will not be there in the next round. 0 says of a dead one that
                it is back.
            communication_seconds: What the synchronisation took beside that, at least 0.
            samples: What was really given to each, where that was not what was allocated.
            choice: Number of the one that the round was really done with, likewise.
            progress: Examples times their statistical efficiency; nan where it is not known.

        Raises:
            SettingError: Nothing was allocated, there are not as many seconds as agents, or a
                number is out of its range.
        """
        if self._pending is None:
            raise SettingError("nothing is allocated: ask allocate_tasks before observe")
        times = seconds_of(seconds, self.agents)
        expect_not_negative("communication_seconds", communication_seconds)
        if progress <= 0 or progress == math.inf:
            raise SettingError(f"progress must be over 0, or nan where unknown, got {progress:g}")
        done, seen = self._pending, self.reading
        if samples is not None:
            done = replace(done, samples=samples_of(samples, self.agents))
        if choice is not None:
            done = replace(done, choice=choice_of(choice, self.choices))
        self._agents = [
            replace(agent, samples=samples, seconds=time)
            for agent, samples, time in zip(self._agents, done.samples, times, strict=True)
        ]
        self._communication, self._progress = float(communication_seconds), float(progress)
        self._chosen = done.choice
        self._round += 1
        self._score()
        self._count(done)
        self._pending = None
        self.policy.learn(self.policy.observe(seen), done, self.reading)

    def synchronize_models(self) -> tuple[float, ...]:
        """Weights with which the agents' models are to be merged after the last round.

        Each is the agent's part of the examples since the last merging; they sum to 1. Empty
        while the agents go on by themselves, because the sync interval is not over. What an
        agent did that died since is lost.

        >>> scheduler = Scheduler(agents=2, policy="fixed", settings={"shares": [1.0, 3.0]})
        >>> shares = scheduler.allocate_tasks(8)
        >>> scheduler.observe([1.0, 1.0])
        >>> scheduler.synchronize_models()
        (0.25, 0.75)
        """
        done = sum(self._merging)
        if not done or self._since < self.choices[self._chosen].sync_interval:
            return ()
        return tuple(each / done for each in self._merging)

    def join(self, price: float = 1.0, *, agent: int | None = None) -> int:
        """Takes in one more agent, or a dead one that is back; gives its number.

        Args:
            price: Of a second of a new agent, at least 0.
            agent: The number of the one that is back; None for a new one.

        Raises:
            SettingError: The price is negative, or there is no such agent.
        """
        self._pending = None
        if agent is not None:
            self._expect_agent(agent)
            back = replace(self._agents[agent], samples=0, seconds=0.0)
            self._agents[agent] = back
            return agent
        self._agents.append(AgentReading(price=price_of(price)))
        self._merging.append(0)
        return self.agents - 1

    def leave(self, agent: int) -> None:
        """Gives an agent no more work until it joins again.

        Raises:
            SettingError: There is no such agent.
        """
        self._expect_agent(agent)
        self._agents[agent] = replace(self._agents[agent], samples=0, seconds=NAN)
        self._merging[agent] = 0
        self._pending = None

    def cap(self, agent: int, most_samples: int | None) -> None:
        """Never gives an agent more than fits into its memory.

        In the middle of a round it holds from the next one on.

        Args:
            agent: Its number.
            most_samples: At least 0; None for no limit.

        Raises:
            SettingError: There is no such agent, or the limit is negative.
        """
        self._expect_agent(agent)
        if most_samples is not None and (not isinstance(most_samples, int) or most_samples < 0):
            raise SettingError(f"most_samples must be at least 0 or None, got {most_samples!r}")
        self._agents[agent] = replace(self._agents[agent], most_samples=most_samples)

    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""
        return {
            "policy_name": self.policy_name,
            "policy": self.policy.state_dict(),
            "agents": [asdict(each) for each in self._agents],
            "round": self._round,
            "total": self._total,
            "chosen": self._chosen,
            "communication": self._communication,
            "reward": self._reward,
            "progress": self._progress,
            "reference": None if self._reference is None else list(self._reference),
            "pending": None if self._pending is None else asdict(self._pending),
            "last": None if self._last is None else asdict(self._last),
            "merging": list(self._merging),
            "since": self._since,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the state of another policy's scheduler, or of none.
        """
        named = state.get("policy_name")
        if named != self.policy_name:
            raise SettingError(
                f"this is the state of a scheduler with the policy {named!r}, "
                f"not {self.policy_name!r}"
            )
        self.policy.load_state_dict(state["policy"])
        self._agents = [AgentReading(**each) for each in state["agents"]]
        self._round, self._total = int(state["round"]), int(state["total"])
        self._chosen, self._since = int(state["chosen"]), int(state["since"])
        self._communication = float(state["communication"])
        self._reward, self._progress = float(state["reward"]), float(state["progress"])
        reference, pending, last = state["reference"], state["pending"], state["last"]
        self._reference = None if reference is None else (reference[0], reference[1])
        self._pending = None if pending is None else _assignment(pending)
        self._last = None if last is None else _assignment(last)
        self._merging = [int(each) for each in state["merging"]]

    def _score(self) -> None:
        """The reward of the round that was."""
        choice = self.choices[self._chosen]
        batches = choice.sync_interval * choice.batch_factor
        gained = self._progress / self._total if self._progress > 0 else batches
        worked = [each for each in self._agents if each.samples and each.seconds > 0]
        if not worked:
            self._reward = NAN
            return
        compute = max(each.seconds for each in worked)
        seconds = (batches * compute + self._communication) / gained / self._total
        cost = seconds * sum(each.price for each in worked)
        if self._reference is None:
            self._reference = self._equal(gained, batches)
        time_ref, cost_ref = self._reference
        costs = cost_ref / cost if cost > 0 else 1.0
        self._reward = self.terms.alpha * time_ref / seconds + self.terms.beta * costs

    def _equal(self, gained: float, batches: float) -> tuple[float, float]:
        """Time and cost of an example, were the round's shares equal."""
        up = [each for each in self._agents if each.is_up]
        each_has = self._total / len(up)
        paces = [each.seconds / each.samples for each in up if each.samples and each.seconds > 0]
        compute = max(paces) * each_has
        seconds = (batches * compute + self._communication) / gained / self._total
        return seconds, seconds * sum(each.price for each in up)

    def _count(self, choice: Assignment) -> None:
        """Whose examples are in the models that are merged next."""
        interval = self.choices[self._chosen].sync_interval
        if self._since >= interval:
            self._since, self._merging = 0, [0] * self.agents
        self._since += 1
        for number, agent in enumerate(self._agents):
            has = self._merging[number] + choice.samples[number]
            self._merging[number] = has if agent.is_up else 0

    def _expect_agent(self, agent: int) -> None:
        if not isinstance(agent, int) or not 0 <= agent < self.agents:
            raise SettingError(f"there are the agents 0 to {self.agents - 1}, got {agent!r}")


def _assignment(given: Mapping[str, Any]) -> Assignment:
    return Assignment(
        samples=tuple(given["samples"]),
        choice=int(given["choice"]),
        expected_seconds=tuple(given["expected_seconds"]),
        reason=str(given["reason"]),
    )
