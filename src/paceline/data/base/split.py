"""A fixed division into training, validation and test examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from paceline.core.errors import DataError, SettingError
from paceline.data.base.source import Corpus, Examples

Rows = np.ndarray[Any, np.dtype[np.int64]]
_STREAM = 0x5B117


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Training, validation and test examples; a part that nobody asked for is empty.

    Attributes:
        notes: What a person should know about the division, one line each.
    """

    train: Examples
    validation: Examples
    test: Examples
    notes: tuple[str, ...] = ()


def split(corpus: Corpus, *, stratify: bool, seed: int, validation: float, test: float) -> Parts:
    """Divides a corpus; the same for the same data and seed.

    Parts that the source brings along stay as they are, and nothing is taken from the
    training examples for them. Stratified, each part has each class in its share, within
    one example; a class of three or more examples is in every part. Where the corpus has
    groups, they are kept whole, and the shares are those of the groups.

    Args:
        corpus: What a source gave.
        stratify: Whether targets are classes.
        seed: Chooses the division.
        validation: Share of the training examples, from 0 to under 1.
        test: Share of the training examples, from 0 to under 1.

    Raises:
        DataError: There are too few examples to give every part one.
        SettingError: A share is out of range.
    """
    shares = np.array(
        [
            0.0 if corpus.validation is not None else validation,
            0.0 if corpus.test is not None else test,
        ]
    )
    if shares.min() < 0 or shares.sum() >= 1:
        raise SettingError(
            "the shares for validation and test must be at least 0 and together under 1,"
            f" got {validation} and {test}"
        )
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM, seed])))
    count = len(corpus.train)
    _refuse_too_few(count, shares)
    notes: tuple[str, ...] = ()
    if corpus.groups is not None:
        rows = _by_group(corpus.groups, shares, random)
    elif stratify:
        assert corpus.train.targets is not None, "a corpus for training has targets"
        rows, notes = _stratified(corpus.train.targets, shares, random)
    else:
        rows = _shuffled(count, shares, random)
    train, *held_out = (corpus.train.take(part) for part in rows)
    return Parts(
        train=train,
        validation=held_out[0] if corpus.validation is None else corpus.validation,
        test=held_out[1] if corpus.test is None else corpus.test,
        notes=notes,
    )


def _refuse_too_few(count: int, shares: Any) -> None:
    needed = 1 + int((shares > 0).sum())
    if count < needed:
        raise DataError(
            f"there are {count} examples, but at least {needed} are needed: one for each of"
            " training, validation and test"
        )


def _shuffled(count: int, shares: Any, random: np.random.Generator) -> list[Rows]:
    order = random.permutation(count)
    wanted = np.where(shares > 0, np.maximum(1, np.rint(shares * count)), 0).astype(int)
    while wanted.sum() >= count:
        wanted[wanted.argmax()] -= 1
    return _cut(order, wanted)


def _by_group(groups: Any, shares: Any, random: np.random.Generator) -> list[Rows]:
    """Whole groups for each part."""
    names, of = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < 1 + int((shares > 0).sum()):
        raise DataError(
            f"there are {len(names)} groups, but each of training, validation and test needs one"
        )
    return [np.flatnonzero(np.isin(of, part)) for part in _shuffled(len(names), shares, random)]


def _cut(order: Rows, counts: Any) -> list[Rows]:
    """Rows for training, validation and test, each in the order of the source."""
    first, second = int(counts[0]), int(counts.sum())
    return [np.sort(order[second:]), np.sort(order[:first]), np.sort(order[first:second])]


def _stratified(
    targets: np.ndarray[Any, Any], shares: Any, random: np.random.Generator
) -> tuple[list[Rows], tuple[str, ...]]:
    labels: dict[Any, list[int]] = {}
    for row, label in enumerate(targets.tolist()):
        labels.setdefault(label, []).append(row)
    sizes = np.array([len(rows) for rows in labels.values()])
    counts = _counts(sizes, shares)
    cut = [
        _cut(random.permutation(np.array(rows)), counts[index])
        for index, rows in enumerate(labels.values())
    ]
    parts = [np.sort(np.concatenate(part)) for part in zip(*cut, strict=True)]
    alone = [str(label) for label, rows in labels.items() if len(rows) == 1]
    return parts, _lonely(alone) if shares.any() else ()


def _lonely(alone: list[str]) -> tuple[str, ...]:
    if not alone:
        return ()
    shown = ", ".join(alone[:5]) + (", …" if len(alone) > 5 else "")
    return (
        f"{len(alone)} of the classes have a single example ({shown}); it is trained on, and"
        " nothing tells how well such a class is recognised",
    )


def _counts(sizes: Any, shares: Any) -> Any:
    """How many examples of each class go to validation and to test: int [classes, 2]."""
    counts = np.stack([_apportion(sizes, share) for share in shares], axis=1)
    pairs = sizes == 2
    counts[pairs] = 0
    counts[pairs, 1 if shares[1] > 0 else 0] = int(shares.any())
    ideal = sizes[:, None] * shares
    for index in np.flatnonzero(counts.sum(axis=1) >= np.maximum(sizes, 1)):
        while counts[index].sum() >= sizes[index]:
            excess = np.where(counts[index] > 1, counts[index] - ideal[index], -np.inf)
            counts[index, excess.argmax()] -= 1
    return _never_empty(sizes, counts, shares)


def _apportion(sizes: Any, share: float) -> Any:
    """One part's examples of each class, by largest remainder, at least 1 of 3 or more."""
    ideal = sizes * share
    counts = np.floor(ideal).astype(int)
    counts[sizes < 3] = 0
    if share > 0:
        counts[(sizes >= 3) & (counts == 0)] = 1
    remainder = np.where((sizes >= 3) & (ideal >= 1), ideal - np.floor(ideal), 0.0)
    missing = max(0, int(np.rint(share * sizes.sum())) - int(counts.sum()))
    for index in np.argsort(-remainder, kind="stable")[:missing]:
        counts[index] += int(remainder[index] > 0)
    return counts


def _never_empty(sizes: Any, counts: Any, shares: Any) -> Any:
    """Where all classes are tiny: gives an empty part one example of the other part."""
    for part in np.flatnonzero((shares > 0) & (counts.sum(axis=0) == 0)):
        other = 1 - part
        if counts[:, other].sum() < 2:
            raise DataError(
                f"{int(sizes.sum())} examples of {len(sizes)} classes cannot be divided into"
                " training, validation and test; at least one class needs three examples"
            )
        giver = int(counts[:, other].argmax())
        counts[giver, other] -= 1
        counts[giver, part] += 1
    return counts
