"""Asking a run that trains for its agents."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paceline.agents.lanes import Lane
from paceline.core.errors import AgentsLost, RunError, SettingError
from paceline.jobs.membership import FILE, Desk, ask


class FakeTeam:
    """Has agents by number, and no processes."""

    def __init__(self) -> None:
        self.members: dict[int, Any] = {
            number: SimpleNamespace(place=f"process {number}") for number in (1, 2)
        }
        self.lanes = [
            Lane(
                number=1,
                samples=7,
                compute_seconds=0.5,
                wait_seconds=0.25,
                communicate_seconds=0.0,
            )
        ]
        self.steps, self.full = 12, False

    def join(self) -> int:
        if self.full:
            raise AgentsLost("no room")
        self.members[3] = SimpleNamespace(place="process 3")
        return 3

    def leave(self, number: int) -> None:
        if number not in self.members:
            raise SettingError(f"there is no agent {number}")
        del self.members[number]


def answered(team: FakeTeam, folder: Path, **asked: Any) -> dict[str, Any]:
    """What the desk answers while it looks up between steps."""
    desk, found = Desk(folder, team), {}  # type: ignore[arg-type] # it only looks like one

    def question() -> None:
        try:
            found["answer"] = ask(folder, **asked)
        except RunError as error:
            found["error"] = str(error)

    asking = threading.Thread(target=question)
    asking.start()
    while asking.is_alive():
        desk.answer()
    desk.close()
    return found


def test_it_tells_who_works_and_how(tmp_path: Path) -> None:
    answer = answered(FakeTeam(), tmp_path)["answer"]
    assert answer["steps"] == 12
    assert answer["agents"][0] == {
        "number": 1,
        "place": "process 1",
        "samples": 7,
        "compute_seconds": 0.5,
        "wait_seconds": 0.25,
    }


def test_agents_join_and_leave_as_asked(tmp_path: Path) -> None:
    team = FakeTeam()
    answer = answered(team, tmp_path, add=1, remove=(1,))["answer"]
    assert [each["number"] for each in answer["agents"]] == [2, 3]


def test_what_the_team_refuses_comes_back_as_one_line(tmp_path: Path) -> None:
    assert answered(FakeTeam(), tmp_path, remove=(9,))["error"] == "there is no agent 9"
    full = FakeTeam()
    full.full = True
    assert answered(full, tmp_path, add=1)["error"] == "no room"


def test_how_to_reach_it_is_for_the_owner_alone_and_goes_with_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, FakeTeam())  # type: ignore[arg-type] # it only looks like one
    assert desk.file.stat().st_mode & 0o077 == 0
    desk.close()
    assert not desk.file.exists()


def test_a_wrong_token_gets_no_answer(tmp_path: Path) -> None:
    team = FakeTeam()
    desk = Desk(tmp_path, team)  # type: ignore[arg-type] # it only looks like one
    known = json.loads(desk.file.read_text())
    desk.file.write_text(json.dumps(known | {"token": "guessed"}))
    with pytest.raises(RunError, match="nothing trains with agents"):
        ask(tmp_path, add=1)
    desk.answer()
    assert sorted(team.members) == [1, 2]
    desk.close()


@pytest.mark.parametrize("content", [None, "", "{}", '{"address": ["127.0.0.1", 1], "token": "x"}'])
def test_where_nothing_trains_one_line_says_how_to_begin(tmp_path: Path, content: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(RunError, match=r"begin with paceline fit … --agents N"):
        ask(tmp_path)
