"""What good means: a class to name or a number to hit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError, SettingError, nearest

Labels = np.ndarray[Any, Any]
MOST_CLASSES = 10_000
_SAFE_INTEGER_CLASSES = 20


class Goal(ABC):
    """Turns raw targets into tensors, outputs into answers, and both into numbers.

    Class attributes:
        name: ``classification`` or ``regression``.
        primary: The metric that chooses the best weights.
        higher_is_better: Its direction.
    """

    name: ClassVar[Literal["classification", "regression"]]
    primary: ClassVar[str]
    higher_is_better: ClassVar[bool]
    outputs: int

    @abstractmethod
    def encode(self, targets: Labels) -> Tensor:
        """Raw targets [n] as a tensor [n].

        Raises:
            DataError: A target was not in the training examples, or is no number.
        """

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a batch: output [n, outputs] or [n, members, outputs], target [n]."""

    @abstractmethod
    def answer(self, output: Tensor) -> Tensor:
        """Probabilities [n, classes], or numbers [n] in the target's own unit."""

    @abstractmethod
    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        """All metrics of answers for encoded targets."""

    @abstractmethod
    def decode(self, answer: Tensor) -> Labels:
        """Answers in the words of the source: labels, or numbers."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that was learnt."""

    def better(self, new: Mapping[str, float], old: Mapping[str, float] | None) -> bool:
        """Whether ``new`` metrics beat ``old`` ones: by the primary one, ties by the loss."""
        if old is None:
            return True
        return self._rank(new) > self._rank(old)

    def _rank(self, measured: Mapping[str, float]) -> tuple[float, float]:
        # A comparison with nan is false either way: the first nan would stay the best.
        sign = 1.0 if self.higher_is_better else -1.0
        first, second = sign * measured[self.primary], -measured["loss"]
        return (
            -np.inf if np.isnan(first) else first,
            -np.inf if np.isnan(second) else second,
        )


@final
class Classification(Goal):
    """One class of several for each example; softmax cross-entropy in nats.

    Args:
        classes: The labels, in the order of the outputs.
        smoothing: Label smoothing (Szegedy et al. 2016, section 7), 0 to under 1.

    >>> goal = Classification(["cat", "dog"])
    >>> goal.encode(np.array(["dog", "cat"])).tolist()
    [1, 0]
    >>> goal.decode(torch.tensor([[0.2, 0.8]])).tolist()
    ['dog']
    """

    name = "classification"
    primary = "accuracy"
    higher_is_better = True

    def __init__(self, classes: list[Any], *, smoothing: float = 0.0) -> None:
        if not 0 <= smoothing < 1:
            raise SettingError(f"smoothing must be at least 0 and under 1, got {smoothing}")
        self.classes = list(classes)
        self.smoothing = smoothing
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
        probabilities = output.double().softmax(-1)
        return probabilities.mean(1) if output.ndim == 3 else probabilities

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        right = answer.argmax(-1) == target
        chosen = answer.gather(-1, target[:, None]).clamp_min(1e-15)
        measured = {
            "accuracy": right.double().mean().item(),
            "log_loss": -chosen.double().log().mean().item(),
        }
        measured["balanced_accuracy"] = _mean_by_class(right, target, self.outputs)
        if self.outputs == 2:
            measured["auc"] = _auc(answer[:, 1], target)
        return measured | {"loss": measured["log_loss"]}

    def decode(self, answer: Tensor) -> Labels:
        labels: Labels = np.array(self.classes, dtype=_label_type(self.classes))
        return labels.take(answer.argmax(-1).cpu().numpy())

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "classes": self.classes, "smoothing": self.smoothing}


@final
class Regression(Goal):
    """One number for each example; mean squared error of the standardised target.

    Args:
        mean: Of the training targets, in their own unit.
        scale: Standard deviation of the training targets.

    >>> goal = Regression(mean=10.0, scale=2.0)
    >>> goal.encode(np.array([12.0])).tolist(), goal.answer(torch.tensor([[1.0]])).tolist()
    ([1.0], [12.0])
    """

    name = "regression"
    primary = "rmse"
    higher_is_better = False
    outputs = 1

    def __init__(self, *, mean: float, scale: float) -> None:
        self.mean, self.scale = float(mean), float(scale) or 1.0

    def encode(self, targets: Labels) -> Tensor:
        numbers = torch.from_numpy(_numbers(targets))
        return ((numbers - self.mean) / self.scale).float()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        output = output.squeeze(-1)
        if output.ndim == 2:
            target = target[:, None].expand_as(output)
        return functional.mse_loss(output, target)

    def answer(self, output: Tensor) -> Tensor:
        values = output.double().squeeze(-1)
        values = values.mean(1) if values.ndim == 2 else values
        return values * self.scale + self.mean

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        truth = target.double() * self.scale + self.mean
        error = answer.double() - truth
        squared = error.square().mean().item()
        spread = (truth - truth.mean()).square().mean().item()
        return {
            "rmse": squared**0.5,
            "mae": error.abs().mean().item(),
            "r2": 1 - squared / spread if spread > 0 else float("nan"),
            "loss": squared / self.scale**2,
        }

    def decode(self, answer: Tensor) -> Labels:
        values: Labels = answer.double().cpu().numpy()
        return values

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "mean": self.mean, "scale": self.scale}


