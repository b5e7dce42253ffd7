"""One class of several."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.findings import Finding
from paceline.tasks.base.goal import Goal, Labels

_MOST_ROWS = 200
_WIDEST = 30


@final
class Classification(Goal):
    """One class of several for each example; softmax cross-entropy in nats.

    Args:
        classes: The labels, in the order of the outputs.
        smoothing: Label smoothing (Szegedy et al. 2016, section 7), 0 to under 1.
        temperature: Outputs are divided by it before the softmax of an answer (Guo et al.
            2017, section 4.2), over 0; it calibrates probabilities and changes no choice.

    >>> goal = Classification(["cat", "dog"])
    >>> goal.encode(np.array(["dog", "cat"])).tolist()
    [1, 0]
    >>> goal.decode(torch.tensor([[0.2, 0.8]])).tolist()
    ['dog']
    """

    name = "classification"
    primary = "accuracy"
    higher_is_better = True
    stratify = True

    def __init__(
        self, classes: list[Any], *, smoothing: float = 0.0, temperature: float = 1.0
    ) -> None:
        if not 0 <= smoothing < 1:
            raise SettingError(f"smoothing must be at least 0 and under 1, got {smoothing}")
        if not temperature > 0:
            raise SettingError(f"temperature must be over 0, got {temperature}")
        self.classes = list(classes)
        self.smoothing, self.temperature = smoothing, temperature
        self.outputs = len(self.classes)
        self._index = {label: index for index, label in enumerate(self.classes)}

    def encode(self, targets: Labels) -> Tensor:
        try:
            return torch.tensor(
                [self._index[label] for label in targets.tolist()], dtype=torch.int64
            )
        except KeyError as error:
            label = error.args[0]
            raise DataError(
                f"the label {label!r} was not among the training examples"
                f"{nearest(label, self._index)}"
            ) from None

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if output.ndim == 3:
            target = target[:, None].expand(-1, output.shape[1]).reshape(-1)
            output = output.flatten(0, 1)
        return functional.cross_entropy(output, target, label_smoothing=self.smoothing)

    def answer(self, output: Tensor) -> Tensor:
        probabilities = (output.double() / self.temperature).softmax(-1)
        return probabilities.mean(1) if output.ndim == 3 else probabilities

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        right = answer.argmax(-1) == target
        chosen = answer.gather(-1, target[:, None]).clamp_min(1e-15)
        measured = {
            "accuracy": right.double().mean().item(),
            "log_loss": -chosen.double().log().mean().item(),
        }
        measured["balanced_accuracy"] = _mean_by_class(right, target, self.outputs)
        measured["macro_f1"] = float(_by_class(answer, target)[2].mean())
        measured["calibration_error"] = calibration_error(answer, target)
        if self.outputs > 5:
            best = answer.topk(5, -1).indices
            measured["top_5"] = (best == target[:, None]).any(-1).double().mean().item()
        if self.outputs == 2:
            measured["auc"] = _auc(answer[:, 1], target)
        return measured | {"loss": measured["log_loss"]}

    def findings(self, answer: Tensor, target: Tensor) -> tuple[Finding, ...]:
        if not len(target) or self.outputs > _MOST_ROWS:
            return ()
        precision, recall, f1, count = (each.tolist() for each in _by_class(answer, target))
        names = [str(label) for label in self.classes]
        seen = zip(names, precision, recall, f1, map(int, count), strict=True)
        heads = ("class", "precision", "recall", "f1", "examples")
        found = [Finding(title="Each class", columns=heads, rows=tuple(seen))]
        if self.outputs <= _WIDEST:
            counts = _confusions(answer, target)
            rows = tuple((name, *row) for name, row in zip(names, counts.tolist(), strict=True))
            found.append(
                Finding(
                    title="Confusion",
                    kind="matrix",
                    columns=("is", *names),
                    rows=rows,
                    note="A row is what it is, a column what it was taken for.",
                )
            )
        return tuple(found)

    def says(self, answer: Tensor) -> dict[str, list[Any]]:
        likely = answer.amax(-1).double().tolist()
        return {"prediction": self.decode(answer).tolist(), "probability": likely}

    def decode(self, answer: Tensor) -> Labels:
        labels: Labels = np.array(self.classes, dtype=_label_type(self.classes))
        return labels.take(answer.argmax(-1).cpu().numpy())

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "classes": self.classes,
            "smoothing": self.smoothing,
            "temperature": self.temperature,
        }


def _mean_by_class(right: Tensor, target: Tensor, classes: int) -> float:
    seen = torch.bincount(target, minlength=classes)
    hits = torch.bincount(target, weights=right.double(), minlength=classes)
    return float((hits[seen > 0] / seen[seen > 0]).mean())


def _confusions(answer: Tensor, target: Tensor) -> Tensor:
    """How often each class was taken for each: int64 [is, taken for]."""
    classes = answer.shape[-1]
    pairs = target * classes + answer.argmax(-1)
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def _by_class(answer: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def _auc(score: Tensor, target: Tensor) -> float:
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


def _label_type(classes: list[Any]) -> Any:
    return object if any(isinstance(label, str) for label in classes) else None
