"""How much higher some users rate, and how much higher some items are rated."""

from __future__ import annotations

from typing import Any, final

import numpy as np

Array = np.ndarray[Any, Any]
_ROUNDS = 60
_STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@final
class Biases:
    """``mean + user's bias + item's bias`` by regularised least squares, solved in turns.

    ``b_u = Σ (r − mean − b_i) / (n_u + λ)``, and likewise ``b_i``, until nothing moves.

    Args:
        users: Codes from 0, int64 [n].
        items: Likewise.
        ratings: Float [n].
        strength: λ, over 0.

    Reference:
        Koren, Bell and Volinsky 2009, equation 3.

    >>> found = Biases(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([4.0, 5.0, 2.0]),
    ...     strength=0.001)
    >>> found.rate(np.array([1]), np.array([1])).round(1).tolist()
    [3.0]
    """

    def __init__(self, users: Array, items: Array, ratings: Array, *, strength: float) -> None:
        self.mean = float(ratings.mean())
        rest = ratings - self.mean
        self.users = np.zeros(int(users.max(initial=-1)) + 1)
        self.items = np.zeros(int(items.max(initial=-1)) + 1)
        of_user, of_item = np.bincount(users) + strength, np.bincount(items) + strength
        for _ in range(_ROUNDS):
            self.items = np.bincount(items, rest - self.users[users]) / of_item
            self.users = np.bincount(users, rest - self.items[items]) / of_user

    def rate(self, users: Array, items: Array) -> Array:
        """Ratings of pairs, float64 [n]; a code that was not seen, -1 too, has no bias."""
        found: Array = self.mean + _at(self.users, users) + _at(self.items, items)
        return found


def _at(biases: Array, codes: Array) -> Array:
    inside = (codes >= 0) & (codes < len(biases))
    return np.where(inside, np.append(biases, 0.0)[np.where(inside, codes, -1)], 0.0)


def chosen_strength(users: Array, items: Array, ratings: Array, seed: int) -> float:
    """The λ that is best on a tenth of the training ratings."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    held, kept = order[: len(order) // 10], order[len(order) // 10 :]
    if not len(held):
        return _STRENGTHS[-1]

    def error(strength: float) -> float:
        found = Biases(users[kept], items[kept], ratings[kept], strength=strength)
        return float(np.square(found.rate(users[held], items[held]) - ratings[held]).mean())

    return min(_STRENGTHS, key=error)
