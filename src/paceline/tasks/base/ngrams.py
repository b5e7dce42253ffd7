"""Texts foretold by counting: interpolated n-grams, the plain rival of a language model."""

from __future__ import annotations

from typing import Any, final

import numpy as np

Ids = np.ndarray[Any, Any]
_NEVER = -1


@final
class NGrams:
    """Interpolated n-grams with Witten and Bell's weights.

    ``p(w | h) = (c(h w) + T(h) · p(w | h′)) / (c(h) + T(h))``

    with ``c`` counts, ``T(h)`` the number of different tokens that came after the history
    ``h``, and ``h′`` the history without its first token; below the single token all are
    equally likely.

    Args:
        tokens: Of the training text, int64 [n] from 0.
        vocabulary: How many there are.
        order: Tokens in the longest n-gram, at least 1.

    Reference:
        Witten and Bell 1991, method C; Chen and Goodman 1999, section 2.4.

    >>> NGrams(np.array([0, 1, 0, 1, 0]), vocabulary=2, order=2).nats(np.array([[0, 1]])).round(3)
    array([[0.56 , 0.211]])
    """

    def __init__(self, tokens: Ids, *, vocabulary: int, order: int) -> None:
        self._vocabulary = vocabulary
        self._levels: list[tuple[Ids, Ids, Ids, Ids]] = []
        history = np.zeros(len(tokens), dtype=np.int64)
        for _ in range(order):
            keys = np.where(history == _NEVER, _NEVER, history * vocabulary + tokens)
            known, at, counts = np.unique(keys, return_inverse=True, return_counts=True)
            first = int(len(known) > 0 and known[0] == _NEVER)
            of = known[first:] // vocabulary
            size = int(history.max(initial=0)) + 1
            totals = np.bincount(of, weights=counts[first:], minlength=size)
            kinds = np.bincount(of, minlength=size)
            self._levels.append((known[first:], counts[first:], totals, kinds))
            history = _shifted(np.where(keys == _NEVER, _NEVER, at - first))

    def nats(self, rows: Ids) -> Ids:
        """What each token costs, float64 [n, length], foretold from those before it in its row."""
        chances = np.full(rows.shape, 1.0 / self._vocabulary)
        history = np.zeros(rows.shape, dtype=np.int64)
        for known, counts, totals, kinds in self._levels:
            seen = history != _NEVER
            place = np.where(seen, history, 0)
            keys = place * self._vocabulary + rows
            at = np.searchsorted(known, keys).clip(max=max(len(known) - 1, 0))
            hit = seen & (known[at] == keys)
            count = np.where(hit, counts[at], 0)
            total, kind = totals[place], kinds[place]
            mixed = (count + kind * chances) / np.maximum(total + kind, 1)
            chances = np.where(seen & (total > 0), mixed, chances)
            history = _shifted(np.where(hit, at, _NEVER))
        costs: Ids = -np.log(chances)
        return costs


def _shifted(history: Ids) -> Ids:
    """The n-gram that ends one token before; none before the first."""
    moved = np.full_like(history, _NEVER)
    moved[..., 1:] = history[..., :-1]
    return moved
