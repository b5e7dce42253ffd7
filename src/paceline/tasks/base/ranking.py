"""How well a list of recommendations has at its top what a user came to like."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def ranking_metrics(liked: Array, total: Array, most: int = 10) -> dict[str, Array]:
    """Normalised discounted cumulative gain, recall and reciprocal rank at ``most``.

    ``NDCG = Σ liked_i / log2(i + 1) / Σ_{i ≤ min(total, most)} 1 / log2(i + 1)``

    Args:
        liked: Whether the item at each place of a user's list is liked, bool [users, places].
        total: How many each user likes, int [users], each at least 1.
        most: Places that count.

    Returns:
        For each metric one number a user, float64 [users].

    Reference:
        Järvelin and Kekäläinen 2002; Voorhees 1999 for the reciprocal rank.

    >>> found = ranking_metrics(np.array([[False, True, False]]), np.array([1]), 3)
    >>> {name: round(float(values[0]), 4) for name, values in found.items()}
    {'ndcg_3': 0.6309, 'recall_3': 1.0, 'mrr_3': 0.5}
    """
    liked = liked[:, :most].astype(np.float64)
    discounts = 1 / np.log2(np.arange(2, liked.shape[1] + 2))
    ideal = np.concatenate([[0.0], (1 / np.log2(np.arange(2, most + 2))).cumsum()])
    best = ideal[np.minimum(total, most)]
    first = np.where(liked.any(1), 1 / (liked.argmax(1) + 1.0), 0.0)
    return {
        f"ndcg_{most}": (liked * discounts).sum(1) / best,
        f"recall_{most}": liked.sum(1) / np.minimum(total, most),
        f"mrr_{most}": first,
    }


def ranking_of(
    scores: Array, chosen: Array, users: Array, items: Array, seen: tuple[Array, Array]
) -> dict[str, float]:
    """Mean metrics of lists of items by score, without those that were seen.

    Args:
        scores: Float [users, items].
        chosen: The codes of those users, from 1 and in any order.
        users: Codes of pairs that are liked: their users, int64 [n].
        items: Their items, likewise.
        seen: Codes of pairs that are not to be recommended.

    >>> nobody = (np.empty(0, np.int64),) * 2
    >>> one, two = np.array([1]), np.array([2])
    >>> ranking_of(np.array([[0.1, 0.2]]), one, one, two, nobody)["mrr_10"]
    1.0
    """
    liked = np.zeros(scores.shape, dtype=bool)
    at = {code: row for row, code in enumerate(chosen.tolist())}
    pairs = [(at[user], item - 1) for user, item in zip(users, items, strict=True) if user in at]
    liked[tuple(np.array(pairs).T)] = True
    known = np.isin(seen[0], chosen) & (seen[1] > 0)
    rows = np.array([at[user] for user in seen[0][known].tolist()], dtype=np.int64)
    scores = scores.astype(np.float64)
    scores[rows, seen[1][known] - 1] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    found = ranking_metrics(np.take_along_axis(liked, best, 1), liked.sum(1))
    return {name: float(values.mean()) for name, values in found.items()}
