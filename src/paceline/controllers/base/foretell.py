"""The learning rates of the next steps, where they are known before those are done."""

from __future__ import annotations

from collections.abc import Callable

from paceline.core.readings import Reading

MOST = 16
SMALL_CHANGE = 0.01


def foretell(
    seen: Reading, rate_at: Callable[[int, float], float], most: int = MOST
) -> tuple[int, tuple[float, ...]]:
    """For how many steps a rate is known, and what it is after the first of them.

    In a budget of steps the rates are exactly those that would be decided one by one. In a
    budget of time it can only be guessed when a step will be; there the rate stands still,
    for as long as it would change by a hundredth at most.

    Args:
        seen: Before the first of them.
        rate_at: The rate before so many steps, at such a progress.
        most: Steps, at least 1.

    >>> foretell(Reading(step=2, progress=0.2, total_steps=10), lambda step, done: 1 - done, 3)
    (3, (0.7, 0.6))
    >>> foretell(Reading(step=500, progress=0.5), lambda step, done: 1 - done)
    (4, ())
    """
    total = seen.total_steps
    if total is not None:
        ahead = seen.progress * total - seen.step  # of the steps: a step may count as more
        ahead = 0.0 if abs(ahead) < 1e-6 else ahead
        steps = range(seen.step + 1, seen.step + most)
        return most, tuple(rate_at(step, min((step + ahead) / total, 1.0)) for step in steps)
    a_step = seen.progress / seen.step if seen.step > 0 else 0.0
    now = rate_at(seen.step, seen.progress)
    while most > 1:
        after = rate_at(seen.step + most - 1, min(seen.progress + (most - 1) * a_step, 1.0))
        if abs(after - now) <= SMALL_CHANGE * abs(now):
            break
        most //= 2
    return most, ()
