"""What a network of texts goes by: words that tell, and texts that misled it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
from torch import Tensor

from paceline.core.findings import Finding
from paceline.data.base import Examples
from paceline.tasks.base.classification import Classification
from paceline.tasks.base.goal import Goal
from paceline.tasks.base.task import Judged

_WORD = re.compile(r"\w[\w'’-]*")
_CANDIDATES, _SHOWN, _TEXTS_A_WORD = 60, 10, 5
_LEAST = 3
_MOST_CLASSES = 12
_WORST, _CHARACTERS = 8, 240


def telling_words(goal: Goal, judged: Judged) -> tuple[Finding, ...]:
    """The words whose absence moves answers most, for each class or for the number.

    Candidates are those whose share among the training texts of a class differs most from
    that elsewhere. Each is left out of up to five test texts that hold it, and the network
    is asked again.
    """
    texts = list(judged.examples.inputs)
    places = _places(texts)
    words = [word for word in _candidates(goal, judged.train) if word in places]
    if not words:
        return ()
    asked = [(word, row) for word in words for row in places[word][:_TEXTS_A_WORD]]
    without = [_without(texts[row], word) for word, row in asked]
    inputs = np.array([*without, None], dtype=object)[:-1]
    given = judged.ask(Examples(inputs=inputs, targets=None))
    before = judged.answer[[row for _, row in asked]]
    effects = (_evidence(goal, before) - _evidence(goal, given)).numpy()
    means = {
        word: effects[[at for at, (each, _) in enumerate(asked) if each == word]].mean(0)
        for word in words
    }
    return (_table(goal, means, places),)


def worst_mistakes(goal: Goal, judged: Judged) -> tuple[Finding, ...]:
    """The test texts on which the network was most wrong."""
    if not len(judged.target):
        return ()
    if isinstance(goal, Classification):
        return _wrong_classes(goal, judged)
    truth = goal.answer(judged.target[:, None])
    error = (judged.answer.double() - truth).abs()
    rows = [
        (_short(judged.examples.inputs[at]), float(truth[at]), float(judged.answer[at]))
        for at in error.argsort(descending=True)[:_WORST].tolist()
    ]
    return (Finding(title="Largest errors", columns=("text", "is", "taken for"), rows=tuple(rows)),)


def _wrong_classes(goal: Classification, judged: Judged) -> tuple[Finding, ...]:
    taken = judged.answer.argmax(-1)
    sure, wrong = judged.answer.amax(-1), (taken != judged.target)
    order = [at for at in sure.argsort(descending=True).tolist() if wrong[at]][:_WORST]
    rows = tuple(
        (
            _short(judged.examples.inputs[at]),
            str(goal.classes[int(judged.target[at])]),
            str(goal.classes[int(taken[at])]),
            round(float(sure[at]), 4),
        )
        for at in order
    )
    heads = ("text", "is", "taken for", "probability")
    return (Finding(title="Surest mistakes", columns=heads, rows=rows),) if rows else ()


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _CHARACTERS else plain[: _CHARACTERS - 1] + "…"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _places(texts: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in set(_words(text)):
            found.setdefault(word, []).append(row)
    return {word: rows for word, rows in found.items() if len(rows) >= _LEAST}


def _without(text: str, word: str) -> str:
    return _WORD.sub(lambda found: "" if found[0].lower() == word else found[0], text)


def _evidence(goal: Goal, answer: Tensor) -> Tensor:
    """Log-odds of each class [n, classes], or the numbers [n, 1]."""
    answer = answer.double()
    if not isinstance(goal, Classification):
        return answer[:, None]
    shares = answer.clamp(1e-6, 1 - 1e-6)
    return (shares / (1 - shares)).log()


def _candidates(goal: Goal, train: Examples) -> list[str]:
    """Words by the log-odds of their texts' classes, or of high numbers, from training."""
    assert train.targets is not None
    encoded = goal.encode(train.targets).numpy()
    if not isinstance(goal, Classification):
        encoded = (encoded > np.median(encoded)).astype(np.int64)
    groups = np.unique(encoded)[:_MOST_CLASSES]
    counts = {group: Counter[str]() for group in groups.tolist()}
    for text, group in zip(train.inputs, encoded.tolist(), strict=True):
        if group in counts:
            counts[group].update(set(_words(text)))
    everything = sum(counts.values(), Counter[str]())
    most = max(_SHOWN, 2 * _CANDIDATES // max(len(groups), 1))
    return list(
        dict.fromkeys(
            word for group in counts for word in _most_distinct(counts[group], everything)[:most]
        )
    )


def _most_distinct(own: Counter[str], everything: Counter[str]) -> list[str]:
    """Words by their log-odds against all other texts, in units of its standard error.

    Reference:
        Monroe, Colaresi and Quinn, Fightin' Words, Political Analysis 2008, equation 22.
    """
    inside, total = sum(own.values()), sum(everything.values())
    known = [word for word, count in everything.items() if count >= _LEAST]
    mine = np.array([own[word] for word in known], dtype=np.float64) + 0.5
    other = np.array([everything[word] for word in known], dtype=np.float64) - mine + 1.0
    odds = np.log(mine / (inside + 1)) - np.log(other / (total - inside + 1))
    order = np.argsort(-odds / np.sqrt(1 / mine + 1 / other), kind="stable")
    return [known[at] for at in order]


def _table(goal: Goal, means: dict[str, Any], places: dict[str, list[int]]) -> Finding:
    rows: list[tuple[str | float | int | None, ...]] = []
    classify = isinstance(goal, Classification)
    for column in range(min(len(next(iter(means.values()))), _MOST_CLASSES)):
        ranked = sorted(means, key=lambda word: -means[word][column])
        name = str(goal.classes[column]) if isinstance(goal, Classification) else "higher"
        rows += [_row(name, word, means, column, places) for word in ranked[:_SHOWN]]
        if not classify:
            lowest = ranked[::-1][:_SHOWN]
            rows += [_row("lower", word, means, column, places) for word in lowest]
    moved = "log-odds" if classify else "the answer"
    return Finding(
        title="Most telling words",
        columns=("speaks for", "word", f"moves {moved} by", "test texts"),
        rows=tuple(rows),
        note=(
            f"How far {moved} of the network fall when the word is left out of up to"
            f" {_TEXTS_A_WORD} test texts; candidates come from the training texts."
        ),
    )


def _row(
    name: str, word: str, means: dict[str, Any], column: int, places: dict[str, list[int]]
) -> tuple[str | float | int | None, ...]:
    return name, word, round(float(means[word][column]), 3), len(places[word])
