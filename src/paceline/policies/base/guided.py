"""What learned policies share: a guide that shares out, and a gate that lets them decide."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment, RoundReading
from paceline.policies.base.gate import Gate
from paceline.policies.base.grid import Grid, log_efficiency, slowest
from paceline.policies.base.policy import Policy, Terms

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
    progress is measured, its assignment is taken as it is; else its choice is replaced. It
    promises what the plain choice would have brought in the same round: the efficiency of the
    plain choice is 1, and the seconds of a micro-batch and of a synchronisation are measured.
    When the learned policy stays behind that, the guide takes over for a while: see ``Gate``.

    Args:
        terms: What it works for.
        guide: The policy that shares out.
        gated: Whether the guide takes over when it is the better one.

    Raises:
        SettingError: There is no such guide, or it is itself a policy that needs one.
    """

    def __init__(self, terms: Terms, *, guide: str = "model", gated: bool = True) -> None:
        super().__init__(terms)
        part = catalog.find("policies", guide)
        if issubclass(part, Guided):
            raise SettingError(f"guide must be a policy that needs no guide, got {guide!r}")
        self.guide, self.gated = guide, gated
        self._guide: Policy = catalog.build(part, {}, terms)
        self._gate = Gate()
        self._silent = _SILENCE
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

    def decide(self, seen: RoundReading) -> Assignment:
        planned = self._guide.decide(seen)
        if not self._gate.is_open:
            return replace(planned, reason=self._gate.reason)
        if len(seen.choices) == 1:
            return self._share(seen, planned)
        if self._silent >= _SILENCE or seen.choices != self._grid.choices:
            return replace(planned, reason="the model decides: no progress was measured yet")
        number = self._choose(seen)
        choice = seen.choices[number]
        why = f"a synchronisation every {choice.sync_interval}, batch × {choice.batch_factor:g}"
        return replace(planned, choice=number, reason=why)

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        decided = self._gate.is_open
        if len(seen.choices) == 1:
            gap = _gap_of_shares(self.terms, self._guide.decide(seen), outcome)
            if decided:
                self._shared(seen, choice, outcome)
        else:
            gap = self._learn_choice(seen, choice, outcome, decided=decided)
        self._guide.learn(seen, choice, outcome)
        if self.gated:
            self._gate.learn(gap)

    def _learn_choice(
        self, seen: RoundReading, taken: Assignment, outcome: RoundReading, *, decided: bool
    ) -> float:
        """Learns from the round; gives how much better than the plain choice it was."""
        number, fits = taken.choice, seen.choices == self._grid.choices
        if not fits:
            self._grid = Grid(seen.choices)
            self._renew()
        choice = seen.choices[number]
        efficiency = log_efficiency(outcome, choice, sum(taken.samples))
        seconds = slowest(outcome.agents)
        if not math.isfinite(efficiency) or seconds <= 0:
            self._silent = min(self._silent + 1, _SILENCE)
            return math.nan
        asked = self._silent < _SILENCE and fits and decided
        self._silent = 0
        speeds = self._grid.speeds(seconds, outcome.communication_seconds)
        gap = efficiency + math.log(speeds[number] / speeds[0])
        self._took(
            Lesson(
                seen=seen,
                outcome=outcome,
                number=number,
                efficiency=efficiency,
                reward=efficiency + math.log(speeds[number] * seconds),
                own=asked,
            )
        )
        return gap

    def state_dict(self) -> dict[str, Any]:
        return {
            "guide": self._guide.state_dict(),
            "gate": self._gate.state_dict(),
            "silent": self._silent,
            "choices": self._grid.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._guide.load_state_dict(state["guide"])
        self._gate.load_state_dict(state["gate"])
        self._silent = int(state["silent"])
        self._grid = Grid.from_json(state["choices"])
        self._renew()


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
