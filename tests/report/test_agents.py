from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core.errors import RunError
from paceline.core.ledger import Entry, Ledger, read_ledger
from paceline.report.agents import (
    Agent,
    Stretch,
    agents_line,
    agents_of,
    examples_in_words,
    listed,
    merged,
)
from paceline.report.happenings import happening_of

NAMES = ("samples", "compute_seconds", "wait_seconds", "communicate_seconds")


def row(kind, source, name, *, step=0, value=None, detail=None):
    return Entry(
        id=1,
        kind=kind,
        step=step,
        elapsed_seconds=0.0,
        source=source,
        name=name,
        value=value,
        detail=detail or {},
    )


def readings(agent, step, *values):
    return [
        row("reading", f"agent {agent}", name, step=step, value=value)
        for name, value in zip(NAMES, values, strict=True)
    ]


def event(name, step, **detail):
    return row("event", "agents", f"agent_{name}", step=step, detail=detail)


def asked(count, slow=()):
    seen = {"engine": "local", "slow": list(slow)}
    return row("decision", "fit", "agents", detail={"chosen": count, "seen": seen})


def made_agent(stretches):
    return Agent(number=1, slow=1.0, stretches=tuple(stretches), happenings=())


def test_a_run_without_agents_has_none(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=3)
    assert agents_of(read_ledger(path / "ledger.db")) is None
    assert agents_line(path) == ""


def test_a_run_that_was_killed_before_its_first_row_has_no_line(tmp_path):
    assert agents_line(tmp_path) == ""


def test_a_damaged_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"not a database, at all" * 100)
    with pytest.raises(RunError, match="cannot be read"):
        agents_line(tmp_path)


def test_agents_that_have_done_nothing_yet_are_there():
    crew = agents_of([asked(3)])
    assert [(each.number, each.stretches, each.samples) for each in crew.agents] == [
        (1, (), 0.0),
        (2, (), 0.0),
        (3, (), 0.0),
    ]
    assert crew.line == "3 agents"


def test_a_stretch_begins_where_the_one_before_ended():
    crew = agents_of([*readings(1, 1, 8, 1, 0, 0), *readings(1, 11, 4, 2, 1, 1)])
    (agent,) = crew.agents
    assert [(each.first, each.last, each.samples) for each in agent.stretches] == [
        (0, 1, 8),
        (1, 11, 4),
    ]
    assert agent.seconds == (1 * 1 + 10 * 2, 10.0, 10.0)
    assert agent.samples == pytest.approx((8 + 10 * 4) / 11)


def test_nothing_is_told_of_an_agent_while_it_was_not_there():
    rows = [
        *readings(1, 10, 8, 1, 0, 0),
        *readings(2, 10, 8, 1, 0, 0),
        event("lost", 14, agent=2, why="died", left=1),
        *readings(1, 20, 8, 1, 0, 0),
        *readings(2, 20, 8, 1, 0, 0),
        event("joined", 26, agent=3, place="here"),
        *readings(1, 30, 8, 1, 0, 0),
        *readings(3, 30, 8, 1, 0, 0),
    ]
    crew = agents_of(rows)
    ends = {
        agent.number: [(each.first, each.last) for each in agent.stretches] for agent in crew.agents
    }
    assert ends == {1: [(0, 10), (10, 20), (20, 30)], 2: [(0, 10), (10, 14)], 3: [(26, 30)]}
    assert [each.words for each in crew.happenings] == [
        "agent 2 was lost (died); 1 was left",
        "agent 3 joined (here)",
    ]
    assert crew.edges == [10, 14, 20, 30]


def test_an_agent_that_was_lost_before_a_resume_is_back_in_full_after_it():
    rows = [
        *readings(1, 10, 8, 1, 0, 0),
        event("lost", 10, agent=1, why="died", left=0),
        *readings(1, 20, 8, 1, 0, 0),
    ]
    (agent,) = agents_of(rows).agents
    assert [(each.first, each.last) for each in agent.stretches] == [(0, 10), (10, 20)]


def test_a_step_that_was_written_twice_counts_once():
    (agent,) = agents_of([*readings(1, 5, 8, 1, 0, 0), *readings(1, 5, 6, 2, 0, 0)]).agents
    assert [(each.samples, each.seconds[0]) for each in agent.stretches] == [(6, 2)]


@pytest.mark.parametrize("broken", [None, math.inf, -1.0])
def test_a_stretch_that_makes_no_sense_is_left_out(broken):
    (agent,) = agents_of([*readings(1, 5, 8, broken, 0, 0), *readings(1, 6, 8, 1, 0, 0)]).agents
    assert [(each.first, each.last) for each in agent.stretches] == [(5, 6)]


def test_a_row_that_lacks_its_numbers_is_left_out():
    (agent,) = agents_of(readings(1, 5, 8, 1, 0, 0)[:2]).agents
    assert agent.stretches == ()


def test_who_was_slowed_on_purpose_is_told():
    crew = agents_of([asked(3, (1.0, 1.5, 4.0))])
    assert [each.slow for each in crew.agents] == [1.0, 1.5, 4.0]
    told = "agent 2 pretends to be 1.5 times slower and agent 3 pretends to be 4 times slower"
    assert crew.slowed_in_words == told
    assert "slowed on purpose: 1, 1.5, 4" in crew.line


@pytest.mark.parametrize("slow", [(), (1.0, 1.0)])
def test_where_nobody_was_slowed_nothing_is_said_of_it(slow):
    crew = agents_of([asked(2, slow)])
    assert crew.slowed == () and "slowed" not in crew.line


