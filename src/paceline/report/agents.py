"""What a ledger tells of the agents: who there was, how they spent their time, who came and went.

Agents write the means of stretches of steps; a stretch ends at the step of its row and begins
where the one before it ended.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paceline.core.ledger import Entry, read_ledger
from paceline.report.happenings import Happening, happening_of
from paceline.report.measure import is_finite, number

_AGENT = re.compile(r"agent (\d{1,9})")
_NUMBERS = ("samples", "compute_seconds", "wait_seconds", "communicate_seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Means over the steps after ``first``, up to ``last``.

    Attributes:
        samples: That the agent had in a step.
        seconds: That it computed, waited and communicated in a step.
    """

    first: float
    last: float
    samples: float
    seconds: tuple[float, float, float]

    @property
    def steps(self) -> float:
        """How many steps the means are over."""
        return self.last - self.first


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """One agent over the run.

    Attributes:
        number: It keeps this for good.
        slow: How many times slower it pretended to be; 1 for an honest one.
        stretches: In order; none where it was not there.
        happenings: In order.
    """

    number: int
    slow: float
    stretches: tuple[Stretch, ...]
    happenings: tuple[Happening, ...]

    @property
    def samples(self) -> float:
        """Mean samples of a step, over the steps in which the agent was there."""
        return mean_of([(each.steps, each.samples) for each in self.stretches])

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Seconds that it computed, waited and communicated in all."""
        compute, wait, communicate = (
            sum(each.steps * each.seconds[at] for each in self.stretches) for at in range(3)
        )
        return compute, wait, communicate


@dataclass(frozen=True, kw_only=True, slots=True)
class Agents:
    """All agents of a run.

    Attributes:
        agents: By number.
        slowed: As it was asked for, one factor an agent; empty where nobody was slowed.
        examples: Counts of the examples at the end; empty before it.
        shares: The scheduler's decisions.
        watched: Whether these were only noted, and the batch shared equally.
        saved_seconds: What acting on them would have saved; nan where that is not known.
    """

    agents: tuple[Agent, ...]
    slowed: tuple[float, ...]
    examples: Mapping[str, int]
    shares: tuple[Entry, ...]
    watched: bool
    saved_seconds: float

    @property
    def happenings(self) -> list[Happening]:
        """What befell any of them, in order."""
        found = [each for agent in self.agents for each in agent.happenings]
        return sorted(found, key=lambda each: each.step)

    @property
    def edges(self) -> list[float]:
        """The ends of all stretches."""
        return sorted({each.last for agent in self.agents for each in agent.stretches})

    @property
    def slowed_in_words(self) -> str:
        """Who pretended to be how slow; empty where nobody did."""
        told = [
            f"agent {at} pretends to be {number(factor)} times slower"
            for at, factor in enumerate(self.slowed, 1)
            if factor > 1
        ]
        return listed(told)

    @property
    def watched_in_words(self) -> str:
        """What watching has shown; empty where the shares were acted on."""
        if not self.watched:
            return ""
        told = "watched only: the batch was shared equally"
        saved = saved_in_words(self.saved_seconds)
        return f"{told}, {saved}" if saved else told

    @property
    def line(self) -> str:
        """All of it in one line, for the console."""
        parts = [f"{len(self.agents)} agent{'s' if len(self.agents) != 1 else ''}"]
        if self.slowed_in_words:
            parts.append(f"slowed on purpose: {', '.join(map(number, self.slowed))}")
        seconds = [sum(agent.seconds[at] for agent in self.agents) for at in range(3)]
        if sum(seconds) > 0:
            compute, wait, communicate = (percent(each) for each in shares_of(seconds))
            parts.append(f"they compute {compute}, wait {wait}, communicate {communicate}")
        for name, words in (("lost", "lost"), ("joined", "joined"), ("left", "gone")):
            count = sum(each.name == name for each in self.happenings)
            parts += [f"{count} {words}"] if count else []
        parts += [self.watched_in_words, examples_in_words(self.examples)]
        return "; ".join(each for each in parts if each)


def agents_of(entries: Iterable[Entry]) -> Agents | None:
    """The agents of a run; None where one process did it all.

    >>> agents_of([]) is None
    True
    """
    rows = list(entries)
    asked = [each for each in rows if each.kind == "decision" and each.name == "agents"]
    readings = [each for each in rows if each.kind == "reading" and _AGENT.fullmatch(each.source)]
    happenings = [told for each in rows if (told := happening_of(each)) is not None]
    if not asked and not readings:
        return None
    slowed = _slowed(asked[-1].detail) if asked else ()
    stretches = _stretches(readings, happenings)
    numbers = stretches.keys() | {each.agent for each in happenings} | set(_asked(asked))
    last = _last(rows)
    examples, saved = last.get("examples"), last.get("would_have_saved_seconds")
    return Agents(
        agents=tuple(
            Agent(
                number=each,
                slow=slowed[each - 1] if 1 <= each <= len(slowed) else 1.0,
                stretches=tuple(stretches.get(each, ())),
                happenings=tuple(told for told in happenings if told.agent == each),
            )
            for each in sorted(numbers)
        ),
        slowed=slowed,
        examples=examples if isinstance(examples, Mapping) else {},
        shares=tuple(each for each in rows if is_shares(each)),
        watched=saved is not None or any(_watches(each) for each in rows),
        saved_seconds=saved if isinstance(saved, (int, float)) else math.nan,
    )


def agents_line(run_dir: Path) -> str:
    """The agents of a run in one line; empty where there were none.

    Raises:
        RunError: The ledger is damaged.
    """
    file = run_dir / "ledger.db"
    crew = agents_of(read_ledger(file)) if file.is_file() else None
    return "" if crew is None else crew.line


def is_shares(entry: Entry) -> bool:
    """Whether a row is a decision of the scheduler."""
    return entry.kind == "decision" and (entry.source, entry.name) == ("scheduler", "shares")


def examples_in_words(counts: Mapping[str, Any]) -> str:
    """How often the examples were learnt from; empty where that is not known.

    >>> examples_in_words({"examples": 1258, "counted": 10064, "fewest": 7, "most": 8})
    'every example was learnt from 7 or 8 times: 10,064 in all'
    >>> examples_in_words({"examples": 1258, "counted": 640, "fewest": 0, "most": 1})
    'no example was learnt from more than once: 640 in all'
    """
    fewest, most, counted = (counts.get(name) for name in ("fewest", "most", "counted"))
    if not (isinstance(fewest, int) and isinstance(most, int) and isinstance(counted, int)):
        return ""
    if fewest == 0:
        told = f"no example was learnt from more than {_times(most)}"
    elif fewest == most:
        told = f"every example was learnt from {_times(fewest)}"
    else:
        word = "or" if most == fewest + 1 else "to"
        told = f"every example was learnt from {fewest:,} {word} {_times(most)}"
    return f"{told}: {counted:,} in all"


def saved_in_words(seconds: Any) -> str:
    """What watching has shown of a policy; empty where that is not known.

    >>> saved_in_words(1.04), saved_in_words(-2)
    ('the policy would have saved 1.0 s', 'the policy would have cost 2.0 s')
    """
    if not is_finite(seconds):
        return ""
    return f"the policy would have {'saved' if seconds >= 0 else 'cost'} {abs(seconds):.1f} s"


def shares_of(seconds: Sequence[float]) -> list[float]:
    """Parts of their sum; zeros where there is nothing to share.

    >>> shares_of([3.0, 0.5, 0.5])
    [0.75, 0.125, 0.125]
    """
    whole = sum(seconds)
    return [each / whole if whole > 0 else 0.0 for each in seconds]


def percent(share: float) -> str:
    """A share for people.

    >>> percent(0.5702)
    '57 %'
    """
    return f"{100 * share:.0f} %"


def mean_of(weighted: Sequence[tuple[float, float]]) -> float:
    """Mean of values by weight; 0 where nothing weighs.

    >>> mean_of([(1, 4.0), (3, 8.0)])
    7.0
    """
    whole = sum(weight for weight, _ in weighted)
    return sum(weight * value for weight, value in weighted) / whole if whole > 0 else 0.0


def listed(words: Sequence[str]) -> str:
    """Words with commas, and an ``and`` before the last.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def merged(agent: Agent, most: int) -> list[Stretch]:
    """At most so many stretches of equal width where there are more; sums of seconds stay.

    Args:
        agent: Whose stretches.
        most: How many may be left.
    """
    if len(agent.stretches) <= most:
        return list(agent.stretches)
    begin, end = agent.stretches[0].first, agent.stretches[-1].last
    buckets: dict[int, list[Stretch]] = {}
    for each in agent.stretches:
        middle = (each.first + each.last) / 2
        at = min(int((middle - begin) / (end - begin) * most), most - 1)
        buckets.setdefault(at, []).append(each)
    return [_joined(each) for each in buckets.values()]


