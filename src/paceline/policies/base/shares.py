"""Whole shares in given proportions."""

from __future__ import annotations

from typing import Any

import numpy as np

from paceline.core.errors import SettingError
from paceline.core.rounds import RoundReading
from paceline.policies.base.water_filling import Counts, Floats, Mask, expect_room

_NOTHING = 1e-12


def up(reading: RoundReading) -> Mask:
    """Which agents can be given work; shape (agents,).

    Raises:
        SettingError: None of them.
    """
    there = np.array([each.is_up for each in reading.agents], dtype=bool)
    if not there.any():
        raise SettingError(f"all {len(there)} agents are dead; let one join before the next round")
    return there


def caps(reading: RoundReading) -> Floats:
    """The most examples that each can be given: 0 for the dead, inf where there is no limit."""
    most = [np.inf if each.most_samples is None else each.most_samples for each in reading.agents]
    return np.where(up(reading), np.array(most, dtype=float), 0.0)


def prices(reading: RoundReading) -> Floats:
    """What a second of each costs; shape (agents,)."""
    return np.array([each.price for each in reading.agents], dtype=float)


def proportional(weights: Any, total: int, most: Any = np.inf) -> Counts:
    """Whole shares in proportion to weights, by the largest remainder, under caps.

    What a cap cuts off goes to the others in the same proportion. Where no agent with a
    weight has room left, those without one share the rest evenly.

    Args:
        weights: At least 0; shape (agents,).
        total: Examples, at least 0.
        most: Caps; shape (agents,) or one for all.

    Raises:
        SettingError: The caps together hold less than the total.

    >>> proportional([1.0, 1.0, 2.0], 5).tolist()
    [1, 1, 3]
    >>> proportional([1.0, 1.0, 2.0], 8, [9, 9, 2]).tolist()
    [3, 3, 2]
    """
    weights = np.maximum(np.nan_to_num(np.asarray(weights, dtype=float)), 0.0)
    # Beside the largest these are nothing, and their quotients overflow.
    weights = np.where(weights > _NOTHING * weights.max(initial=0.0), weights, 0.0)
    most = np.floor(np.broadcast_to(np.asarray(most, dtype=float), weights.shape))
    expect_room(most, total)
    exact = _spread(weights, float(total), most)
    if exact.sum() < total * (1 - 1e-12):
        exact = exact + _spread((weights == 0).astype(float), total - exact.sum(), most - exact)
    return _rounded(exact, total, most)


def _spread(weights: Floats, total: float, most: Floats) -> Floats:
    """Shares in proportion to weights; the full ones are fixed until none is over its cap."""
    shares, open_ = np.zeros(len(weights)), (weights > 0) & (most > 0)
    while total > 0 and open_.any():
        tried = np.where(open_, total * weights / weights[open_].sum(), 0.0)
        over = open_ & (tried >= most)
        if not over.any():
            return shares + tried
        shares[over] = most[over]
        total, open_ = total - float(most[over].sum()), open_ & ~over
    return shares


def _rounded(exact: Floats, total: int, most: Floats) -> Counts:
    shares = np.minimum(np.floor(exact + 1e-9), most).astype(np.int64)
    left = int(total - shares.sum())
    while left > 0:
        room = np.flatnonzero(shares < most)
        rest = (exact - shares)[room]
        chosen = room[np.argsort(-rest, kind="stable")[:left]]
        shares[chosen] += 1
        left -= len(chosen)
    return shares
