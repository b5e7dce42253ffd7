"""Sync interval and batch by laws that are drawn as they are believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.core.rounds import RoundReading
from paceline.policies.base.efficiency import Efficiency
from paceline.policies.base.grid import slowest
from paceline.policies.base.guided import Guided, Lesson
from paceline.policies.base.policy import Terms


@final
class Thompson(Guided):
    """Works out what is known of a choice, and learns only what is not.

    The progress of a second is ``e(H, m) · H·m / (H·m · seconds + communication)`` in
    micro-batches. The right factor is measured in every round. Of the left one, the
    statistical efficiency, it holds a belief: see ``Efficiency``. Each round a few laws are
    drawn from that belief, and the choice is taken whose progress is best in their mean. One
    law is Thompson sampling; several explore less, and bring more where all choices teach
    something of each other, as they do here.

    The shares are those of the guide.

    Args:
        terms: What it works for.
        laws: That are drawn each round, at least 1.
        guide: The policy that shares out.
        gated: Whether the guide takes over when it is the better one.

    Raises:
        SettingError: A setting is out of its range.

    >>> from paceline.core.rounds import AgentReading, Choice, RoundReading
    >>> choices = tuple(Choice(sync_interval=h) for h in (1, 4, 16, 64))
    >>> policy = Thompson(Terms())
    >>> for number in range(20):  # a synchronisation costs 20 steps, drift a tenth at H = 64
    ...     agents = (AgentReading(samples=4, seconds=0.1),) * 2
    ...     seen = after if number else RoundReading(
    ...         round=0, total=8, agents=agents, choices=choices)
    ...     taken = policy.decide(seen)
    ...     interval = choices[taken.choice].sync_interval
    ...     gained = 8 * interval / (1 + 0.002 * (interval - 1))
    ...     after = RoundReading(
    ...         round=number + 1, total=8, agents=agents, choices=choices, chosen=taken.choice,
    ...         communication_seconds=2.0, progress=gained)
    ...     policy.learn(seen, taken, after)
    >>> policy.decide(after).reason
    'a synchronisation every 64, batch × 1'

    Reference:
        Russo et al., A tutorial on Thompson sampling, 2018, algorithm 4.2.
    """

    def __init__(
        self, terms: Terms, *, laws: int = 8, guide: str = "model", gated: bool = True
    ) -> None:
        super().__init__(terms, guide=guide, gated=gated)
        if not 1 <= laws <= 10_000:
            raise SettingError(f"laws must be from 1 to 10000, got {laws}")
        self.laws = laws
        self._belief = Efficiency(self._grid)

    def _choose(self, seen: RoundReading) -> int:
        generator = np.random.default_rng([self.terms.seed, seen.round])
        efficiency = self._belief.draw(generator, self.laws)
        speeds = self._grid.speeds(slowest(seen.agents), seen.communication_seconds)
        return int((efficiency * speeds).argmax())

    def _efficiency(self, number: int) -> float:
        return float(self._belief.expected()[number])

    def _took(self, lesson: Lesson) -> None:
        self._belief.observe(lesson.number, lesson.efficiency)

    def _renew(self) -> None:
        self._belief = Efficiency(self._grid)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"belief": self._belief.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._belief.load_state_dict(state["belief"])
