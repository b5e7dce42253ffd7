"""What tells how well classes are named."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_by_class(right: Tensor, target: Tensor, classes: int) -> float:
    """The mean over classes of the share that is right: balanced accuracy."""
    seen = torch.bincount(target, minlength=classes)
    hits = torch.bincount(target, weights=right.double(), minlength=classes)
    return float((hits[seen > 0] / seen[seen > 0]).mean())


def confusions(answer: Tensor, target: Tensor) -> Tensor:
    """How often each class was taken for each: int64 [is, taken for]."""
    classes = answer.shape[-1]
    pairs = target * classes + answer.argmax(-1)
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def by_class(answer: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Precision, recall, F1 and count of each class, float64 [classes]; 0 where 0 / 0."""
    taken = answer.argmax(-1)
    classes = answer.shape[-1]
    hits = torch.bincount(target[taken == target], minlength=classes).double()
    chosen = torch.bincount(taken, minlength=classes).double()
    count = torch.bincount(target, minlength=classes).double()
    precision, recall = hits / chosen.clamp_min(1), hits / count.clamp_min(1)
    return precision, recall, 2 * hits / (chosen + count).clamp_min(1), count


def calibration_error(answer: Tensor, target: Tensor, bins: int = 15) -> float:
    """Expected calibration error: how far confidence lies from accuracy, in bins of confidence.

    ``Σ (n_bin / n) · |accuracy_bin − confidence_bin|``

    Args:
        answer: Probabilities [n, classes].
        target: int64 [n].
        bins: Of equal width.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.

    >>> round(calibration_error(torch.tensor([[0.8, 0.2]] * 4), torch.tensor([0, 0, 0, 1])), 6)
    0.05
    """
    confidence, taken = answer.double().max(-1)
    at = (confidence * bins).long().clamp_max(bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, at, (taken == target).double() - confidence)
    return float(gap.abs().sum() / max(len(target), 1))


def auc(score: Tensor, target: Tensor) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic, ties counted half."""
    _, inverse, counts = score.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call] # torch
    counts = counts.double()
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[inverse]
    positive = int(target.sum())
    negative = len(target) - positive
    if not positive or not negative:
        return float("nan")
    above = ranks[target == 1].sum().item() - positive * (positive + 1) / 2
    return float(above / (positive * negative))
