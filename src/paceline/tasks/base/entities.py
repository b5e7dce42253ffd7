"""Entities: spans of words with a type, found by a tag for each word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.findings import Finding
from paceline.data.base.tag_schemes import (
    OUTSIDE,
    SCHEMES,
    Span,
    find_scheme,
    may_follow,
    parted,
    spans,
    written,
)
from paceline.tasks.base.crf import IGNORED, Rules, best_tags, negative_log_likelihood
from paceline.tasks.base.goal import Goal, Labels

LEARNT_SCHEMES = ("BIOES", "BIO")
_MARKS = {"BIOES": "BIES", "BIO": "BI"}


@final
class Entities(Goal):
    """Spans of words and their types; the loss is that of a linear chain, in nats a word.

    Tags are learnt as BIOES, whatever scheme the data have, and answered in that of the data.
    Precision, recall and F1 count a span as right where both its ends and its type are, over
    all types together, as conlleval and seqeval do.

    Args:
        types: In the order of the outputs.
        scheme: Of the data, one of ``SCHEMES``.
        learnt: Scheme of the outputs, ``BIOES`` or ``BIO``.

    >>> goal = Entities(["PER"], scheme="BIO")
    >>> goal.tags
    ['O', 'B-PER', 'I-PER', 'E-PER', 'S-PER']
    >>> goal.encode(np.array([["B-PER", "I-PER", "O"]], dtype=object)).tolist()
    [[1, 3, 0]]
    >>> goal.decode(torch.tensor([[1, 3, 0, -100]])).tolist()
    [['B-PER', 'I-PER', 'O']]
    """

    name = "tagging"
    primary = "f1"
    higher_is_better = True

    def __init__(self, types: Sequence[str], *, scheme: str, learnt: str = "BIOES") -> None:
        if scheme not in SCHEMES:
            raise SettingError(f"there is no tag scheme {scheme!r}{nearest(scheme, SCHEMES)}")
        if learnt not in LEARNT_SCHEMES:
            raise SettingError(f"learnt must be BIOES or BIO, got {learnt!r}")
        self.types, self.scheme, self.learnt = list(types), scheme, learnt
        self.tags = [OUTSIDE] + [
            f"{mark}-{kind}".rstrip("-") for kind in self.types for mark in _MARKS[learnt]
        ]
        self.outputs = len(self.tags)
        self.rules = _rules(self.tags, learnt)
        self._index = {tag: at for at, tag in enumerate(self.tags)}
        said = (each for kind in self.types for each in _all_tags(kind, scheme))
        self._said = {tag: at for at, tag in enumerate([OUTSIDE, *said])}

    @staticmethod
    def of(targets: Labels, *, learnt: str = "BIOES") -> Entities:
        """What the tags of the training sentences call for.

        Raises:
            DataError: Marks of several schemes are mixed, or no word belongs to anything.
        """
        rows = [list(tags) for tags in targets]
        scheme = find_scheme(rows)
        types = sorted({parted(tag, scheme)[1] for row in rows for tag in row if tag != OUTSIDE})
        if not types:
            raise DataError("every tag is O; there is nothing to learn")
        return Entities(types, scheme=scheme, learnt=learnt)

    def encode(self, targets: Labels, length: int = 0) -> Tensor:
        """Codes of the learnt scheme: int64 [n, length], ``IGNORED`` beyond a sentence.

        Args:
            targets: Object array [n] of lists of tags, in the scheme of the data.
            length: Of the rows, at least; they are as long as the longest sentence.
        """
        length = max([length, *(len(tags) for tags in targets)])
        codes = np.full((len(targets), length), IGNORED, dtype=np.int64)
        for row, tags in enumerate(targets):
            codes[row, : len(tags)] = self._codes(spans(tags, self.scheme), len(tags))
        return torch.from_numpy(codes)

    def _codes(self, found: Iterable[Span], length: int) -> list[int]:
        tags = written(found, length, self.learnt)
        try:
            return [self._index[tag] for tag in tags]
        except KeyError as error:
            kind = parted(error.args[0], self.learnt)[1]
            raise DataError(
                f"the type {kind!r} was not among the training examples{nearest(kind, self.types)}"
            ) from None

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood of the counted words; of potentials, see ``crf``."""
        counted = (target != IGNORED).sum().clamp_min(1)
        return negative_log_likelihood(output, target, self.rules).sum() / counted

    def answer(self, output: Tensor) -> Tensor:
        """The likeliest tags: int64 [n, length], ``IGNORED`` beyond a sentence."""
        return best_tags(output, self.rules)

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """The answer and, in one more column, each sentence's loss: float64 [n, length + 1]."""
        losses = negative_log_likelihood(output, target, self.rules)
        return torch.cat([self.answer(output).double(), losses.double()[:, None]], 1)

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        tags, losses = answer[:, :-1].long(), answer[:, -1]
        words = max(1, int((target != IGNORED).sum()))
        return self.scores(tags, target) | {"loss": losses.sum().item() / words}

    def scores(self, tags: Tensor, target: Tensor) -> dict[str, float]:
        """All metrics but the loss, of codes for codes: int64 [n, length]."""
        counts = sum((each for each in self._counts(tags, target).values()), np.zeros(3, np.int64))
        precision, recall, f1 = precision_recall_f1(*counts.tolist())
        counted = target != IGNORED
        right = (self._in_words_of_the_data(tags) == self._in_words_of_the_data(target))[counted]
        accuracy = right.double().mean().item() if len(right) else 0.0
        return {"f1": f1, "precision": precision, "recall": recall, "token_accuracy": accuracy}

    def _counts(self, tags: Tensor, target: Tensor) -> dict[str, np.ndarray[Any, Any]]:
        """Of each type: how many are right, were found, and are there."""
        found, there = (_span_keys(self, each, target) for each in (tags, target))
        kinds = Counter(key[0] for key in found & there)
        given, wanted = (Counter(key[0] for key in keys) for keys in (found, there))
        return {
            name: np.array([kinds[at], given[at], wanted[at]]) for at, name in enumerate(self.types)
        }

    def _in_words_of_the_data(self, codes: Tensor) -> Tensor:
        """Codes that are equal where the data's scheme has the same tag."""
        if self.scheme in ("BIOES", "BILOU", "BMES") and self.learnt == "BIOES":
            return codes
        rows = np.zeros(codes.shape, dtype=np.int64)
        for row, tags in enumerate(self.decode(codes)):
            rows[row, : len(tags)] = [self._said[tag] for tag in tags]
        return torch.from_numpy(rows)

    def findings(self, answer: Tensor, target: Tensor) -> tuple[Finding, ...]:
        if not len(target):
            return ()
        tags = answer[:, :-1].long()
        counts = sorted(self._counts(tags, target).items(), key=lambda each: -each[1][2])
        rows = [
            (kind or "_", *precision_recall_f1(*count.tolist()), int(count[2]))
            for kind, count in counts
        ]
        heads = ("type", "precision", "recall", "f1", "entities")
        each = Finding(
            title="Each type",
            columns=heads,
            rows=tuple(rows),
            note="An entity is right where its first word, its last word and its type are.",
        )
        return each, _mistakes(_span_keys(self, tags, target), _span_keys(self, target, target))

    def says(self, answer: Tensor) -> dict[str, list[Any]]:
        """The tags of each sentence, and its entities: words from ``first`` to before ``end``."""
        rows = self.decode(answer).tolist()
        entities = [
            [
                {"type": span.kind, "first": span.first, "end": span.end}
                for span in self.enclosed(tags)
            ]
            for tags in rows
        ]
        return {"prediction": rows, "entities": entities}

    def enclosed(self, tags: Sequence[str]) -> list[Span]:
        """The spans that tags in the scheme of the data enclose."""
        return spans(tags, self.scheme)

    def decode(self, answer: Tensor) -> Labels:
        """Tags in the scheme of the data: object array [n] of lists."""
        rows = np.empty(len(answer), dtype=object)
        for row, codes in enumerate(answer.tolist()):
            tags = [self.tags[code] for code in codes if code != IGNORED]
            rows[row] = written(spans(tags, self.learnt), len(tags), self.scheme)
        return rows

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "types": self.types,
            "scheme": self.scheme,
            "learnt": self.learnt,
        }

    @staticmethod
    def from_json(state: dict[str, Any]) -> Entities:
        """Back from what ``to_json`` gave."""
        return Entities(state["types"], scheme=state["scheme"], learnt=state["learnt"])


