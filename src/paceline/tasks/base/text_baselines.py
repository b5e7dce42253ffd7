"""Plain rivals of a network that reads texts: counted words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paceline.core.clock import Clock, WallClock
from paceline.core.errors import MissingExtra
from paceline.core.extras import need
from paceline.core.progress import Progress
from paceline.data.base import Examples
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.goal import Goal

_PURPOSE = "a baseline of scikit-learn"
_WORDS = r"(?u)\b\w+\b|[!?]"
_CHARACTERS = 40_000_000
_LEAST_ROWS = 500
Method = Callable[[Goal, list[str], Any, list[str]], Tensor]


def measure_text_baselines(
    goal: Goal,
    train: Examples,
    test: Examples,
    *,
    seed: int,
    progress: Progress,
    effort: float = 1.0,
    clock: Clock | None = None,
) -> dict[str, Baseline]:
    """Measures the majority, a linear method on tf-idf and naive Bayes, or their like for numbers.

    Args:
        goal: Encodes targets and measures answers.
        train: Texts and targets.
        test: The same.
        seed: Chooses rows where there are too many.
        progress: Told which method is running.
        effort: Share of the usual work that each may do, over 0 and at most 1.
        clock: Measures the seconds; the wall clock where left out.

    Reference:
        Wang and Manning, Baselines and Bigrams, ACL 2012, for naive Bayes as features.
    """
    clock = clock or WallClock()
    assert train.targets is not None and test.targets is not None
    rows = _some(train, seed, effort)
    learnt = [train.inputs[row] for row in rows]
    targets = goal.encode(train.targets[rows]).numpy()
    truth = goal.encode(test.targets)
    note = f"learnt from {len(rows)} of {len(train)} texts to keep it short"
    measured = {}
    for done, (name, method) in enumerate(_METHODS[goal.name].items()):
        progress.advance("baselines", done / len(_METHODS[goal.name]), name)
        start = clock.now()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = method(goal, learnt, targets, list(test.inputs))
            found = Baseline(
                metrics=goal.metrics(answer, truth),
                seconds=clock.now() - start,
                note=note if len(rows) < len(train) else "",
            )
        except MissingExtra as error:
            found = Baseline(note=f"not measured: {error}")
        # A rival that breaks on odd data must not take the run with it.
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            found = Baseline(
                seconds=clock.now() - start, note=f"failed: {type(error).__name__}: {first}"
            )
        measured[name] = found
    progress.advance("baselines", 1.0)
    return measured


def _some(train: Examples, seed: int, effort: float) -> Any:
    """Rows that the work allows, all where they are few."""
    long = max(1, sum(map(len, train.inputs)) // max(len(train), 1))
    most = max(_LEAST_ROWS, int(effort * _CHARACTERS) // long)
    if len(train) <= most:
        return np.arange(len(train))
    return np.sort(np.random.default_rng(seed % 2**32).permutation(len(train))[:most])


def _majority(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    counts = np.bincount(targets, minlength=goal.outputs)
    return torch.from_numpy(counts / counts.sum()).expand(len(asked), -1)


def _mean(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    mean = torch.tensor(float(targets.mean(dtype=np.float64)))
    return goal.answer(mean.expand(len(asked), 1))


def _weighted() -> Any:
    text = need("sklearn.feature_extraction.text", extra="sklearn", purpose=_PURPOSE)
    return text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORDS)


def _logistic(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    words = _weighted()
    method = linear.LogisticRegression(C=10.0, max_iter=200)
    method.fit(words.fit_transform(texts), targets)
    return _shares(goal, method, method.predict_proba(words.transform(asked)))


def _naive_bayes(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    bayes = need("sklearn.naive_bayes", extra="sklearn", purpose=_PURPOSE)
    text = need("sklearn.feature_extraction.text", extra="sklearn", purpose=_PURPOSE)
    words = text.CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=_WORDS)
    method = bayes.MultinomialNB()
    method.fit(words.fit_transform(texts), targets)
    return _shares(goal, method, method.predict_proba(words.transform(asked)))


def _bayes_and_linear(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    """Logistic regression, one class against the rest, on counts times naive Bayes' log ratios."""
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    text = need("sklearn.feature_extraction.text", extra="sklearn", purpose=_PURPOSE)
    words = text.CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=_WORDS)
    counts, new = words.fit_transform(texts), words.transform(asked)
    scores = np.zeros((len(asked), goal.outputs))
    for label in np.unique(targets):
        inside, outside = (1.0 + counts[rows].sum(0) for rows in _sides(targets, label))
        ratio = np.log(np.asarray(inside / inside.sum()) / np.asarray(outside / outside.sum()))
        method = linear.LogisticRegression(C=1.0, max_iter=200)
        method.fit(counts.multiply(ratio).tocsr(), targets == label)
        scores[:, label] = method.predict_proba(new.multiply(ratio).tocsr())[:, 1]
    return torch.from_numpy(scores / scores.sum(1, keepdims=True).clip(1e-12))


def _sides(targets: Any, label: int) -> tuple[Any, Any]:
    return np.flatnonzero(targets == label), np.flatnonzero(targets != label)


def _ridge(goal: Goal, texts: list[str], targets: Any, asked: list[str]) -> Tensor:
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    words, method = _weighted(), linear.Ridge(alpha=1.0)
    method.fit(words.fit_transform(texts), targets)
    guess = torch.from_numpy(np.asarray(method.predict(words.transform(asked)), np.float32))
    return goal.answer(guess[:, None])


def _shares(goal: Goal, method: Any, found: Any) -> Tensor:
    shares = torch.zeros(len(found), goal.outputs, dtype=torch.float64)
    shares[:, torch.as_tensor(np.asarray(method.classes_, np.int64))] = torch.from_numpy(found)
    return shares


_METHODS: dict[str, dict[str, Method]] = {
    "classification": {
        "majority": _majority,
        "naive_bayes": _naive_bayes,
        "tfidf_logistic": _logistic,
        "bayes_logistic": _bayes_and_linear,
    },
    "regression": {"mean": _mean, "tfidf_ridge": _ridge},
}
