"""The goal that targets call for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from paceline.core.errors import DataError, SettingError, nearest
from paceline.tasks.base.classification import Classification
from paceline.tasks.base.goal import Goal, Labels
from paceline.tasks.base.regression import Regression, missing_targets, numbers_of

MOST_CLASSES = 10_000
_SAFE_INTEGER_CLASSES = 20


def goal_from_json(state: Mapping[str, Any]) -> Goal:
    """Back from what a goal's ``to_json`` gave."""
    arguments = {key: value for key, value in state.items() if key != "name"}
    return (
        Classification(**arguments)
        if state["name"] == "classification"
        else Regression(**arguments)
    )


def find_goal(
    targets: Labels,
    wanted: str | None = None,
    *,
    smoothing: float = 0.0,
    metric: str | None = None,
    class_weights: str | None = None,
) -> Goal:
    """The goal that training targets call for, or the one that is ``wanted``.

    Numbers with fractions, and integers with more than 20 values, are hit; everything
    else is named.

    Args:
        targets: Of the examples [n].
        wanted: ``classification`` or ``regression``.
        smoothing: Of labels.
        metric: Which one chooses the weights, for classes.
        class_weights: ``balanced``: each class counts the same in the loss.

    Raises:
        DataError: There are missing or infinite targets, one class only, or as good as
            as many classes as examples.
    """
    goals = ("classification", "regression")
    if wanted is not None and wanted not in goals:
        raise SettingError(f"there is no goal {wanted!r}{nearest(wanted, goals)}")
    _refuse_missing(targets)
    if wanted == "regression" or (wanted is None and _is_measurement(targets)):
        if metric is not None or class_weights is not None:
            raise SettingError("metric and class_weights are for classes; these are numbers")
        return _regression(targets)
    classes = _classes(targets)
    _refuse_odd(classes, targets)
    return Classification(
        classes,
        smoothing=smoothing,
        metric=metric or "accuracy",
        class_weights=_weights(targets, classes, class_weights),
    )


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
        raise missing_targets(targets, bad)


def _regression(targets: Labels) -> Regression:
    numbers = numbers_of(targets)
    if numbers.min() == numbers.max():
        raise DataError(f"every target is {numbers[0]:g}; there is nothing to learn")
    return Regression(mean=float(numbers.mean()), scale=float(numbers.std()))


def _classes(targets: Labels) -> list[Any]:
    """The different labels in order; those of several types by type and text."""
    try:
        found: list[Any] = np.unique(targets).tolist()
    except TypeError:
        found = sorted(set(targets.tolist()), key=lambda label: (type(label).__name__, str(label)))
    return found


def _refuse_odd(classes: list[Any], targets: Labels) -> None:
    if len(classes) < 2:
        raise DataError(f"every target is {classes[0]!r}; at least two classes are needed")
    if len(classes) > MOST_CLASSES or (len(classes) > 50 and len(classes) > 0.5 * len(targets)):
        raise DataError(
            f"the target has {len(classes)} different values in {len(targets)} examples; name"
            " another column, or use --task regression if they are numbers"
        )


def _weights(targets: Labels, classes: list[Any], wanted: str | None) -> list[float] | None:
    """``n / (classes · n_c)`` for class c: 1 in the mean over the examples."""
    if wanted in (None, "none"):
        return None
    if wanted != "balanced":
        raise SettingError(f"class_weights is 'balanced' or 'none', not {wanted!r}")
    counts = Counter(targets.tolist())
    return [len(targets) / (len(classes) * counts[label]) for label in classes]
