"""Many trainings told of as one long piece of work."""

from __future__ import annotations

from typing import final

from paceline.core.duration import in_words
from paceline.core.progress import Progress
from paceline.report.comparison import Attempt, Comparison
from paceline.report.measure import fixed, number
from paceline.report.measure import in_words as metric_in_words


@final
class OneBar:
    """Hears every run and tells of one long piece of work."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._warned: set[str] = set()
        self._total, self._at, self._note, self._width = 1, 0, "", 0
        self._silent = False

    def begin(self, comparison: Comparison) -> None:
        """Says what there is to do."""
        self._total = len(comparison.attempts)
        self._width = max(len(_name(each)) for each in comparison.attempts)
        done = sum(each.state == "finished" for each in comparison.attempts)
        before = f", {done} of them done before" if done else ""
        self._silent = bool(done)
        self.progress.say(f"{self._total} trainings{before}, kept in {comparison.path}")

    def attempt(self, attempt: Attempt, at: int) -> None:
        """Which one begins."""
        self._at, self._note = at, f"{at + 1}/{self._total}  {_name(attempt)}"
        self.advance("training", 0.0)

    def ended(self, comparison: Comparison, at: int) -> None:
        """A line for each one that ended."""
        self._silent = True
        attempt = comparison.attempts[at]
        told = f"{at + 1:>{len(str(self._total))}}/{self._total}  {_name(attempt):<{self._width}}"
        if attempt.state == "failed":
            self.progress.warn(f"{told}  failed: {attempt.error}")
        elif attempt.state == "finished":
            metric = comparison.metric
            self.progress.say(
                f"{told}  validation loss {fixed(attempt.validation_loss)}"
                f"  {metric_in_words(metric)} {fixed(attempt.validation.get(metric))}"
                f"  {in_words(attempt.seconds)}"
            )
        self.advance("training", 1.0)

    def say(self, line: str) -> None:
        """What the first run says of the data; the others say the same."""
        if not self._silent:
            self.progress.say(line)

    def warn(self, line: str) -> None:
        """A warning, once."""
        if line not in self._warned:
            self._warned.add(line)
            self.progress.warn(line)

    def advance(self, what: str, done: float, note: str = "") -> None:
        """One run's share as a share of all."""
        if what == "training":
            self.progress.advance("comparing", (self._at + done) / self._total, self._note)

    def gauge(self, what: str, level: float, note: str = "") -> None:
        """Says nothing: one bar is all there is."""


def _name(attempt: Attempt) -> str:
    rate = "" if attempt.rate is None else f", rate {number(attempt.rate)}"
    alone = attempt.optimizer == attempt.controller
    method = attempt.optimizer if alone else f"{attempt.optimizer} × {attempt.controller}"
    return f"{method}{rate}, seed {attempt.seed}"
