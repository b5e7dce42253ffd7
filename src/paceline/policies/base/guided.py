"""What learned policies share: a guide that shares out, and a gate that lets them decide."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.rounds import AgentReading, Assignment, RoundReading
from paceline.policies.base.alone import Alone
from paceline.policies.base.gate import Gate
from paceline.policies.base.grid import Grid, log_efficiency, slowest
from paceline.policies.base.policy import Policy, Terms
from paceline.policies.base.sight import Sight

# So many rounds without measured progress, and there is nothing to learn from.
_SILENCE = 8


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What came of one choice.

    Attributes:
        seen: The reading before the round.
        outcome: The reading after it.
        number: Of the choice.
        efficiency: Log of what an example brought, of what it brings with the plain choice.
        reward: Log of what a second brought, in micro-batches, times the seconds of one.
        own: Whether the policy itself decided, and not its guide.
    """

    seen: RoundReading
    outcome: RoundReading
    number: int
    efficiency: float
    reward: float
    own: bool


class Guided(Policy):
    """Chooses the sync interval and the batch, and leaves the shares to another policy.

    That other one, the guide, is asked every round. Where there is nothing to choose, or no
    progress is measured, its assignment is taken as it is; else its choice is replaced. It is
    not told what a synchronisation takes then, since that is spread over the interval; where
    one agent alone would bring more than all with the choice, that one does the round: see
    ``Alone``. The guide promises what the plain choice would have brought in the same round,
    or one agent: the efficiency of the plain choice is 1, and the seconds of a micro-batch and
    of a synchronisation are measured. When the learned policy stays behind that, the guide
    takes over for a while: see ``Gate``.

    Args:
        terms: What it works for.
        guide: The policy that shares out.
        gated: Whether the guide takes over when it is the better one.

    Attributes:
        shared_first: Rounds that are shared before one agent may do all: enough to find a
            choice that is better.
        may_be_alone: Whether one agent may do all where that is better.

    Raises:
        SettingError: There is no such guide, or it is itself a policy that needs one.
    """

    shared_first: ClassVar[int] = 12
    may_be_alone: ClassVar[bool] = True

    def __init__(self, terms: Terms, *, guide: str = "model", gated: bool = True) -> None:
        super().__init__(terms)
        part = catalog.find("policies", guide)
        if issubclass(part, Guided):
            raise SettingError(f"guide must be a policy that needs no guide, got {guide!r}")
        self.guide, self.gated = guide, gated
        self._guide: Policy = catalog.build(part, {}, terms)
        self._gate, self._alone, self._sight = (
            Gate(),
            Alone(terms, first=self.shared_first),
            Sight(),
        )
        self._silent, self._at = _SILENCE, 0
        self._grid = Grid((RoundReading(round=0, total=1, agents=()).choices[0],))

    @abstractmethod
    def _choose(self, seen: RoundReading) -> int:
        """The number of the choice to try; there are several."""

    @abstractmethod
    def _took(self, lesson: Lesson) -> None:
        """Learns from a round with a choice."""

    @abstractmethod
    def _renew(self) -> None:
        """Forgets what was learnt of other choices than those of ``self._grid``."""

    def _share(self, seen: RoundReading, planned: Assignment) -> Assignment:
        """The assignment where there is nothing to choose; the guide's unless overridden."""
        return planned

    def _shared(self, seen: RoundReading, taken: Assignment, outcome: RoundReading) -> None:
        """Learns from a round in which there was nothing to choose."""

    def _why(self, number: int) -> str:
        """What is told of a choice."""
        choice = self._grid.choices[number]
        return f"a synchronisation every {choice.sync_interval}, batch × {choice.batch_factor:g}"

    def _efficiency(self, number: int) -> float:
        """What an example is thought to bring with a choice."""
        return 1.0 if number == 0 else self._sight.efficiency(number)

    def decide(self, seen: RoundReading) -> Assignment:
        if len(seen.choices) == 1:
            planned = self._guide.decide(seen)
            if not self._gate.is_open:
                return replace(planned, reason=self._gate.reason)
            return self._share(seen, planned)
        planned = self._guide.decide(_without_link(seen))
        if self._silent >= _SILENCE or seen.choices != self._grid.choices:
            return replace(planned, reason="the model decides: no progress was measured yet")
        number, why = 0, self._gate.reason
        if self._gate.is_open:
            number = self._choose(self._as_shared(seen))
            why = self._why(number)
        speeds = self._grid.speeds(self._alone.seconds, self._alone.communication)
        speed = max(float(speeds[number]) * self._efficiency(number), float(speeds[0]))
        alone = None
        if self.may_be_alone:
            alone = self._alone.assignment(seen, planned.samples, speed)
        return alone or replace(planned, choice=number, reason=why)

    def _as_shared(self, seen: RoundReading) -> RoundReading:
        """The reading, with what the last shared round took where one agent did the last one."""
        if sum(each.samples > 0 for each in seen.agents) > 1:
            return replace(seen, chosen=self._at)
        agents = (AgentReading(samples=seen.total, seconds=self._alone.seconds),)
        return replace(
            seen,
            agents=agents,
            communication_seconds=self._alone.communication,
            chosen=self._at,
        )

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        decided = self._gate.is_open
        if len(seen.choices) == 1:
            gap = _gap_of_shares(self.terms, self._guide.decide(seen), outcome)
            if decided:
                self._shared(seen, choice, outcome)
            self._guide.learn(seen, choice, outcome)
        else:
            gap = self._learn_choice(seen, choice, outcome, decided=decided)
            self._guide.learn(_without_link(seen), choice, _without_link(outcome))
        if self.gated:
            self._gate.learn(gap)

    def _learn_choice(
        self, seen: RoundReading, taken: Assignment, outcome: RoundReading, *, decided: bool
    ) -> float:
        """Learns from the round; gives how much better than the plain choice it was."""
        number, fits = taken.choice, seen.choices == self._grid.choices
        if not fits:
            self._grid, self._sight, self._at = Grid(seen.choices), Sight(), 0
            self._renew()
        before = self._as_shared(seen)
        shared = self._alone.learn(outcome, taken.samples)
        efficiency = log_efficiency(outcome, seen.choices[number], sum(taken.samples))
        seconds = slowest(outcome.agents)
        if not math.isfinite(efficiency) or seconds <= 0:
            self._silent = min(self._silent + 1, _SILENCE)
            return math.nan
        asked = self._silent < _SILENCE and fits and decided
        self._silent = 0
        if not shared and self.may_be_alone:
            return math.nan
        self._at = number
        self._sight.observe(number, efficiency)
        speeds = self._grid.speeds(seconds, outcome.communication_seconds)
        self._took(
            Lesson(
                seen=before,
                outcome=outcome,
                number=number,
                efficiency=efficiency,
                reward=efficiency + math.log(speeds[number] * seconds),
                own=asked,
            )
        )
        by_itself = self._alone.plan(outcome) if self.may_be_alone else None
        promised = float(speeds[0])
        if by_itself is not None and sum(count > 0 for count in taken.samples) > 1:
            promised = max(promised, 1 / by_itself[1])
        return efficiency + math.log(speeds[number] / promised)

    def state_dict(self) -> dict[str, Any]:
        return {
            "guide": self._guide.state_dict(),
            "gate": self._gate.state_dict(),
            "alone": self._alone.state_dict(),
            "sight": self._sight.to_json(),
            "silent": self._silent,
            "at": self._at,
            "choices": self._grid.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._guide.load_state_dict(state["guide"])
        self._gate.load_state_dict(state["gate"])
        self._alone.load_state_dict(state["alone"])
        self._silent, self._at = int(state["silent"]), int(state["at"])
        self._grid, self._sight = Grid.from_json(state["choices"]), Sight(state["sight"])
        self._renew()


def _without_link(seen: RoundReading) -> RoundReading:
    return replace(seen, communication_seconds=0.0)


def _gap_of_shares(terms: Terms, planned: Assignment, outcome: RoundReading) -> float:
    """How much better a round was than the guide promised; nan where it promised nothing.

    The reward is ``(α + β · P_all / P) · T_ref / T`` with P the prices of the agents that
    worked and ``P_all`` of all; ``T_ref`` is the same on both sides.
    """
    agents = outcome.agents
    promised = planned.expected_seconds
    if len(promised) > len(agents) or not any(map(math.isfinite, promised)):
        return math.nan
    everything = sum(each.price for each in agents if each.is_up)
    worth = []
    for samples, seconds in (
        ([each.samples for each in agents], [each.seconds for each in agents]),
        (planned.samples, promised),
    ):
        working = [at for at, count in enumerate(samples) if count > 0]
        price = sum(agents[at].price for at in working)
        longest = max((seconds[at] for at in working if math.isfinite(seconds[at])), default=0.0)
        longest += outcome.communication_seconds
        share = everything / price if price > 0 else 1.0
        worth.append((terms.alpha + terms.beta * share) / longest if longest > 0 else 0.0)
    return math.log(worth[0] / worth[1]) if min(worth) > 0 else math.nan
