"""Plain rivals, measured beside every result by the same metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.clock import Clock, WallClock
from paceline.core.errors import MissingExtra
from paceline.core.extras import need
from paceline.core.progress import Progress
from paceline.tasks.base.goal import Goal

Array = np.ndarray[Any, Any]
_PURPOSE = "a baseline of scikit-learn"
_LINEAR_ENTRIES = 120_000_000
_TREE_WORK = 8_000_000_000
_LEAVES = 31
_LEAST_ROWS = 500
_PREDICTIONS = 200_000_000
_ONE_HOT = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What a plain method reaches on the test examples.

    Attributes:
        metrics: By the names that the goal gives them; empty where the method failed.
        seconds: Training and prediction.
        note: What was cut short, what failed, or nothing.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """Features and encoded targets to learn from, and features to answer."""

    goal: Goal
    train: Array
    train_targets: Array
    test: Array
    categorical: tuple[int, ...]
    seed: int
    effort: float = 1.0

    @property
    def trees_a_round(self) -> int:
        return self.goal.outputs if self.goal.outputs > 2 else 1

    @property
    def numeric(self) -> list[int]:
        return [at for at in range(self.train.shape[1]) if at not in set(self.categorical)]

    def some(self, most: int) -> Array:
        """Up to ``most`` training rows, every class in its proportion and none left out."""
        count = len(self.train)
        if count <= most:
            return np.arange(count)
        random = np.random.default_rng(self.seed)
        order = random.permutation(count)
        if self.goal.name == "regression":
            return order[:most]
        groups = [order[self.train_targets[order] == label] for label in range(self.goal.outputs)]
        return np.concatenate([rows[: math.ceil(len(rows) * most / count)] for rows in groups])


Method = Callable[[_Table], tuple[Tensor, str]]


def measure_baselines(
    goal: Goal,
    train_features: Array,
    train_targets: Array,
    test_features: Array,
    test_targets: Array,
    *,
    seed: int,
    progress: Progress,
    categorical: Sequence[int] = (),
    effort: float = 1.0,
    clock: Clock | None = None,
) -> dict[str, Baseline]:
    """Trains and measures the majority or mean, a linear method and boosted trees.

    The work of each is bounded to some seconds of one core: beyond that it learns from
    fewer rows or rounds, and its note says so. One that fails is reported, never raised.

    Args:
        goal: Encodes targets and measures answers.
        train_features: Float [n, columns], nan for missing.
        train_targets: As they stand in the source, [n].
        test_features: Float [m, columns].
        test_targets: As they stand in the source, [m].
        seed: For the choice of rows and for the methods themselves.
        progress: Told which method is running.
        categorical: Columns that hold codes of categories.
        effort: Share of the usual work that each may do, over 0 and at most 1.
        clock: Measures the seconds; the wall clock where left out.
    """
    clock = clock or WallClock()
    table = _Table(
        goal=goal,
        train=np.asarray(train_features, dtype=np.float32),
        train_targets=goal.encode(train_targets).numpy(),
        test=np.asarray(test_features, dtype=np.float32),
        categorical=tuple(categorical),
        seed=seed % 2**32,
        effort=effort,
    )
    truth = goal.encode(test_targets)
    methods = _METHODS[goal.name]
    measured = {}
    for done, (name, method) in enumerate(methods.items()):
        progress.advance("baselines", done / len(methods), name)
        measured[name] = _measured(method, table, truth, clock)
    progress.advance("baselines", 1.0)
    return measured


def _measured(method: Method, table: _Table, truth: Tensor, clock: Clock) -> Baseline:
    start = clock.now()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer, note = method(table)
        metrics = table.goal.metrics(answer, truth[: len(answer)])
    except MissingExtra as error:
        return Baseline(note=f"not measured: {error}")
    # A rival that breaks on odd data must not take the run with it.
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return Baseline(
            seconds=clock.now() - start, note=f"failed: {type(error).__name__}: {first}"
        )
    return Baseline(metrics=metrics, seconds=clock.now() - start, note=note)


def _majority(table: _Table) -> tuple[Tensor, str]:
    """The classes' shares, whatever the example."""
    counts = np.bincount(table.train_targets, minlength=table.goal.outputs)
    shares = torch.from_numpy(counts / counts.sum()).float()
    return shares.expand(len(table.test), -1), ""


def _mean(table: _Table) -> tuple[Tensor, str]:
    """The mean target, whatever the example."""
    mean = torch.tensor(float(table.train_targets.mean(dtype=np.float64)))
    return table.goal.answer(mean.expand(len(table.test), 1)), ""


def _logistic(table: _Table) -> tuple[Tensor, str]:
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    return _linear(table, linear.LogisticRegression(max_iter=100), table.goal.outputs)


def _ridge(table: _Table) -> tuple[Tensor, str]:
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    return _linear(table, linear.Ridge(alpha=1.0), 1)


