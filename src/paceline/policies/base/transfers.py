"""Shares that are moved a little at a time, from what they were in the last round."""

from __future__ import annotations

from typing import Final

import numpy as np

from paceline.core.rounds import AgentReading, RoundReading
from paceline.policies.base.grid import Array
from paceline.policies.base.shares import caps, proportional

TRANSFERS: Final = (
    "shares as they were",
    "1 % moved from the slowest to the fastest",
    "4 % moved from the slowest to the fastest",
    "16 % moved from the slowest to the fastest",
    "the dearest for its speed taken out",
    "one brought back",
)
_PORTIONS = (0.0, 0.02, 0.08, 0.32)
_OUT, _BACK = 4, 5
# One of so many agents is moved at a time.
_CROWD = 16


def transferred(
    seen: RoundReading, move: int, generator: np.random.Generator
) -> tuple[int, ...] | None:
    """The last round's shares after a move; None where they do not fit into the caps.

    Args:
        seen: The reading, for the last samples and seconds; shares start equal.
        move: The number of one of ``TRANSFERS``; it does nothing where it cannot be done.
        generator: Draws who is brought back.

    Returns:
        Samples that sum to ``seen.total``.

    >>> fast, slow = AgentReading(samples=50, seconds=1.0), AgentReading(samples=50, seconds=2.0)
    >>> seen = RoundReading(round=1, total=100, agents=(fast, slow))
    >>> transferred(seen, 2, np.random.default_rng(0))
    (54, 46)
    """
    agents = seen.agents
    up = np.array([each.is_up for each in agents])
    shares = np.array([each.samples if each.is_up else 0 for each in agents], dtype=float)
    if not up.any():
        return None
    if shares.sum() <= 0:
        shares = up.astype(float)
    shares *= seen.total / shares.sum()
    _move(shares, agents, up, move, generator)
    most = caps(seen)
    if most.sum() < seen.total:
        return None
    return tuple(proportional(shares, seen.total, most).tolist())


def _move(
    shares: Array,
    agents: tuple[AgentReading, ...],
    up: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    move: int,
    generator: np.random.Generator,
) -> None:
    seconds = np.array([each.seconds if each.is_up else 0.0 for each in agents])
    working = np.flatnonzero((shares > 0) & (seconds > 0))
    some = max(1, len(working) // _CROWD)
    if move == _BACK:
        away = np.flatnonzero(up & (shares <= 0))
        if len(away):
            back = generator.choice(away, min(some, len(away)), replace=False)
            shares[back] = shares.sum() / max(int((shares > 0).sum()), 1)
        return
    if len(working) < 2:
        return
    if move == _OUT:
        price = np.array([agents[at].price for at in working])
        worth = shares[working] / seconds[working] / np.maximum(price, 1e-12)
        shares[working[np.argsort(worth, kind="stable")[:some]]] = 0.0
        return
    ordered = working[np.argsort(seconds[working], kind="stable")]
    slow, fast = ordered[-some:], ordered[:some]
    portion = np.minimum(shares[slow], _PORTIONS[move] * shares.sum() / len(working))
    shares[slow] -= portion
    shares[fast] += portion.sum() / some
