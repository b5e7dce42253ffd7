"""Plain rivals of a tagger: counts of words, a list of known names, a linear classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from paceline.core.clock import Clock, WallClock
from paceline.core.errors import MissingExtra
from paceline.core.extras import need
from paceline.core.progress import Progress
from paceline.data.base import Examples
from paceline.data.base.tag_schemes import OUTSIDE, Span, written
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.entities import Entities
from paceline.tasks.base.words import SHAPES, plain, shape

_PURPOSE = "a baseline of scikit-learn"
_MOST_WORDS = 400_000
_LONGEST_NAME = 12
_FEATURES = 2**18
Sentence = Sequence[str]
Tags = list[str]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class _Sentences:
    """What to learn from, and what to answer."""

    goal: Entities
    train: list[Sentence]
    tags: list[Tags]
    test: list[Sentence]
    seed: int
    effort: float


Method = Callable[[_Sentences], tuple[list[Tags], str]]


def measure_tag_baselines(
    goal: Entities,
    train: Examples,
    test: Examples,
    *,
    seed: int,
    progress: Progress,
    effort: float = 1.0,
    clock: Clock | None = None,
) -> dict[str, Baseline]:
    """Measures each plain method on the test sentences; one that fails is reported.

    Args:
        goal: Encodes tags and measures answers.
        train: Sentences and tags to learn from.
        test: Likewise, to measure on.
        seed: For the linear classifier.
        progress: Told which method is running.
        effort: Share of the usual work that each may do, over 0 and at most 1.
        clock: Measures the seconds; the wall clock where left out.
    """
    assert train.targets is not None and test.targets is not None
    clock = clock or WallClock()
    given = _Sentences(
        goal=goal,
        train=list(train.inputs),
        tags=list(train.targets),
        test=list(test.inputs),
        seed=seed % 2**32,
        effort=effort,
    )
    truth = goal.encode(test.targets)
    measured = {}
    for done, (name, method) in enumerate(_METHODS.items()):
        progress.advance("baselines", done / len(_METHODS), name)
        start = clock.now()
        try:
            tags, note = method(given)
        except MissingExtra as error:
            measured[name] = Baseline(note=f"not measured: {error}")
            continue
        column = np.empty(len(tags), dtype=object)
        for at, row in enumerate(tags):
            column[at] = row
        scores = goal.scores(goal.encode(column, truth.shape[1]), truth)
        measured[name] = Baseline(metrics=scores, seconds=clock.now() - start, note=note)
    progress.advance("baselines", 1.0)
    return measured


def _tag_of_word(given: _Sentences) -> tuple[list[Tags], str]:
    """The tag that a word most often has; outside for unknown words."""
    counts: dict[str, Counter[str]] = {}
    for words, tags in zip(given.train, given.tags, strict=True):
        for word, tag in zip(words, tags, strict=True):
            counts.setdefault(word, Counter())[tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    return [[usual.get(word, OUTSIDE) for word in words] for words in given.test], ""


def _known_names(given: _Sentences) -> tuple[list[Tags], str]:
    """The longest known names from the left, where at least half of their uses were names."""
    kinds: dict[tuple[str, ...], Counter[str]] = {}
    for words, tags in zip(given.train, given.tags, strict=True):
        for span in given.goal.enclosed(tags):
            name = tuple(words[span.first : span.end])
            if len(name) <= _LONGEST_NAME:
                kinds.setdefault(name, Counter())[span.kind] += 1
    longest = max(map(len, kinds), default=0)
    uses = Counter(
        name
        for words in given.train
        for first in range(len(words))
        for end in range(first + 1, min(first + longest, len(words)) + 1)
        if (name := tuple(words[first:end])) in kinds
    )
    known = {
        name: found.most_common(1)[0][0]
        for name, found in kinds.items()
        if 2 * found.total() >= uses[name]
    }
    scheme = given.goal.scheme
    return [
        written(_matched(words, known, longest), len(words), scheme) for words in given.test
    ], ""


def _matched(words: Sentence, known: dict[tuple[str, ...], str], longest: int) -> Iterator[Span]:
    first = 0
    while first < len(words):
        for end in range(min(first + longest, len(words)), first, -1):
            kind = known.get(tuple(words[first:end]))
            if kind is not None:
                yield Span(first, end, kind)
                first = end
                break
        else:
            first += 1


def _linear(given: _Sentences) -> tuple[list[Tags], str]:
    """Logistic regression on a word, its spelling and its neighbours, each word by itself."""
    linear = need("sklearn.linear_model", extra="sklearn", purpose=_PURPOSE)
    extraction = need("sklearn.feature_extraction", extra="sklearn", purpose=_PURPOSE)
    hasher = extraction.FeatureHasher(_FEATURES, input_type="string", alternate_sign=False)
    ends = np.cumsum([len(words) for words in given.train])
    most = max(1, int(given.effort * _MOST_WORDS))
    rows = max(1, int(np.searchsorted(ends, most, side="right")))
    codes = [tag for tags in given.tags[:rows] for tag in tags]
    method = linear.SGDClassifier(
        loss="log_loss", alpha=2e-6, max_iter=8, tol=None, random_state=given.seed
    )
    if len(set(codes)) < 2:
        return [[OUTSIDE] * len(words) for words in given.test], "every tag is the same"
    method.fit(hasher.transform(_features(given.train[:rows])), codes)
    flat = iter(method.predict(hasher.transform(_features(given.test))).tolist())
    tags = [[next(flat) for _ in words] for words in given.test]
    cut = f"learnt from {rows} of {len(given.train)} sentences to keep it short"
    return tags, cut if rows < len(given.train) else ""


def _features(sentences: Sequence[Sentence]) -> Iterator[list[str]]:
    for words in sentences:
        names = ["<<", "<", *map(plain, words), ">", ">>"]
        shapes = ["", "", *(SHAPES[shape(word)] for word in words), "", ""]
        for at in range(2, len(words) + 2):
            name = names[at]
            yield [
                "every",
                *(f"{by}={names[at + by]}" for by in range(-2, 3)),
                *(f"s{by}={shapes[at + by]}" for by in range(-1, 2)),
                f"s={shapes[at - 1]},{shapes[at]},{shapes[at + 1]}",
                f"pair={names[at - 1]},{name}",
                f"pair+={name},{names[at + 1]}",
                *(f"begins={name[:length]}" for length in range(2, 5)),
                *(f"ends={name[-length:]}" for length in range(2, 5)),
            ]


_METHODS: dict[str, Method] = {
    "tag_of_word": _tag_of_word,
    "known_names": _known_names,
    "logistic_regression": _linear,
}
