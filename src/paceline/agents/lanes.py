"""What the agents did with their time, for the ledger and whoever looks on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

_WRITE_SECONDS = 0.5
_MOST_ROWS = 300
NUMBERS = ("samples", "compute_seconds", "wait_seconds", "communicate_seconds")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """How an agent spent a step, in seconds."""

    number: int
    samples: int
    compute_seconds: float
    wait_seconds: float
    communicate_seconds: float


@final
class Lanes:
    """Means over stretches of a run, a stretch getting longer as the run does.

    Args:
        write: Told a mean: who, of what, the value and the step.
        clock: Tells seconds.

    >>> rows, now = [], iter([0.0, 0.1, 9.0])
    >>> lanes = Lanes(lambda *row: rows.append(row), lambda: next(now))
    >>> for samples in (4, 8):
    ...     lanes.take(3, [Lane(number=1, samples=samples, compute_seconds=2.0,
    ...                         wait_seconds=0.0, communicate_seconds=0.0)])
    >>> rows[0]
    ('agent 1', 'samples', 6.0, 3)
    """

    def __init__(
        self, write: Callable[[str, str, float, int], None], clock: Callable[[], float]
    ) -> None:
        self._write, self._clock = write, clock
        self._began = self._last = clock()
        self._sums: dict[int, list[float]] = {}
        self._counts: dict[int, int] = {}

    def take(self, step: int, lanes: Sequence[Lane]) -> None:
        """Takes in a step."""
        for lane in lanes:
            sums = self._sums.setdefault(lane.number, [0.0] * len(NUMBERS))
            for at, name in enumerate(NUMBERS):
                sums[at] += getattr(lane, name)
            self._counts[lane.number] = self._counts.get(lane.number, 0) + 1
        now = self._clock()
        if now - self._last >= max(_WRITE_SECONDS, (now - self._began) / _MOST_ROWS):
            self._last = now
            self.flush(step)

    def flush(self, step: int) -> None:
        """Writes what there is."""
        for number, means in self.means().items():
            for name, value in means.items():
                self._write(f"agent {number}", name, value, step)
        self._sums.clear()
        self._counts.clear()

    def means(self) -> Mapping[int, Mapping[str, float]]:
        """Of the present stretch, by the agents' numbers."""
        return {
            number: {
                name: total / self._counts[number]
                for name, total in zip(NUMBERS, sums, strict=True)
            }
            for number, sums in self._sums.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Of the present stretch, JSON values only."""
        return {
            "began": self._began,
            "last": self._last,
            "sums": {str(number): list(sums) for number, sums in self._sums.items()},
            "counts": {str(number): count for number, count in self._counts.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._began, self._last = float(state["began"]), float(state["last"])
        self._sums = {int(number): list(sums) for number, sums in state["sums"].items()}
        self._counts = {int(number): int(count) for number, count in state["counts"].items()}


def in_words(lanes: Sequence[Lane]) -> dict[int, tuple[float, str]]:
    """The busy share of each agent's step, and a note for a person.

    >>> in_words([Lane(number=2, samples=48, compute_seconds=3.0, wait_seconds=0.5,
    ...                communicate_seconds=0.5)])
    {2: (0.75, '48 samples · waits 12 % · communicates 12 %')}
    """
    found = {}
    for lane in lanes:
        whole = lane.compute_seconds + lane.wait_seconds + lane.communicate_seconds
        parts = [
            0.0 if whole == 0 else part / whole
            for part in (lane.compute_seconds, lane.wait_seconds, lane.communicate_seconds)
        ]
        note = (
            f"{lane.samples} samples · waits {100 * parts[1]:.0f} %"
            f" · communicates {100 * parts[2]:.0f} %"
        )
        found[lane.number] = (parts[0], note)
    return found


def summary(total: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """Shares of the whole time, of sums of compute, wait and communication by agent."""
    return {
        str(number): {
            name: round(part / max(sum(parts), 1e-12), 4)
            for name, part in zip(("compute", "wait", "communicate"), parts, strict=True)
        }
        for number, parts in total.items()
    }
