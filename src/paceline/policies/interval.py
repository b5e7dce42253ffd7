"""Local steps between two synchronisations by a plain rule, as few as the link allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, median
from typing import Any, final

from paceline.core.errors import SettingError
from paceline.core.rounds import RoundReading
from paceline.policies.base.grid import slowest
from paceline.policies.base.guided import Guided, Lesson
from paceline.policies.base.policy import Terms

# Rounds that are looked at, and that pass at least between two changes.
_WINDOW = 6
# Down only where the synchronisation takes clearly less than it may.
_CLEARLY = 0.6
# A synchronisation that takes so much of what the interval grew by does not get rarer by it.
_GROWS_ALONG = 0.75
_JUDGED, _MARGIN = 4, 0.02
_MOST_REST = 1280


@final
class Interval(Guided):
    """Takes local steps where a synchronisation takes too much of a round, and no more than needed.

    The interval H is the smallest with ``communication / (H · seconds + communication) ≤ share``,
    both of them medians of the last six rounds; it goes up to the next choice at a time, and
    down at once, but only where the share stays under ``0.6 · share``. It goes back to the plain
    choice where examples bring so much less that a second brings less, and back to the
    choice before where the synchronisation grew as the interval did: then it is in the steps,
    unless it is as long there too.
    After that it stays for ``rest`` rounds, and twice as many each time.

    Other batches than that of the plain choice are not tried. The shares are those of the guide.

    Args:
        terms: What it works for.
        share: Of a round, that a synchronisation may take, over 0 and under 1.
        most: Longest interval, at least 1.
        rest: Rounds without a new attempt after one that failed, at least 1.
        guide: The policy that shares out.
        gated: Whether the guide takes over when it is the better one.

    Raises:
        SettingError: A setting is out of its range.

    >>> from paceline.core.rounds import AgentReading, Choice
    >>> choices = tuple(Choice(sync_interval=h) for h in (1, 2, 4, 8))
    >>> policy, agents = Interval(Terms(), guide="equal"), (AgentReading(seconds=1.0),) * 2
    >>> seen = RoundReading(round=0, total=8, agents=agents, choices=choices)
    >>> for number in range(1, 40):  # a synchronisation takes half as long as a step
    ...     taken = policy.decide(seen)
    ...     after = RoundReading(
    ...         round=number, total=8, agents=agents, choices=choices, chosen=taken.choice,
    ...         progress=8.0 * choices[taken.choice].sync_interval, communication_seconds=0.5)
    ...     policy.learn(seen, taken, after)
    ...     seen = after
    >>> choices[taken.choice].sync_interval, taken.reason
    (4, 'a synchronisation every 4 steps takes 11 % of a round')

    Reference:
        Stich, Local SGD converges fast and communicates little, ICLR 2019.
    """

    may_be_alone = False  # a team's only agent has a link too

    def __init__(
        self,
        terms: Terms,
        *,
        share: float = 0.15,
        most: int = 16,
        rest: int = 40,
        guide: str = "model",
        gated: bool = True,
    ) -> None:
        super().__init__(terms, guide=guide, gated=gated)
        if not 0 < share < 1:
            raise SettingError(f"share must be over 0 and under 1, got {share:g}")
        if not 1 <= most < 2**31:
            raise SettingError(f"most must be at least 1, got {most}")
        if not 1 <= rest < 2**31:
            raise SettingError(f"rest must be at least 1, got {rest}")
        self.share, self.most, self.rest = float(share), most, rest
        self._renew()

    def _choose(self, seen: RoundReading) -> int:
        return self._wanted

    def _why(self, number: int) -> str:
        return self._reason or super()._why(number)

    def _renew(self) -> None:
        self._wanted = self._before = 0
        self._reason = ""
        self._seconds: list[float] = []
        self._links: list[float] = []
        self._gaps: list[float] = []
        self._link_before = self._doubted = math.nan
        self._left, self._next_rest = 0, self.rest

    def _took(self, lesson: Lesson) -> None:
        if lesson.number != self._wanted:  # the gate has closed, or it was not asked
            self._go_to(lesson.number, "")
            self._link_before = math.nan
        self._left = max(self._left - 1, 0)
        self._seconds = [*self._seconds[1 - _WINDOW :], slowest(lesson.outcome.agents)]
        self._links = [*self._links[1 - _WINDOW :], lesson.outcome.communication_seconds]
        speeds = self._grid.speeds(median(self._seconds), median(self._links))
        gap = lesson.efficiency + math.log(speeds[lesson.number] / speeds[0])
        self._gaps = [*self._gaps[1 - _JUDGED :], gap]
        self._think()

    def _think(self) -> None:
        """Back where the last change did not pay; else on, once enough was seen."""
        here = self._wanted
        if here != 0 and len(self._gaps) == _JUDGED and fmean(self._gaps) < -_MARGIN:
            lost = 1 - math.exp(fmean(self._gaps))
            self._back(0, f"local steps brought {100 * lost:.0f} % less a second")
        elif len(self._links) == _WINDOW:
            if self._grew_along():
                self._doubted = median(self._links)
                self._back(self._before, "a synchronisation took longer with every local step")
            else:
                self._link_before = math.nan
                if median(self._links) >= _GROWS_ALONG * self._doubted:  # the link itself is slow
                    self._left, self._next_rest = 0, max(self._next_rest // 2, self.rest)
                self._doubted = math.nan
                self._move()

    def _grew_along(self) -> bool:
        ratio = self._steps(self._wanted) / self._steps(self._before)
        return median(self._links) >= (1 + _GROWS_ALONG * (ratio - 1)) * self._link_before

    def _move(self) -> None:
        row = self._grid.intervals.index(self._steps(self._wanted))
        if self._taken(self._wanted) > self.share:
            above = self._at_row(row + 1) if row + 1 < len(self._grid.intervals) else None
            if above is not None and self._steps(above) <= self.most and not self._left:
                self._link_before, self._before = median(self._links), self._wanted
                self._go_to(above, self._told(above))
            return
        for lower in range(row):
            found = self._at_row(lower)
            if found is not None and self._taken(found) <= _CLEARLY * self.share:
                self._link_before = math.nan
                self._go_to(found, self._told(found))
                return

    def _at_row(self, row: int) -> int | None:
        """The choice with an interval and the plain batch."""
        place = (row, self._grid.places[0][1])
        return self._grid.places.index(place) if place in self._grid.places else None

    def _steps(self, number: int) -> int:
        return self._grid.choices[number].sync_interval

    def _taken(self, number: int) -> float:
        """Share of a round that the synchronisation takes with a choice."""
        link = median(self._links)
        whole = self._steps(number) * median(self._seconds) + link
        return link / whole if whole > 0 else 0.0

    def _told(self, there: int) -> str:
        steps = "step" if self._steps(there) == 1 else f"{self._steps(there)} steps"
        return f"a synchronisation every {steps} takes {100 * self._taken(there):.0f} % of a round"

    def _back(self, number: int, why: str) -> None:
        self._left, self._next_rest = self._next_rest, min(2 * self._next_rest, _MOST_REST)
        self._link_before = math.nan
        self._go_to(number, f"{why}: back to one every {self._steps(number)}")

    def _go_to(self, number: int, why: str) -> None:
        self._wanted, self._reason = number, why
        self._seconds, self._links, self._gaps = [], [], []

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "wanted": self._wanted,
            "before": self._before,
            "reason": self._reason,
            "measured": [list(self._seconds), list(self._links), list(self._gaps)],
            "links": [
                None if math.isnan(each) else each for each in (self._link_before, self._doubted)
            ],
            "rest": [self._left, self._next_rest],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._wanted, self._before = int(state["wanted"]), int(state["before"])
        self._reason = str(state["reason"])
        self._seconds, self._links, self._gaps = (list(each) for each in state["measured"])
        links = (math.nan if each is None else float(each) for each in state["links"])
        self._link_before, self._doubted = links
        self._left, self._next_rest = (int(each) for each in state["rest"])
