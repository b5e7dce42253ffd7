"""What a team does and decides is written down where it is worth a row, once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from paceline.agents.lanes import Lane
from paceline.core.ledger import Ledger
from paceline.core.rounds import Assignment, Choice
from paceline.jobs.diary import Diary
from paceline.jobs.record import Record


class Seen:
    """A team as a diary sees it, and its ledger."""

    def __init__(self, folder: Path, clock: list[float]) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.diary = Diary(Record(self.ledger, lambda: clock[0]))
        self.steps = 0

    def step(self, samples: tuple[int, ...], choice: int, reason: str) -> None:
        self.steps += 1
        choices = tuple(Choice(sync_interval=each) for each in (1, 2, 4))
        decided = Assignment(samples=samples, choice=choice, reason=reason)
        lanes = tuple(
            Lane(
                number=number,
                samples=count,
                compute_seconds=0.1 * number,
                wait_seconds=0.0,
                communicate_seconds=0.05,
            )
            for number, count in enumerate(samples, 1)
        )
        team: Any = SimpleNamespace(
            steps=self.steps,
            lanes=lanes,
            varies=True,
            scheduler=SimpleNamespace(choices=choices, decisions=decided),
        )
        self.diary.take(team)

    def decisions(self, name: str) -> list[tuple[int, Any, str]]:
        self.ledger.flush()
        rows = [row for row in self.ledger.read(kind="decision") if row.name == name]
        return [(row.step, row.detail["chosen"], row.detail["reason"]) for row in rows]


def test_each_change_of_the_interval_is_a_row_with_its_reason(tmp_path: Path) -> None:
    seen = Seen(tmp_path, [0.0])
    told = ["", "every 2 takes 20 %", "every 2 takes 20 %", "back to one every 1", "and on"]
    for choice, reason in zip([0, 1, 1, 0, 0], told, strict=True):
        seen.step((8, 8), choice, reason)
    assert seen.decisions("sync_interval") == [
        (2, 2, "every 2 takes 20 %"),
        (4, 1, "back to one every 1"),
    ]


def test_shares_are_a_row_where_they_move_or_the_reason_is_new(tmp_path: Path) -> None:
    seen = Seen(tmp_path, [0.0])
    for first, reason in [
        (8, "1 tried"),
        (8, "2 tried"),
        (9, "3 tried"),
        (12, "4 tried"),
        (12, "b"),
    ]:
        seen.step((first, 16 - first), 0, reason)
    assert [step for step, _, _ in seen.decisions("shares")] == [1, 4, 5]


def test_it_goes_on_identically_from_a_state_that_went_through_json(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    clock = [0.0]
    one, other = Seen(tmp_path, clock), Seen(tmp_path / "other", clock)
    for at in range(4):
        clock[0] += 0.1
        one.step((8, 8), at % 2, f"{at} tried")
    other.diary.load_state_dict(json.loads(json.dumps(one.diary.state_dict())))
    other.steps = one.steps
    before = len(one.decisions("sync_interval"))
    for each in (one, other):
        clock[0] = 0.5
        for at in range(6):
            clock[0] += 0.1
            each.step((8, 8), at % 3, "tried again")
        each.diary.flush(each.steps)
        each.ledger.flush()
    assert one.diary.state_dict() == other.diary.state_dict()
    assert one.decisions("sync_interval")[before:] == other.decisions("sync_interval")
    readings = [[row.value for row in each.ledger.read(kind="reading")] for each in (one, other)]
    assert readings[0] == readings[1] and readings[0]
