"""One class of several."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.findings import Finding
from paceline.tasks.base.class_metrics import (
    auc,
    by_class,
    calibration_error,
    confusions,
    mean_by_class,
)
from paceline.tasks.base.goal import Goal, Labels

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "auc")
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
        metric: Which metric chooses the weights, of ``METRICS``.
        class_weights: What an example of each class counts in the loss, 1 in the mean over
            the training examples; None where all count alike.
        offsets: Added to the outputs of an answer, one a class (Menon et al. 2021, equation
            9); with them rare classes are named more often. None for none.

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
        self,
        classes: list[Any],
        *,
        smoothing: float = 0.0,
        temperature: float = 1.0,
        metric: str = "accuracy",
        class_weights: list[float] | None = None,
        offsets: list[float] | None = None,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise SettingError(f"smoothing must be at least 0 and under 1, got {smoothing}")
        if not temperature > 0:
            raise SettingError(f"temperature must be over 0, got {temperature}")
        if metric not in METRICS or (metric == "auc" and len(classes) != 2):
            raise SettingError(
                f"there is no metric {metric!r} for {len(classes)} classes"
                f"{nearest(metric, METRICS)}"
            )
        self.primary, self.higher_is_better = metric, metric != "log_loss"  # type: ignore[misc] # of this goal alone
        self.class_weights, self.offsets = class_weights, offsets
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
        if self.class_weights is None:
            return functional.cross_entropy(output, target, label_smoothing=self.smoothing)
        weights = torch.tensor(self.class_weights, dtype=output.dtype, device=output.device)
        losses = functional.cross_entropy(
            output, target, reduction="none", label_smoothing=self.smoothing
        )
        return (losses * weights[target]).mean()

    def answer(self, output: Tensor) -> Tensor:
        scaled = output.double() / self.temperature
        if self.offsets is not None:
            scaled = scaled + torch.tensor(self.offsets, dtype=scaled.dtype)
        probabilities = scaled.softmax(-1)
        return probabilities.mean(1) if output.ndim == 3 else probabilities

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        right = answer.argmax(-1) == target
        chosen = answer.gather(-1, target[:, None]).clamp_min(1e-15)
        measured = {
            "accuracy": right.double().mean().item(),
            "log_loss": -chosen.double().log().mean().item(),
        }
        measured["balanced_accuracy"] = mean_by_class(right, target, self.outputs)
        measured["macro_f1"] = float(by_class(answer, target)[2].mean())
        measured["calibration_error"] = calibration_error(answer, target)
        if self.outputs > 5:
            best = answer.topk(5, -1).indices
            measured["top_5"] = (best == target[:, None]).any(-1).double().mean().item()
        if self.outputs == 2:
            measured["auc"] = auc(answer[:, 1], target)
        return measured | {"loss": measured["log_loss"]}

    def findings(self, answer: Tensor, target: Tensor) -> tuple[Finding, ...]:
        if not len(target) or self.outputs > _MOST_ROWS:
            return ()
        precision, recall, f1, count = (each.tolist() for each in by_class(answer, target))
        names = [str(label) for label in self.classes]
        seen = zip(names, precision, recall, f1, map(int, count), strict=True)
        heads = ("class", "precision", "recall", "f1", "examples")
        found = [Finding(title="Each class", columns=heads, rows=tuple(seen))]
        if self.outputs <= _WIDEST:
            counts = confusions(answer, target)
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
            "metric": self.primary,
            "class_weights": self.class_weights,
            "offsets": self.offsets,
        }


def _label_type(classes: list[Any]) -> Any:
    return object if any(isinstance(label, str) for label in classes) else None