def _joined(group: Sequence[Stretch]) -> Stretch:
    weights = [each.steps for each in group]
    compute, wait, communicate = (
        mean_of([(weight, each.seconds[at]) for weight, each in zip(weights, group, strict=True)])
        for at in range(3)
    )
    return Stretch(
        first=group[0].first,
        last=group[-1].last,
        samples=mean_of([(each.steps, each.samples) for each in group]),
        seconds=(compute, wait, communicate),
    )


# --- reading the rows


def _asked(asked: Sequence[Entry]) -> range:
    count = asked[-1].detail.get("chosen") if asked else 0
    return range(1, min(count, 10_000) + 1) if isinstance(count, int) else range(0)


def _watches(entry: Entry) -> bool:
    settings = entry.detail.get("agents") if entry.kind == "setting" else None
    return isinstance(settings, Mapping) and settings.get("watch") is True


def _slowed(detail: Mapping[str, Any]) -> tuple[float, ...]:
    seen = detail.get("seen")
    slow = seen.get("slow") if isinstance(seen, Mapping) else None
    found = [each for each in slow if is_finite(each)] if isinstance(slow, list) else []
    return tuple(float(each) for each in found) if any(each > 1 for each in found) else ()


def _last(rows: Sequence[Entry]) -> Mapping[str, Any]:
    ends = [each for each in rows if (each.kind, each.name) == ("event", "agents")]
    return ends[-1].detail if ends else {}


