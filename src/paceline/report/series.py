"""Readings made ready to be drawn: gaps kept, smoothed, thinned without losing an extreme."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paceline.core.ledger import Entry

_LOG_RATIO = 25.0
_LOG_BETWEEN = (0.05, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A number over steps.

    Attributes:
        steps: In the order of writing, not falling.
        values: nan and inf included.
    """

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def finite(self) -> Series:
        """Only what can be drawn."""
        kept = [at for at, value in enumerate(self.values) if math.isfinite(value)]
        return self.take(kept)

    def take(self, positions: Iterable[int]) -> Series:
        """The readings at these positions."""
        chosen = list(positions)
        return Series(
            steps=tuple(self.steps[at] for at in chosen),
            values=tuple(self.values[at] for at in chosen),
        )


def series_of(entries: Iterable[Entry]) -> Series:
    """The numbers of readings; one without a number was nan, which SQLite cannot keep."""
    rows = list(entries)
    return Series(
        steps=tuple(row.step for row in rows),
        values=tuple(math.nan if row.value is None else row.value for row in rows),
    )


def smoothed(series: Series, window: float | None = None) -> Series:
    """Exponential moving average of the finite values, without a bias at the start.

    Args:
        series: What to smooth.
        window: Readings to average over; a fiftieth of them, at least 5, when left out.

    >>> smoothed(Series(steps=(1, 2), values=(3.0, 3.0))).values
    (3.0, 3.0)
    """
    finite = series.finite
    keep = 1 - 1 / max(window or len(finite) / 50, 5.0)
    total = weight = 0.0
    values = []
    for value in finite.values:
        total, weight = keep * total + value, keep * weight + 1
        values.append(total / weight)
    return Series(steps=finite.steps, values=tuple(values))


def thinned(series: Series, buckets: int = 300) -> Series:
    """Of each bucket its first, lowest, highest, last and first not finite reading.

    >>> thinned(Series(steps=tuple(range(9)), values=(0, 0, 9, 0, 0, 0, -5, 0, 0)), 1).values
    (0, 9, -5, 0)
    """
    count = len(series)
    if count <= 4 * buckets:
        return series
    kept: set[int] = set()
    for bucket in range(buckets):
        inside = range(count * bucket // buckets, count * (bucket + 1) // buckets)
        kept |= {inside[0], inside[-1]}
        finite = [at for at in inside if math.isfinite(series.values[at])]
        kept |= set([at for at in inside if not math.isfinite(series.values[at])][:1])
        if finite:
            kept.add(min(finite, key=series.values.__getitem__))
            kept.add(max(finite, key=series.values.__getitem__))
    return series.take(sorted(kept))


def wants_log(values: Sequence[float]) -> bool:
    """Whether the bulk of positive values spans more than a factor of 25.

    The bulk is what lies between the 5th and the 95th percentile, so that one spike or
    the last step of a schedule does not decide.

    >>> wants_log([1.0, 0.5, 0.1, 0.01, 0.001]), wants_log([0.9, 0.95, 0.99])
    (True, False)
    """
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite or finite[0] <= 0:
        return False
    low, high = (finite[round(share * (len(finite) - 1))] for share in _LOG_BETWEEN)
    return high / low > _LOG_RATIO


def ticks(low: float, high: float, *, log: bool, wanted: int = 4) -> list[float]:
    """Round numbers within a range, about as many as wanted.

    >>> ticks(0.0, 1.0, log=False)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> ticks(0.002, 3.0, log=True)
    [0.01, 0.1, 1.0]
    """
    if log:
        return _decades(low, high, wanted)
    rough = (high - low) / wanted
    if rough <= 0 or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def _decades(low: float, high: float, wanted: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first) / (wanted + 1)))
    decades = [10.0**power for power in range(first, last + 1, every)]
    if len(decades) >= 2:
        return decades
    between = [nice * 10.0**power for power in range(first - 1, last + 1) for nice in (1, 2, 5)]
    return [value for value in between if low <= value <= high * (1 + 1e-9)]