def goal_from_json(state: Mapping[str, Any]) -> Goal:
    """Back from what a goal's ``to_json`` gave."""
    arguments = {key: value for key, value in state.items() if key != "name"}
    return (
        Classification(**arguments)
        if state["name"] == "classification"
        else Regression(**arguments)
    )


def find_goal(targets: Labels, wanted: str | None = None, *, smoothing: float = 0.0) -> Goal:
    """The goal that training targets call for, or the one that is ``wanted``.

    Numbers with fractions, and integers with more than 20 values, are hit; everything
    else is named.

    Raises:
        DataError: There are missing or infinite targets, one class only, or as good as
            as many classes as examples.
    """
    goals = ("classification", "regression")
    if wanted is not None and wanted not in goals:
        raise SettingError(f"there is no goal {wanted!r}{nearest(wanted, goals)}")
    _refuse_missing(targets)
    if wanted == "regression" or (wanted is None and _is_measurement(targets)):
        return _regression(targets)
    return _classification(targets, smoothing)


def _is_measurement(targets: Labels) -> bool:
    if targets.dtype.kind == "f":
        whole = bool((targets == np.round(targets)).all())
        return not whole or len(np.unique(targets)) > _SAFE_INTEGER_CLASSES
    return targets.dtype.kind in "iu" and len(np.unique(targets)) > _SAFE_INTEGER_CLASSES


def _refuse_missing(targets: Labels) -> None:
    if len(targets) == 0:
        raise DataError("there are no examples; at least two are needed")
    if targets.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(targets))
    else:
        bad = np.array(
            [i for i, label in enumerate(targets.tolist()) if label is None or label != label]
        )
    if len(bad):
        raise _missing(targets, bad)


def _regression(targets: Labels) -> Regression:
    numbers = _numbers(targets)
    if numbers.min() == numbers.max():
        raise DataError(f"every target is {numbers[0]:g}; there is nothing to learn")
    return Regression(mean=float(numbers.mean()), scale=float(numbers.std()))


def _numbers(targets: Labels) -> Labels:
    """Targets as finite float64, in an array of its own."""
    try:
        numbers = np.array(targets, dtype=np.float64)
    except (TypeError, ValueError):
        wrong = next(label for label in targets.tolist() if not _is_number(label))
        raise DataError(f"regression needs numbers, but there are targets like {wrong!r}") from None
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise _missing(targets, bad)
    return numbers


def _is_number(label: Any) -> bool:
    try:
        float(label)
    except (TypeError, ValueError):
        return False
    return True


def _missing(targets: Labels, bad: Labels) -> DataError:
    return DataError(
        f"{len(bad)} of {len(targets)} targets are missing or infinite, the first in example"
        f" {bad[0] + 1}: {targets[bad[0]]}; remove those examples or fill them in"
    )


def _classes(targets: Labels) -> list[Any]:
    """The different labels in order; those of several types by type and text."""
    try:
        found: list[Any] = np.unique(targets).tolist()
    except TypeError:
        found = sorted(set(targets.tolist()), key=lambda label: (type(label).__name__, str(label)))
    return found


def _classification(targets: Labels, smoothing: float) -> Classification:
    classes = _classes(targets)
    if len(classes) < 2:
        raise DataError(f"every target is {classes[0]!r}; at least two classes are needed")
    if len(classes) > MOST_CLASSES or (len(classes) > 50 and len(classes) > 0.5 * len(targets)):
        raise DataError(
            f"the target has {len(classes)} different values in {len(targets)} examples; name"
            " another column, or use --task regression if they are numbers"
        )
    return Classification(classes, smoothing=smoothing)


def _mean_by_class(right: Tensor, target: Tensor, classes: int) -> float:
    seen = torch.bincount(target, minlength=classes)
    hits = torch.bincount(target, weights=right.double(), minlength=classes)
    return float((hits[seen > 0] / seen[seen > 0]).mean())


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