def _stretches(
    readings: Sequence[Entry], happenings: Sequence[Happening]
) -> dict[int, list[Stretch]]:
    """By agent. A step that was written twice, as after a restore, counts as written last."""
    rows: dict[int, dict[int, dict[str, float]]] = {}
    for each in readings:
        agent = int(each.source.removeprefix("agent "))
        value = math.nan if each.value is None else each.value
        rows.setdefault(agent, {}).setdefault(each.step, {})[each.name] = value
    edges = sorted({0, *(step for found in rows.values() for step in found)})
    return {
        agent: [
            _clipped(stretch, [each for each in happenings if each.agent == agent])
            for step, means in sorted(found.items())
            if (stretch := _stretch(edges, step, means)) is not None
        ]
        for agent, found in rows.items()
    }


def _stretch(edges: Sequence[int], step: int, means: Mapping[str, float]) -> Stretch | None:
    samples, *seconds = (means.get(name, math.nan) for name in _NUMBERS)
    if step <= 0 or not all(math.isfinite(each) and each >= 0 for each in (samples, *seconds)):
        return None
    compute, wait, communicate = seconds
    return Stretch(
        first=edges[bisect_left(edges, step) - 1],
        last=step,
        samples=samples,
        seconds=(compute, wait, communicate),
    )


def _clipped(stretch: Stretch, happenings: Sequence[Happening]) -> Stretch:
    """Without the steps before the agent had come or after it had gone."""
    for each in happenings:
        if stretch.first < each.step < stretch.last:
            if each.name == "joined":
                stretch = replace(stretch, first=each.step)
            elif each.name in ("lost", "left"):
                stretch = replace(stretch, last=each.step)
    return stretch


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
