"""How long work tells a person about itself, whoever listens."""

from __future__ import annotations

from typing import Protocol, final


class Progress(Protocol):
    """A listener: the console, a notebook, a test, or nobody."""

    def say(self, line: str) -> None:
        """Something worth knowing."""

    def warn(self, line: str) -> None:
        """Something worth doing something about."""

    def advance(self, what: str, done: float, note: str = "") -> None:
        """``done`` is the share of ``what`` that is finished, from 0 to 1."""

    def gauge(self, what: str, level: float, note: str = "") -> None:
        """A level of ``what`` that goes up and down, from 0 to 1; a log leaves it out."""


@final
class Silence:
    """Nobody listens."""

    def say(self, line: str) -> None:
        pass

    def warn(self, line: str) -> None:
        pass

    def advance(self, what: str, done: float, note: str = "") -> None:
        pass

    def gauge(self, what: str, level: float, note: str = "") -> None:
        pass
