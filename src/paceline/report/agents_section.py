"""The page's section on the agents: their lanes, what befell them, and what they were given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from paceline.core.ledger import Entry
from paceline.report.agents import (
    Agent,
    Agents,
    Stretch,
    agents_of,
    examples_in_words,
    percent,
    shares_of,
)
from paceline.report.happenings import Happening
from paceline.report.lanes import Lanes, figure
from paceline.report.markup import Html, join, table, tag
from paceline.report.measure import number
from paceline.report.why import explained

_Each = TypeVar("_Each")
_PARTS = ("compute", "wait", "communicate")
_MOST_LANES = 64
_MOST_ROWS = 100


def agents_section(entries: Iterable[Entry]) -> Html | None:
    """How the agents shared the work; nothing where there were none."""
    crew = agents_of(entries)
    if crew is None:
        return None
    drawn = tuple(each for each in crew.agents if each.stretches)[:_MOST_LANES]
    return tag(
        "section",
        tag("h2", "Agents"),
        _slowed(crew),
        _watched(crew),
        tag("div", figure(_time(crew, drawn)), figure(_samples(crew, drawn)), class_="curves")
        if drawn
        else tag("p", "The ledger holds no step of theirs yet.", class_="empty"),
        _left_out(crew, drawn),
        _table(crew.agents[:_MOST_LANES]),
        _proof(crew),
        _happenings(crew.happenings),
        _decisions(crew),
        class_="agents",
    )


def _slowed(crew: Agents) -> Html | None:
    if not crew.slowed:
        return None
    told = tag("b", f"Slowed on purpose: {crew.slowed_in_words}.")
    rest = " The times show how the work is shared out, not how fast these agents are."
    return tag("p", told, rest, class_="notice")


def _watched(crew: Agents) -> Html | None:
    told = crew.watched_in_words
    return tag("p", f"{told[0].upper()}{told[1:]}.", class_="notice") if told else None


def _time(crew: Agents, drawn: tuple[Agent, ...]) -> Lanes:
    shares = {each.number: [percent(one) for one in shares_of(each.seconds)] for each in drawn}
    told = [
        f"Agent {at} computed {compute}, waited {wait} and communicated {talk} of its time."
        for at, (compute, wait, talk) in shares.items()
    ]
    keys = [tag("span", tag("i", class_=f"box {name}"), name, class_="key") for name in _PARTS]
    return Lanes(
        key="lanes",
        title="What each agent does with a step",
        told=" ".join(told),
        agents=drawn,
        edges=tuple(crew.edges),
        parts={
            "compute": lambda each: shares_of(each.seconds)[0],
            "wait": lambda each: shares_of(each.seconds)[1],
            "communicate": lambda each: shares_of(each.seconds)[2],
        },
        value=lambda each: percent(shares_of(each.seconds)[0]),
        end=lambda agent: shares[agent.number][0],
        legend=join([*keys, tag("span", "right: computes in all", class_="key")]),
    )


def _samples(crew: Agents, drawn: tuple[Agent, ...]) -> Lanes:
    most = max((each.samples for agent in drawn for each in agent.stretches), default=0.0) or 1.0
    told = [f"Agent {each.number} had {_count(each.samples)} samples a step." for each in drawn]

    def height(each: Stretch) -> float:
        return each.samples / most

    return Lanes(
        key="shares",
        title="Samples of each agent in a step",
        told=" ".join(told),
        agents=drawn,
        edges=tuple(crew.edges),
        parts={"samples": height},
        value=lambda each: _count(each.samples),
        end=lambda agent: _count(agent.stretches[-1].samples),
        legend=tag("span", f"a full lane: {_count(most)} samples; right: at last", class_="key"),
    )


def _left_out(crew: Agents, drawn: Sequence[Agent]) -> Html | None:
    rest = len(crew.agents) - _MOST_LANES
    if rest <= 0 or not drawn:
        return None
    return tag("p", f"{rest:,} more agents are not shown.", class_="bars-note")


def _table(agents: Sequence[Agent]) -> Html:
    whole = sum(sum(each.samples * each.steps for each in one.stretches) for one in agents)
    rows = []
    for one in agents:
        own = sum(each.samples * each.steps for each in one.stretches)
        shares = [percent(each) for each in shares_of(one.seconds)] if one.stretches else ["–"] * 3
        rows.append(
            (
                f"agent {one.number}",
                _count(one.samples),
                percent(own / whole) if whole else "–",
                *shares,
                f"pretends to be {number(one.slow)} times slower" if one.slow > 1 else "",
            )
        )
    head = ("", "samples a step", "of all", "computes", "waits", "communicates", "")
    kept = range(7 if any(each.slow > 1 for each in agents) else 6)
    return table(
        [head[at] for at in kept],
        [[row[at] for at in kept] for row in rows],
        caption="What each agent was given, and how it spent its time",
        numeric=range(1, 6),
    )


def _proof(crew: Agents) -> Html | None:
    told = examples_in_words(crew.examples)
    return tag("p", f"{told[0].upper()}{told[1:]}.", class_="proof") if told else None


def _happenings(happenings: Sequence[Happening]) -> Html | None:
    if not happenings:
        return None
    rows = [(f"{each.step:,}", each.words) for each in _ends(happenings)]
    caption = "What befell them"
    return join([tag("h3", caption), table(("step", "what"), rows, caption=caption, numeric=(0,))])


def _decisions(crew: Agents) -> Html | None:
    decisions = crew.shares
    if not decisions:
        return None
    told = [explained(entry) for entry in _ends(decisions)]
    rows = [(f"{each.step:,}", tag("b", each.chosen), each.reason, each.seen) for each in told]
    left_out = len(decisions) - len(rows)
    note = f"{left_out:,} decisions in the middle are left out." if left_out else None
    done = "not acted on" if crew.watched else "one for each new reason"
    shown = table(
        ("step", "samples", "why", "measured"),
        rows,
        caption=f"The scheduler's decisions, {done}",
        numeric=(0,),
    )
    return tag(
        "details",
        tag("summary", f"The scheduler's decisions: {len(decisions):,}, {done}"),
        shown,
        tag("p", note, class_="bars-note") if note else None,
        open="" if len(rows) <= 12 else None,
    )


def _ends(many: Sequence[_Each]) -> list[_Each]:
    half = _MOST_ROWS // 2
    return list(many) if len(many) <= _MOST_ROWS else [*many[:half], *many[-half:]]


def _count(samples: float) -> str:
    return f"{samples:,.0f}" if samples >= 10 or samples == int(samples) else f"{samples:.2g}"
