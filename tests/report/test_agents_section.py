from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from paceline.core.ledger import Ledger, read_ledger
from paceline.report.agents_section import agents_section
from paceline.report.page import write_page

HOSTILE = "<script>alert(1)</script>\"'&"


class Reader(HTMLParser):
    """Collects text, and the attributes of each tag."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.words.append(data)

    def found(self, tag, style):
        return [each for name, each in self.tags if name == tag and each.get("class") == style]


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def section(made, tmp_path, **how):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path, **how)
    return read(agents_section(read_ledger(path / "ledger.db")))


def test_a_run_without_agents_has_no_section(made, tmp_path):
    text = write_page(made.make_run(tmp_path / "run")).read_text(encoding="utf-8")
    assert "<h2>Agents</h2>" not in text


def test_the_page_has_lanes_shares_a_table_and_the_proof(made, tmp_path):
    path = made.make_run(tmp_path / "run")
    made.add_agents(path)
    text = write_page(path).read_text(encoding="utf-8")
    said = " ".join(read(text).words)
    for words in (
        "What each agent does with a step",
        "Samples of each agent in a step",
        "Every example was learnt from 7 or 8 times: 10,064 in all.",
        "agent 2 was lost (died); its rows went to the 3 others",
        "memory full",
        "nothing is known yet",
        "agent 1 0.02 s",
        "no work",
    ):
        assert words in said, words
    assert text.count('class="chart"') == 7 == text.count("<desc")
    assert not re.search(r'(?:d|x1|x2|y1|y2)="[^"]*(?:nan|inf)', text)


def test_every_agent_has_a_lane_of_three_colours(made, tmp_path):
    found = section(made, tmp_path)
    for name in ("compute", "wait", "communicate", "samples"):
        assert len(found.found("path", f"fill {name}")) == 5


def test_a_mark_stands_where_it_happened(made, tmp_path):
    found = section(made, tmp_path, steps=400)
    width = 560 - 72 - 40
    for name, share in (("lost", 0.4), ("joined", 0.6), ("left", 0.8)):
        marks = found.found("line", f"event {name}")
        assert [float(each["x1"]) for each in marks] == pytest.approx([72 + share * width] * 2)


def test_the_parts_of_a_step_fill_its_lane(made, tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    values = {"samples": 8, "compute_seconds": 1, "wait_seconds": 2, "communicate_seconds": 1}
    with Ledger(path / "ledger.db") as ledger:
        for name, value in values.items():
            ledger.write("reading", step=4, seconds=1, source="agent 1", name=name, value=value)
    found = read(agents_section(read_ledger(path / "ledger.db")))
    (compute,), (wait,), (talk,) = (
        found.found("path", f"fill {name}") for name in ("compute", "wait", "communicate")
    )
    assert compute["d"] == "M72 58.0H520v-11.0H72z"
    assert wait["d"] == "M72 47.0H520v-22.0H72z"
    assert talk["d"] == "M72 25.0H520v-11.0H72z"


def test_that_agents_were_slowed_on_purpose_stands_above_all(made, tmp_path):
    found = section(made, tmp_path)
    said = " ".join(found.words)
    assert len(found.found("p", "notice")) == 1
    assert "agent 3 pretends to be 2 times slower and agent 4 pretends to be 4 times" in said
    assert said.index("Slowed on purpose") < said.index("What each agent does")


def test_that_shares_were_only_watched_stands_above_all(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path, slow=())
    with Ledger(path / "ledger.db") as ledger:
        detail = {"would_have_saved_seconds": 3.24}
        ledger.write("event", step=400, seconds=9, source="agents", name="agents", detail=detail)
    said = " ".join(read(agents_section(read_ledger(path / "ledger.db"))).words)
    assert "Watched only: the batch was shared equally, the policy would have saved 3.2 s." in said
    assert "3, not acted on" in said


def test_honest_agents_have_no_notice(made, tmp_path):
    found = section(made, tmp_path, slow=())
    assert found.found("p", "notice") == []
    assert "pretends" not in " ".join(found.words)


def test_the_read_out_tells_of_an_agent_only_while_it_is_there(made, tmp_path):
    found = section(made, tmp_path, steps=400)
    (_, shares) = (json.loads(each["data-points"]) for each in found.found("svg", "chart"))
    second = next(line for line in shares if line["name"] == "2:")
    told = dict(zip(second["s"], second["v"], strict=True))
    assert told[400] == "–" and told[150] != "–"


def test_the_scheduler_has_its_decisions_here_and_not_among_the_others(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path)
    text = write_page(path).read_text(encoding="utf-8")
    section, decisions = text.split("<h2>Agents</h2>")[1].split("<h2>Decisions</h2>")
    assert "all end together" in section and "all end together" not in decisions
    assert "slowed on purpose 1, 1, 2, 4" in decisions


def test_of_many_decisions_the_middle_is_left_out_and_said(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    with Ledger(path / "ledger.db") as ledger:
        ledger.write("decision", step=0, seconds=0, source="fit", name="agents")
        for step in range(1, 501):
            detail = {"chosen": [1, 2], "reason": f"reason {step}"}
            ledger.write(
                "decision", step=step, seconds=0, source="scheduler", name="shares", detail=detail
            )
    text = agents_section(read_ledger(path / "ledger.db"))
    assert "400 decisions in the middle are left out." in text
    assert "reason 50<" in text and "reason 51<" not in text and "reason 500<" in text


def test_agents_that_have_done_nothing_yet_make_a_section_too(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        detail = {"chosen": 2, "seen": {"slow": []}}
        ledger.write("decision", step=0, seconds=0, source="fit", name="agents", detail=detail)
    text = agents_section(read_ledger(tmp_path / "ledger.db"))
    assert "The ledger holds no step of theirs yet." in text and "agent 2" in text


def test_a_thousand_agents_stay_under_two_megabytes_and_the_rest_is_said(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path, agents=1000, steps=60)
    text = agents_section(read_ledger(path / "ledger.db"))
    assert len(text) < 2_000_000
    assert "937 more agents are not shown." in text


def test_whatever_the_ledger_holds_is_escaped(made, tmp_path):
    path = made.make_run(tmp_path / "run", readings=1)
    made.add_agents(path)
    with Ledger(path / "ledger.db") as ledger:
        detail = {"agent": 1, "why": HOSTILE, "left": HOSTILE, "place": HOSTILE, "most": HOSTILE}
        for name in ("lost", "joined", "left", "out_of_memory"):
            ledger.write(
                "event", step=9, seconds=0, source="agents", name=f"agent_{name}", detail=detail
            )
        detail = {"chosen": HOSTILE, "seen": {HOSTILE: HOSTILE}, "reason": HOSTILE}
        for source, name in (("scheduler", "shares"), ("fit", "agents")):
            ledger.write("decision", step=9, seconds=0, source=source, name=name, detail=detail)
        detail = {"examples": HOSTILE}
        ledger.write("event", step=9, seconds=0, source="agents", name="agents", detail=detail)
    text = write_page(path).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script") == 1