def _linear(table: _Table, method: Any, outputs: int) -> tuple[Tensor, str]:
    columns = max(1, len(table.numeric) + 3 * len(table.categorical))
    rows = table.some(max(_LEAST_ROWS, int(table.effort * _LINEAR_ENTRIES) // (columns * outputs)))
    pipeline = need("sklearn.pipeline", extra="sklearn", purpose=_PURPOSE)
    fitted = pipeline.make_pipeline(_prepared(table), method)
    fitted.fit(table.train[rows], table.train_targets[rows])
    return _answer(table, fitted, len(table.test)), _cut(table, len(rows), None, None)


def _prepared(table: _Table) -> Any:
    """Gaps filled and marked, numbers standardised, categories one-hot."""
    compose = need("sklearn.compose", extra="sklearn", purpose=_PURPOSE)
    impute = need("sklearn.impute", extra="sklearn", purpose=_PURPOSE)
    pipeline = need("sklearn.pipeline", extra="sklearn", purpose=_PURPOSE)
    ready = need("sklearn.preprocessing", extra="sklearn", purpose=_PURPOSE)
    numbers = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="median", add_indicator=True), ready.StandardScaler()
    )
    codes = ready.OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_ONE_HOT)
    return compose.ColumnTransformer(
        [("numbers", numbers, table.numeric), ("codes", codes, list(table.categorical))]
    )


def _boosting(table: _Table) -> tuple[Tensor, str]:
    ensemble = need("sklearn.ensemble", extra="sklearn", purpose=_PURPOSE)
    trees = table.trees_a_round
    work = int(table.effort * _TREE_WORK)
    limits = _limits(len(table.train), table.train.shape[1], trees, work)
    rows = table.some(limits.rows)
    # scikit-learn finds no bins in a column that is empty.
    empty = np.isnan(table.train[rows]).all(0)
    table = replace(
        table, train=np.where(empty, 0, table.train), test=np.where(empty, 0, table.test)
    )
    classify = table.goal.name == "classification"
    kind = (
        ensemble.HistGradientBoostingClassifier
        if classify
        else ensemble.HistGradientBoostingRegressor
    )
    targets = table.train_targets[rows]
    lonely = classify and np.unique(targets, return_counts=True)[1].min() < 10
    method = kind(
        max_iter=limits.rounds,
        learning_rate=limits.learning_rate,
        max_bins=limits.bins,
        early_stopping=len(rows) > 10_000 and not lonely,
        categorical_features=_native(table, limits.bins),
        random_state=table.seed,
    )
    method.fit(table.train[rows], targets)
    asked = min(len(table.test), _PREDICTIONS // (limits.rounds * trees))
    rounds = limits.rounds if limits != _Limits(rows=limits.rows) else None
    note = _cut(table, len(rows), rounds, asked if asked < len(table.test) else None)
    return _answer(table, method, asked), note


@dataclass(frozen=True, kw_only=True, slots=True)
class _Limits:
    """How boosting is kept within its work; scikit-learn's own settings where it is anyway."""

    rows: int
    rounds: int = 100
    learning_rate: float = 0.1
    bins: int = 255

    def work(self, columns: int, trees_a_round: int) -> int:
        """Steps: every tree looks at its rows on some 6 levels, and at all bins of 31 leaves."""
        return columns * trees_a_round * self.rounds * (6 * self.rows + _LEAVES * self.bins)


def _limits(rows: int, columns: int, trees_a_round: int, work: int) -> _Limits:
    plain = _Limits(rows=rows)
    if plain.work(columns, trees_a_round) <= work:
        return plain
    for rounds in (40, 20, 10):
        steps = work // (columns * trees_a_round * rounds)
        most = (steps - _LEAVES * 63) // 6
        if most >= _LEAST_ROWS:
            return _Limits(rows=min(rows, most), rounds=rounds, learning_rate=0.2, bins=63)
    raise ValueError(f"too much work with {columns} columns and {trees_a_round} trees a round")


def _native(table: _Table, most: int) -> list[int] | None:
    """Categories that boosting can take as such; the others count as numbers."""
    few = [
        at
        for at in table.categorical
        if not np.isnan(table.train[:, at]).all() and np.nanmax(table.train[:, at]) < most
    ]
    return few or None


def _answer(table: _Table, method: Any, asked: int) -> Tensor:
    if table.goal.name == "regression":
        guess = torch.from_numpy(np.asarray(method.predict(table.test[:asked]), dtype=np.float32))
        return table.goal.answer(guess[:, None])
    found = torch.from_numpy(np.asarray(method.predict_proba(table.test[:asked]), np.float32))
    shares = torch.zeros(asked, table.goal.outputs)
    shares[:, torch.as_tensor(np.asarray(method.classes_, dtype=np.int64))] = found
    return shares


def _cut(table: _Table, rows: int, rounds: int | None, asked: int | None) -> str:
    notes = []
    if rows < len(table.train):
        notes.append(f"learnt from {rows} of {len(table.train)} examples")
    if rounds is not None:
        notes.append(f"{rounds} rounds")
    if asked is not None:
        notes.append(f"measured on the first {asked} of {len(table.test)} examples")
    return f"{', '.join(notes)} to keep it short" if notes else ""


_METHODS: dict[str, dict[str, Method]] = {
    "classification": {
        "majority": _majority,
        "logistic_regression": _logistic,
        "gradient_boosting": _boosting,
    },
    "regression": {"mean": _mean, "ridge_regression": _ridge, "gradient_boosting": _boosting},
}
