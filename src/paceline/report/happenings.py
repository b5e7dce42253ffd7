"""What befell agents: lost, joined, left, out of memory, each as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from paceline.core.ledger import Entry

_PREFIX = "agent_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something that befell an agent.

    Attributes:
        step: After which it was.
        agent: Its number.
        name: ``lost``, ``joined``, ``left`` or ``out_of_memory``.
        words: A sentence without its full stop.
    """

    step: int
    agent: int
    name: str
    words: str


def happening_of(entry: Entry) -> Happening | None:
    """What befell an agent, if that is what the row is about."""
    detail, name = entry.detail, entry.name.removeprefix(_PREFIX)
    agent = detail.get("agent")
    if entry.kind != "event" or entry.source != "agents" or name not in _WORDS:
        return None
    if not isinstance(agent, int):
        return None
    words = f"agent {agent} {_WORDS[name](detail)}"
    return Happening(step=entry.step, agent=agent, name=name, words=words)


def _lost(detail: Mapping[str, Any]) -> str:
    return f"was lost ({detail.get('why', 'why is not known')}){_rest(detail)}"


def _left(detail: Mapping[str, Any]) -> str:
    return f"left{_rest(detail)}"


def _rest(detail: Mapping[str, Any]) -> str:
    left = detail.get("left")
    if not isinstance(left, int):
        return ""
    return f"; its rows went to the {left} others" if left > 1 else f"; {left} was left"


def _came(detail: Mapping[str, Any]) -> str:
    place = detail.get("place")
    return f"joined ({place})" if place else "joined"


def _full(detail: Mapping[str, Any]) -> str:
    return f"ran out of memory; from here on it works on {detail.get('most', 'fewer')} rows at once"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "lost": _lost,
    "left": _left,
    "joined": _came,
    "out_of_memory": _full,
}
