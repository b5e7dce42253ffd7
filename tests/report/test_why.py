from __future__ import annotations

import pytest

from paceline.core.errors import RunError
from paceline.core.ledger import Ledger
from paceline.report.why import explain, in_words


def test_a_decision_tells_who_chose_what_because_of_what_and_what_it_gave(made, tmp_path):
    found = explain(made.make_run(tmp_path / "run", readings=1))
    assert [each.line for each in found] == [
        "At step 0 (0.4 s) fit chose precision = fp32, because this CPU has no bf16 instructions;"
        " seen: device cpu; could have been: fp32, bf16.",
        "At step 420 (11.2 s) Plateau chose learning rate = 0.001, because the loss fell no"
        " further; seen: loss smooth 0.21, loss trend -0.0001; could have been: 0.001, 0.002;"
        " expected: loss smooth 0.15; it gave: loss smooth 0.14.",
    ]


def test_a_run_without_a_ledger_is_refused(tmp_path):
    with pytest.raises(RunError, match="there is no ledger"):
        explain(tmp_path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (False, "no"),
        ({"a": None, "b": {"c": 1}}, "b c 1"),
        (list(range(9)), "0, 1, 2, 3, 4, 5 and 3 more"),
        ("e3" * 32, "e3e3e3e3e3e3…"),
        (12345, "12,345"),
    ],
)
def test_values_are_told_in_words(value, words):
    assert in_words(value) == words


def test_the_agents_decisions_are_told_and_who_came_and_went(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path)
    lines = [each.line for each in explain(path)]
    assert lines[2:4] == [
        "At step 0 (0.5 s) fit chose agents = 4, because asked for; seen: engine local,"
        " slowed on purpose 1, 1, 2, 4.",
        "At step 1 (0.1 s) scheduler chose shares = 16, 16, 16, 16, because nothing is known yet;"
        " seen: agent 1 0.02 s, agent 2 0.02 s, agent 3 no work, agent 4 no work.",
    ]
    assert lines[6:] == [
        "At step 160 (8.0 s) agent 2 was lost (died); its rows went to the 3 others.",
        "At step 240 (12.0 s) agent 5 joined (process 77).",
        "At step 260 (13.0 s) agent 1 ran out of memory; from here on it works on 24 rows at once.",
        "At step 320 (16.0 s) agent 3 left; its rows went to the 3 others.",
        "At step 400 (20.0 s) the agents went home: every example was learnt from 7 or 8 times:"
        " 10,064 in all.",
    ]


def test_other_events_are_no_decisions(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for source, name in (("loop", "budget"), ("agents", "agents"), ("agents", "agent_danced")):
            ledger.write("event", step=9, seconds=1.0, source=source, name=name)
    assert explain(tmp_path) == []


def test_what_was_seen_of_agents_is_told_whatever_its_shape(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for source, name, seen in (
            ("scheduler", "shares", {"agent 1": "dead"}),
            ("scheduler", "shares", 3),
            ("fit", "agents", {"places": {"1": "process 7", "2": "process 8"}, "slow": []}),
            ("fit", "agents", {"places": "here", "slow": "much"}),
        ):
            ledger.write(
                "decision", step=1, seconds=1.0, source=source, name=name, detail={"seen": seen}
            )
    assert [each.seen for each in explain(tmp_path)] == [
        "agent 1 dead",
        "3",
        "places agent 1 process 7, agent 2 process 8",
        "slowed on purpose much",
    ]


def test_what_watching_has_shown_is_told(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        detail = {"would_have_saved_seconds": -0.5}
        ledger.write("event", step=9, seconds=1.0, source="agents", name="agents", detail=detail)
    assert [each.line for each in explain(tmp_path)] == [
        "At step 9 (1.0 s) the agents went home: the policy would have cost 0.5 s."
    ]
