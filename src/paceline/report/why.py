"""The decisions of a run in plain language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paceline.core.duration import in_words as duration
from paceline.core.ledger import Entry, read_ledger
from paceline.report.measure import number

_MOST_SHOWN = 6
_LONG_WORD = 32


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

    @property
    def line(self) -> str:
        """The whole decision as one sentence or two."""
        told = f"At step {self.step:,} ({duration(self.elapsed_seconds)}) {self.who} chose"
        told += f" {self.what} = {self.chosen}" if self.chosen else f" the {self.what}"
        told += f", because {self.reason}" if self.reason else ""
        told += f"; seen: {self.seen}" if self.seen else ""
        told += f"; could have been: {self.choices}" if self.choices else ""
        told += f"; expected: {self.expected}" if self.expected else ""
        told += f"; it gave: {self.outcome}" if self.outcome else ""
        return told + "."


def explain(run_dir: Path) -> list[Explained]:
    """Every decision of a run, in the order in which they were made.

    Raises:
        RunError: There is no ledger, or it is damaged.
    """
    return [explained(entry) for entry in read_ledger(run_dir / "ledger.db", kind="decision")]


def explained(entry: Entry) -> Explained:
    """A ledger's decision in words."""
    detail = entry.detail
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
