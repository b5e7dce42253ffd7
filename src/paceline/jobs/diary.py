"""Writes down what a team of agents does and decides, as far as it is worth a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, final

from paceline.agents.lanes import Lanes
from paceline.agents.team import Team
from paceline.core.rounds import Assignment
from paceline.jobs.record import Record

_WORTH_NOTING = 0.1


@final
class Diary:
    """Writes lanes, new shares and new sync intervals into a ledger.

    Args:
        record: Where rows go.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lanes = Lanes(self._reading, record.elapsed)
        self._reasons: set[str] = set()
        self._noted: tuple[int, ...] = ()
        self._interval = 1

    def take(self, team: Team) -> None:
        """Takes in a step."""
        self._lanes.take(team.steps, team.lanes)
        decided = team.scheduler.decisions
        if decided is not None:
            self._note_interval(team, decided)
            self._note_shares(team, decided)

    def flush(self, step: int) -> None:
        """Writes what there is."""
        self._lanes.flush(step)

    def _reading(self, source: str, name: str, value: float, step: int) -> None:
        self._record.note("reading", name, {}, source=source, value=value, step=step)

    def _note_interval(self, team: Team, decided: Assignment) -> None:
        choices = team.scheduler.choices
        chosen = choices[decided.choice].sync_interval
        if not team.varies or chosen == self._interval:
            return
        before, self._interval = self._interval, chosen
        self._record.decide(
            "sync_interval",
            chosen,
            seen={
                "before": before,
                "compute_seconds": max(lane.compute_seconds for lane in team.lanes),
                "communicate_seconds": max(lane.communicate_seconds for lane in team.lanes),
            },
            reason=decided.reason,
            choices=[str(each.sync_interval) for each in choices],
            source="scheduler",
            step=team.steps,
        )

    def _note_shares(self, team: Team, decided: Assignment) -> None:
        """Shares that are new for a reason not met before, or by a good part."""
        kind = re.sub(r"\d+", "", decided.reason)
        pairs = zip_longest(decided.samples, self._noted, fillvalue=0)
        moved = max(abs(new - old) for new, old in pairs) / max(1, sum(decided.samples))
        if kind in self._reasons and moved < _WORTH_NOTING:
            return
        self._reasons.add(kind)
        self._noted = decided.samples
        self._record.decide(
            "shares",
            list(decided.samples),
            seen={f"agent {lane.number}": lane.compute_seconds for lane in team.lanes},
            reason=decided.reason,
            source="scheduler",
            step=team.steps,
        )

    def state_dict(self) -> dict[str, Any]:
        """What was written down, and what is not yet."""
        return {
            "lanes": self._lanes.state_dict(),
            "reasons": sorted(self._reasons),
            "noted": list(self._noted),
            "interval": self._interval,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._lanes.load_state_dict(state["lanes"])
        self._reasons, self._noted = set(state["reasons"]), tuple(state["noted"])
        self._interval = int(state["interval"])