@pytest.mark.parametrize(
    "detail",
    [{}, {"chosen": "many", "seen": [1]}, {"chosen": 10**12, "seen": {"slow": "fast"}}],
)
def test_a_decision_of_another_shape_is_read_as_far_as_it_goes(detail):
    crew = agents_of([row("decision", "fit", "agents", detail=detail)])
    assert len(crew.agents) <= 10_000 and crew.slowed == ()


def test_the_line_tells_all_of_it(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path)
    assert agents_line(path) == (
        "5 agents; slowed on purpose: 1, 1, 2, 4; they compute 58 %, wait 25 %, communicate 17 %;"
        " 1 lost; 1 joined; 1 gone; every example was learnt from 7 or 8 times: 10,064 in all"
    )


def test_one_agent_is_not_many():
    assert agents_of([asked(1)]).line == "1 agent"


@pytest.mark.parametrize(
    ("fewest", "most", "told"),
    [
        (8, 8, "every example was learnt from 8 times: 9 in all"),
        (1, 1, "every example was learnt from once: 9 in all"),
        (1, 2, "every example was learnt from 1 or 2 times: 9 in all"),
        (9, 11, "every example was learnt from 9 to 11 times: 9 in all"),
        (0, 2, "no example was learnt from more than 2 times: 9 in all"),
        (None, 2, ""),
    ],
)
def test_how_often_the_examples_were_learnt_from_is_a_sentence(fewest, most, told):
    assert examples_in_words({"fewest": fewest, "most": most, "counted": 9}) == told


def test_the_last_count_of_the_examples_holds():
    rows = [asked(1)]
    for counted in (5, 10):
        detail = {"examples": {"fewest": 1, "most": 1, "counted": counted}}
        rows.append(row("event", "agents", "agents", detail=detail))
    assert agents_of(rows).line == "1 agent; every example was learnt from once: 10 in all"


def test_what_watching_has_shown_is_told():
    setting = row("setting", "fit", "recipe", detail={"agents": {"watch": True}})
    ended = row("event", "agents", "agents", detail={"would_have_saved_seconds": 1.04})
    told = "1 agent; watched only: the batch was shared equally"
    assert agents_of([asked(1), setting]).line == told
    assert agents_of([asked(1), setting, ended]).line == (
        f"{told}, the policy would have saved 1.0 s"
    )
    acts = row("setting", "fit", "recipe", detail={"agents": {"watch": False}})
    assert agents_of([asked(1), acts]).line == "1 agent"


@pytest.mark.parametrize(
    ("name", "detail", "words"),
    [
        ("lost", {"why": "died", "left": 3}, "agent 2 was lost (died); its rows went to the 3"),
        ("lost", {"why": "hung", "left": 0}, "agent 2 was lost (hung); 0 was left"),
        ("lost", {}, "agent 2 was lost (why is not known)"),
        ("left", {"left": 2}, "agent 2 left; its rows went to the 2 others"),
        ("joined", {}, "agent 2 joined"),
        ("out_of_memory", {"most": 24}, "agent 2 ran out of memory; from here on it works on 24"),
    ],
)
def test_what_befalls_an_agent_is_a_sentence(name, detail, words):
    assert happening_of(event(name, 3, agent=2, **detail)).words.startswith(words)


@pytest.mark.parametrize(
    "entry",
    [
        event("lost", 3, agent="2"),
        event("danced", 3, agent=2),
        row("event", "loop", "agent_lost", detail={"agent": 2}),
        row("reading", "agents", "agent_lost", detail={"agent": 2}),
    ],
)
def test_what_befalls_nobody_is_left_out(entry):
    assert happening_of(entry) is None


def test_words_are_listed_as_people_do():
    assert [listed(each) for each in ([], ["a"], ["a", "b"])] == ["", "a", "a and b"]


STRETCHES = st.lists(
    st.tuples(st.integers(1, 50), *[st.floats(0, 100) for _ in range(4)]), min_size=1, max_size=80
)


@given(STRETCHES, st.integers(1, 30))
def test_merging_stretches_keeps_the_sums(parts, most):
    stretches, at = [], 0
    for steps, samples, *seconds in parts:
        stretches.append(
            Stretch(first=at, last=at + steps, samples=samples, seconds=tuple(seconds))
        )
        at += steps
    agent = made_agent(stretches)
    found = merged(agent, most)
    assert len(found) <= most or found == stretches
    again = made_agent(found)
    assert again.seconds == pytest.approx(agent.seconds)
    assert again.samples == pytest.approx(agent.samples)
    assert (found[0].first, found[-1].last) == (0, at)


def test_merging_leaves_a_gap_a_gap():
    seconds = (1.0, 0.0, 0.0)
    apart = [
        Stretch(first=at, last=at + 1, samples=1, seconds=seconds)
        for at in (*range(10), *range(90, 100))
    ]
    found = merged(made_agent(apart), 10)
    assert [(each.first, each.last) for each in found] == [(0, 10), (90, 100)]


def test_a_ledger_gives_back_what_a_run_writes(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for name, value in zip(NAMES, (8, 0.2, 0.1, 0.1), strict=True):
            ledger.write("reading", step=4, seconds=1, source="agent 1", name=name, value=value)
    assert agents_line(tmp_path) == "1 agent; they compute 50 %, wait 25 %, communicate 25 %"
