"""Lanes as inline SVG: one an agent, filled over the steps; marks where something befell it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paceline.report.agents import Agent, Stretch, merged
from paceline.report.happenings import Happening
from paceline.report.markup import Html, join, table, tag
from paceline.report.series import ticks

_WIDTH, _LEFT, _RIGHT = 560.0, 72.0, 40.0
_TOP, _BOTTOM = 14.0, 28.0
_LANES = ((4, 44.0), (12, 32.0), (10_000, 20.0))  # the more there are, the lower they are
_GAP = 16.0
_MOST_BANDS = 2400
_FEWEST_BANDS = 24
_MOST_READ_OUT = 5
_SAMPLED = 8
_THIN = 0.004
_SHORT = {"lost": "lost", "left": "left", "joined": "joined", "out_of_memory": "memory full"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """What is to be drawn.

    Attributes:
        key: Makes the ids on the page unique.
        title: Above it.
        told: The same in words, for those who cannot see it.
        agents: One lane each, from above; each with a stretch at least.
        edges: The ends of all stretches, for the read-out.
        parts: What a lane is filled with from below, each the name of a colour, and which
            share of its height each part takes in a stretch.
        value: What the read-out tells of a stretch.
        end: What stands to the right of a lane.
        legend: Below it.
    """

    key: str
    title: str
    told: str
    agents: tuple[Agent, ...]
    edges: tuple[float, ...]
    parts: Mapping[str, Callable[[Stretch], float]]
    value: Callable[[Stretch], str]
    end: Callable[[Agent], str]
    legend: Html


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """Where a step and a lane lie in the picture."""

    first: float
    last: float
    lanes: int

    def x(self, step: float) -> float:
        share = (step - self.first) / (self.last - self.first)
        return round(_LEFT + min(max(share, 0.0), 1.0) * (_WIDTH - _LEFT - _RIGHT), 1)

    def top(self, lane: int) -> float:
        return _TOP + lane * (self.lane + _GAP)

    @property
    def lane(self) -> float:
        return next(height for most, height in _LANES if self.lanes <= most)

    @property
    def height(self) -> float:
        return self.top(self.lanes) - _GAP + _BOTTOM


def figure(lanes: Lanes) -> Html:
    """Lanes with their title, legend, read-out and the same numbers as a table."""
    stretches = [each for agent in lanes.agents for each in agent.stretches]
    frame = _Frame(
        first=min(each.first for each in stretches),
        last=max(each.last for each in stretches),
        lanes=len(lanes.agents),
    )
    return tag(
        "figure",
        tag("div", tag("h3", lanes.title), tag("output", "", class_="readout"), class_="head"),
        tag(
            "svg",
            tag("title", lanes.title, id=f"{lanes.key}-title"),
            tag("desc", lanes.told, id=f"{lanes.key}-desc"),
            _axis(frame),
            *(_lane(lanes, frame, at, agent) for at, agent in enumerate(lanes.agents)),
            tag("line", class_="cross", y1=_TOP - 6, y2=frame.height - _BOTTOM + 6),
            class_="chart",
            viewBox=f"0 0 {_WIDTH:g} {frame.height:g}",
            role="img",
            tabindex="0",
            aria_labelledby=f"{lanes.key}-title {lanes.key}-desc",
            data_points=json.dumps(_points(lanes, frame), separators=(",", ":")),
        ),
        tag("figcaption", tag("div", lanes.legend)),
        _numbers(lanes),
    )


def _axis(frame: _Frame) -> Html:
    y = frame.height - 7
    pieces = [tag("text", "step", x=_LEFT - 9, y=y, text_anchor="end")]
    for step in ticks(frame.first, frame.last, log=False):
        if step == int(step):
            x = frame.x(step)
            pieces.append(tag("text", f"{int(step):,}", x=x, y=y, text_anchor="middle"))
    return join(pieces)


def _lane(lanes: Lanes, frame: _Frame, at: int, agent: Agent) -> Html:
    top, right = frame.top(at), _WIDTH - _RIGHT
    middle = top + frame.lane / 2 + 4
    return tag(
        "g",
        tag("line", class_="grid", x1=_LEFT, x2=right, y1=top + frame.lane, y2=top + frame.lane),
        tag("text", f"agent {agent.number}", x=_LEFT - 9, y=middle, text_anchor="end"),
        *_paths(lanes, frame, top, agent),
        tag("text", lanes.end(agent), x=right + 6, y=middle),
        *(_mark(each, frame, top) for each in agent.happenings),
    )


def _paths(lanes: Lanes, frame: _Frame, top: float, agent: Agent) -> list[Html]:
    stretches = merged(agent, max(_MOST_BANDS // frame.lanes, _FEWEST_BANDS))
    below = [0.0] * len(stretches)
    paths = []
    for name, share in lanes.parts.items():
        commands = []
        for number, each in enumerate(stretches):
            part = share(each)
            bottom = top + frame.lane * (1 - below[number])
            below[number] += part
            if part > _THIN:
                x, end = frame.x(each.first), frame.x(each.last)
                commands.append(f"M{x:g} {bottom:.1f}H{end:g}v{-part * frame.lane:.1f}H{x:g}z")
        paths.append(tag("path", d="".join(commands), class_=f"fill {name}"))
    return paths


def _mark(each: Happening, frame: _Frame, top: float) -> Html:
    x = frame.x(each.step)
    before = each.name == "joined" or x > _WIDTH - _RIGHT - 30
    return tag(
        "g",
        tag("title", f"step {each.step:,}: {each.words}"),
        tag("line", class_=f"event {each.name}", x1=x, x2=x, y1=top - 6, y2=top + frame.lane),
        tag(
            "text",
            _SHORT[each.name],
            x=x - 4 if before else x + 4,
            y=top - 1 if each.name == "out_of_memory" else top + frame.lane / 2 + 4,
            text_anchor="end" if before else "start",
            class_="mark",
        ),
    )


def _points(lanes: Lanes, frame: _Frame) -> list[dict[str, object]]:
    """For the read-out: in each stretch of time what each of the first agents did."""
    edges = [edge for edge in lanes.edges if edge > frame.first]
    begins = [frame.first, *edges[:-1]]
    every = max(1, len(edges) // 150)
    chosen = list(zip(begins, edges, strict=True))[::every]
    return [
        {
            "name": f"{agent.number}:",
            "x": [frame.x((begin + end) / 2) for begin, end in chosen],
            "s": [end for _, end in chosen],
            "v": [_value_at(lanes, agent, end) for _, end in chosen],
        }
        for agent in lanes.agents[:_MOST_READ_OUT]
    ]


def _value_at(lanes: Lanes, agent: Agent, step: float) -> str:
    found = [each for each in agent.stretches if each.first < step <= each.last]
    return lanes.value(found[0]) if found else "–"


def _numbers(lanes: Lanes) -> Html:
    rows = [
        (f"agent {agent.number}", f"{each.first:,} to {each.last:,}", lanes.value(each))
        for agent in lanes.agents
        for each in merged(agent, _SAMPLED)
    ]
    caption = f"{lanes.title}, numbers"
    shown = table(("agent", "steps", "mean"), rows, caption=caption, numeric=(1, 2))
    return tag("details", tag("summary", "Numbers"), shown)
