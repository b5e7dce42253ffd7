"""Which metrics are better high, which one counts first, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

LOWER_IS_BETTER = frozenset(
    {"log_loss", "loss", "rmse", "mae", "mse", "error", "perplexity", "calibration_error"}
    | {"cross_entropy", "bits_per_character"}
)
PRIMARY = {"classification": "accuracy", "regression": "rmse"}
PRIMARY |= {"control": "mean_return"}
PRIMARY |= {"language": "cross_entropy", "rating": "rmse", "tagging": "f1"}
_WORDS = {
    "auc": "AUC",
    "f1": "F1",
    "log_loss": "log loss",
    "mae": "MAE",
    "r2": "R²",
    "rmse": "RMSE",
}


def primary_metric(goal: str, metrics: Iterable[str]) -> str:
    """The metric that counts first: the goal's own, else the first one there is.

    >>> primary_metric("regression", ["mae", "rmse"]), primary_metric("ranking", ["ndcg"])
    ('rmse', 'ndcg')
    """
    names = list(metrics)
    own = PRIMARY.get(goal, "")
    return own if own in names or not names else names[0]


def in_order(goal: str, metrics: Iterable[str]) -> list[str]:
    """Metrics with the primary one first; the training's own loss left out."""
    names = [name for name in metrics if name != "loss"]
    first = primary_metric(goal, names)
    return sorted(names, key=lambda name: name != first)


def best_of(metric: str, values: Mapping[str, float]) -> str | None:
    """Whose finite value of a metric is best; the first of equals; None where there is none.

    >>> best_of("rmse", {"mean": 1.2, "ridge": 0.7}), best_of("accuracy", {"a": float("nan")})
    ('ridge', None)
    """
    finite = {name: value for name, value in values.items() if is_finite(value)}
    if not finite:
        return None
    choose = min if metric in LOWER_IS_BETTER else max
    return choose(finite, key=lambda name: finite[name])


def is_finite(value: Any) -> bool:
    """Whether it is a number that can be compared and drawn."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def in_words(metric: str) -> str:
    """A metric's name for people.

    >>> in_words("log_loss"), in_words("balanced_accuracy")
    ('log loss', 'balanced accuracy')
    """
    return _WORDS.get(metric, metric.replace("_", " "))


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits, thousands apart, and no needless zeros.

    >>> number(0.98765432), number(1234567), number(2e-7), number(float("nan")), number(None)
    ('0.9877', '1,234,567', '2e-07', 'nan', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value) and abs(value) >= 1):
        return f"{int(value):,}"
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.{digits}g}"


def fixed(value: Any) -> str:
    """A metric with four digits after the point, so that a column lines up.

    >>> fixed(0.9), fixed(12345.678), fixed(None), fixed(1e-7)
    ('0.9000', '12,345.7', '–', '1e-07')
    """
    if not is_finite(value):
        return number(value)
    if value != 0 and not 1e-4 <= abs(value) < 1e9:
        return number(value)
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4f}"
