"""The decisions of a run in plain language, and who came and went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paceline.core.duration import in_words as duration
from paceline.core.ledger import Entry, read_ledger
from paceline.report.agents import examples_in_words, is_shares, saved_in_words
from paceline.report.happenings import happening_of
from paceline.report.measure import is_finite, number

_MOST_SHOWN = 6
_LONG_WORD = 32
_AGENTS_WORDS = {"slow": "slowed on purpose"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """One decision, its parts as words; a part that was not written down is empty.

    Attributes:
        step: Updates done before it.
        elapsed_seconds: Of the run.
        who: Who decided.
        what: What about.
        chosen: What was done.
        seen: What was known.
        choices: What could have been done.
        reason: Why.
        expected: What it was to give.
        outcome: What it gave.
        happened: The whole sentence, where nobody decided anything: an agent came or went.
    """

    step: int
    elapsed_seconds: float
    who: str
    what: str
    chosen: str
    seen: str
    choices: str
    reason: str
    expected: str
    outcome: str
    happened: str = ""

    @property
    def line(self) -> str:
        """The whole decision as one sentence or two."""
        begin = f"At step {self.step:,} ({duration(self.elapsed_seconds)})"
        if self.happened:
            return f"{begin} {self.happened}."
        told = f"{begin} {self.who} chose"
        told += f" {self.what} = {self.chosen}" if self.chosen else f" the {self.what}"
        told += f", because {self.reason}" if self.reason else ""
        told += f"; seen: {self.seen}" if self.seen else ""
        told += f"; could have been: {self.choices}" if self.choices else ""
        told += f"; expected: {self.expected}" if self.expected else ""
        told += f"; it gave: {self.outcome}" if self.outcome else ""
        return told + "."


def explain(run_dir: Path) -> list[Explained]:
    """Every decision of a run, and which agents came and went, in the order of the ledger.

    Raises:
        RunError: There is no ledger, or it is damaged.
    """
    file = run_dir / "ledger.db"
    rows = [*read_ledger(file, kind="decision"), *read_ledger(file, kind="event")]
    told = [(entry, happened(entry)) for entry in sorted(rows, key=lambda entry: entry.id)]
    return [
        replace(explained(entry), happened=words)
        for entry, words in told
        if words or entry.kind == "decision"
    ]


def happened(entry: Entry) -> str:
    """What became of an agent or of the examples; empty where the row is not about that."""
    told = happening_of(entry)
    if told is not None:
        return told.words
    if (entry.kind, entry.source, entry.name) != ("event", "agents", "agents"):
        return ""
    counts = entry.detail.get("examples")
    proof = examples_in_words(counts) if isinstance(counts, Mapping) else ""
    words = [proof, saved_in_words(entry.detail.get("would_have_saved_seconds"))]
    said = "; ".join(each for each in words if each)
    return f"the agents went home: {said}" if said else ""


def explained(entry: Entry) -> Explained:
    """A ledger's decision in words."""
    detail = _with_units(entry)
    chosen = detail.get("chosen")
    return Explained(
        step=entry.step,
        elapsed_seconds=entry.elapsed_seconds,
        who=entry.source,
        what=entry.name.replace("_", " "),
        chosen=in_words(entry.value if chosen is None else chosen),
        seen=in_words(detail.get("seen")),
        choices=in_words(detail.get("choices")),
        reason=in_words(detail.get("reason")),
        expected=in_words(detail.get("expected")),
        outcome=in_words(detail.get("outcome")),
    )


def _with_units(entry: Entry) -> Mapping[str, Any]:
    """A decision's detail; where it is about agents, with what its numbers mean."""
    detail = entry.detail
    seen = detail.get("seen")
    if not isinstance(seen, Mapping):
        return detail
    if is_shares(entry):
        return detail | {"seen": {name: _seconds(each) for name, each in seen.items()}}
    if entry.name == "agents":
        told = {_AGENTS_WORDS.get(name, name): each for name, each in seen.items()}
        places = told.pop("places", None)
        if isinstance(places, Mapping):
            told["places"] = [f"agent {at} {place}" for at, place in places.items()]
        return detail | {"seen": told}
    return detail


def _seconds(value: Any) -> Any:
    if not is_finite(value):
        return value
    return "no work" if value == 0 else f"{number(value, 3)} s"


def in_words(value: Any) -> str:
    """A JSON value as words; long lists and checksums are cut short.

    >>> in_words({"loss_smooth": 2.30258, "sizes": [1, 2]}), in_words(None)
    ('loss smooth 2.303, sizes 1, 2', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        shown = [_pair(name, each) for name, each in value.items()]
        return _listed([pair for pair in shown if pair])
    if isinstance(value, (list, tuple)):
        return _listed([in_words(each) for each in value])
    words = number(value)
    return f"{words[:12]}…" if len(words) >= _LONG_WORD and words.isalnum() else words


def _pair(name: Any, value: Any) -> str:
    words = in_words(value)
    return f"{str(name).replace('_', ' ')} {words}" if words else ""


def _listed(words: list[str]) -> str:
    rest = len(words) - _MOST_SHOWN
    return ", ".join(words[:_MOST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
