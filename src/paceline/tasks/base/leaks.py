"""Finds columns that give the target away."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_LEAST_ROWS = 50
_MOST_ROWS = 100_000
_BINS = 64


def gives_away(numbers: Array, codes: Array | None, targets: Array, classes: int | None) -> bool:
    """Whether one column alone determines the target.

    Numbers against numbers: a correlation of Pearson or Spearman over 0.999. Otherwise
    examples are grouped by 64 quantile bins or by code, and each is predicted from the
    others of its group: more than 99.5 % right where the largest class has under 95 %,
    or more than 99.9 % of the variance. A column of unique values so predicts nothing.

    Args:
        numbers: Float [n, parts], nan for missing.
        codes: Int64 [n], or None.
        targets: Class indices or numbers [n].
        classes: How many there are; None for numbers.
    """
    if len(targets) < _LEAST_ROWS:
        return False
    rows = np.linspace(0, len(targets) - 1, min(_MOST_ROWS, len(targets))).astype(int)
    targets = targets[rows]
    if classes is not None and np.bincount(targets).max() >= 0.95 * len(targets):
        return False
    determines = _names_number if classes is None else _names_class
    if codes is not None and determines(codes[rows], targets):
        return True
    for part in numbers[rows].T:
        if classes is None and _follows(part, targets):
            return True
        if determines(_binned(part), targets):
            return True
    return False


def _follows(part: Array, targets: Array) -> bool:
    known = np.isfinite(part)
    if known.sum() < max(_LEAST_ROWS, 0.5 * len(part)):
        return False
    part, targets = part[known], targets[known]
    pairs = [(part, targets), (_ranks(part), _ranks(targets))]
    return any(_correlation(one, other) > 0.999 for one, other in pairs)


def _correlation(one: Array, other: Array) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return abs(float(one @ other)) / size if size > 0 else 0.0


def _ranks(values: Array) -> Array:
    """Ranks of values, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    ranks: Array = (ends - (counts - 1) / 2.0)[inverse]
    return ranks


def _binned(part: Array) -> Array:
    """Groups by quantile, the missing values in one of their own."""
    known = np.isfinite(part)
    groups = np.full(len(part), _BINS + 1)
    if known.any():
        distinct = np.unique(part[known])
        if len(distinct) > _BINS:
            distinct = np.unique(np.quantile(part[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
        groups[known] = np.searchsorted(distinct, part[known])
    return groups


def _names_class(groups: Array, targets: Array) -> bool:
    pairs, counts = np.unique(np.stack([groups, targets], 1), axis=0, return_counts=True)
    order = np.lexsort((counts, pairs[:, 0]))
    last = np.append(pairs[order][1:, 0] != pairs[order][:-1, 0], True)
    largest = counts[order][last]
    return bool(largest[largest > 1].sum() > 0.995 * len(targets))


def _names_number(groups: Array, targets: Array) -> bool:
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, weights=targets)[inverse]
    others = counts[inverse] - 1
    guess = np.where(others > 0, (sums - targets) / np.maximum(others, 1), targets.mean())
    spread = float(np.square(targets - targets.mean()).sum())
    return spread > 0 and float(np.square(targets - guess).sum()) < 0.001 * spread