def precision_recall_f1(right: int, found: int, there: int) -> tuple[float, float, float]:
    """Shares of what was found, and of what is there, and their harmonic mean; 0 of nothing.

    >>> precision_recall_f1(1, 2, 4)
    (0.5, 0.25, 0.3333333333333333)
    """
    precision = right / found if found else 0.0
    recall = right / there if there else 0.0
    both = precision + recall
    # In the order of seqeval, so that the last digit is the same.
    return precision, recall, 2.0 * precision * recall / (both or 1.0)


def _rules(tags: list[str], learnt: str) -> Rules:
    def allowed(before: str, now: str) -> bool:
        return may_follow(learnt, before, now)

    return Rules.of(
        torch.tensor([allowed(OUTSIDE, tag) for tag in tags]),
        torch.tensor([[allowed(before, tag) for tag in tags] for before in tags]),
        torch.tensor([allowed(tag, OUTSIDE) for tag in tags]),
    )


def _all_tags(kind: str, scheme: str) -> list[str]:
    """Every tag that a type can have in the scheme of the data."""
    found = [Span(0, 3, kind), Span(3, 5, kind), Span(6, 7, kind)]
    return sorted(set(written(found, 8, scheme)) - {OUTSIDE})


Key = tuple[int, int, int, int]


def _span_keys(goal: Entities, codes: Tensor, target: Tensor) -> set[Key]:
    """(type, row, first, end) of all spans where words are counted."""
    counted = target != IGNORED
    codes = torch.where(counted & (codes != IGNORED), codes, 0)
    marks = len(_MARKS[goal.learnt])
    kind = torch.where(codes > 0, (codes - 1) // marks, -1)
    mark = torch.where(codes > 0, (codes - 1) % marks, -1)
    begins = mark == 0
    if goal.learnt == "BIOES":
        begins |= mark == 3
        ends = (mark == 2) | (mark == 3)
    else:
        inside = torch.nn.functional.pad(mark[:, 1:] == 1, (0, 1))
        ends = (mark >= 0) & ~inside
    first, last = (each.nonzero().tolist() for each in (begins, ends))
    kinds = kind[begins].tolist()
    pairs = zip(kinds, first, last, strict=True)
    return {(of, start[0], start[1], end[1] + 1) for of, start, end in pairs}


def _mistakes(found: set[Key], there: set[Key]) -> Finding:
    """What went wrong with those that are wrong; each that is there counts once."""
    wrong, missed = found - there, there - found
    places = {key[1:]: key for key in wrong}
    touched: dict[int, list[Key]] = {}
    for key in wrong:
        touched.setdefault(key[1], []).append(key)
    counts = Counter({"missed": 0, "wrong ends": 0, "wrong type": 0, "wrong ends and type": 0})
    met: set[Key] = set()
    for key in missed:
        over = [each for each in touched.get(key[1], []) if each[2] < key[3] and key[2] < each[3]]
        met.update(over)
        if key[1:] in places:
            counts["wrong type"] += 1
        elif not over:
            counts["missed"] += 1
        else:
            same = any(each[0] == key[0] for each in over)
            counts["wrong ends" if same else "wrong ends and type"] += 1
    counts["invented"] = len(wrong - met)
    return Finding(
        title="Mistakes", columns=("mistake", "entities"), rows=tuple(counts.most_common())
    )
