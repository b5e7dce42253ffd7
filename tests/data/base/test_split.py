from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from paceline.core.errors import DataError, SettingError
from paceline.data.base import Corpus, Examples, split


def corpus(targets, **parts):
    targets = np.asarray(targets)
    train = Examples(inputs=(np.arange(len(targets)),), targets=targets)
    return Corpus(name="c", kind="tensors", train=train, fingerprint="", facts={}, **parts)


def rows(examples):
    return examples.inputs[0].tolist()


def three(parts):
    return parts.train, parts.validation, parts.test


shares = some.sampled_from([0.0, 0.05, 0.1, 0.2, 0.33, 0.49])
classes = some.lists(some.integers(0, 4), min_size=9, max_size=80)


@given(
    classes,
    shares,
    shares,
    some.integers(0, 5),
    some.booleans(),
)
def test_parts_are_disjoint_complete_and_repeatable(labels, validation, test, seed, stratify):
    def divided():
        return split(corpus(labels), stratify=stratify, seed=seed, validation=validation, test=test)

    parts = three(divided())
    assert sorted(row for part in parts for row in rows(part)) == list(range(len(labels)))
    assert [rows(part) for part in parts] == [rows(part) for part in three(divided())]
    assert len(parts[0]) > 0
    assert (len(parts[1]) > 0, len(parts[2]) > 0) == (validation > 0, test > 0)
    for part in parts:
        assert part.targets.tolist() == [labels[row] for row in rows(part)]


@given(classes, shares, shares, some.integers(0, 5))
def test_each_class_has_its_share_within_one_example(labels, validation, test, seed):
    parts = split(corpus(labels), stratify=True, seed=seed, validation=validation, test=test)
    whole = Counter(labels)
    for part, share in ((parts.validation, validation), (parts.test, test)):
        found = Counter(part.targets.tolist())
        for label, count in whole.items():
            assert abs(found[label] - share * count) <= 1 + 1e-9
            assert not (share and count >= 3) or found[label] >= 1
    assert all(Counter(parts.train.targets.tolist())[label] >= 1 for label in whole)


def test_large_classes_give_exactly_the_rounded_sizes():
    labels = [0] * 503 + [1] * 250 + [2] * 247
    parts = split(corpus(labels), stratify=True, seed=0, validation=0.1, test=0.2)
    assert [len(part) for part in three(parts)] == [700, 100, 200]


def test_a_seed_chooses_the_division():
    found = {
        tuple(rows(split(corpus(range(50)), stratify=False, seed=s, validation=0.1, test=0.2).test))
        for s in range(5)
    }
    assert len(found) == 5


def test_a_class_of_one_is_trained_on_and_named_and_one_of_two_is_tested():
    labels = np.array(["a"] * 10 + ["b"] * 2 + ["c"], dtype=object)
    parts = split(corpus(labels), stratify=True, seed=0, validation=0.1, test=0.2)
    assert "(c)" in parts.notes[0]
    assert Counter(parts.train.targets.tolist())["c"] == 1
    assert Counter(parts.test.targets.tolist())["b"] == 1


def test_parts_that_a_source_brings_stay_as_they_are():
    own = Examples(inputs=(np.arange(3),), targets=np.arange(3))
    parts = split(corpus([0, 1] * 20, test=own), stratify=True, seed=0, validation=0.1, test=0.2)
    assert parts.test is own and len(parts.validation) == 4 and len(parts.train) == 36
    both = corpus([0, 1] * 20, test=own, validation=own)
    assert len(split(both, stratify=False, seed=0, validation=0.1, test=0.2).train) == 40


def test_ten_examples_are_enough():
    for labels in ([0, 1] * 5, [0, 1, 2, 3, 4] * 2, [0] * 9 + [1]):
        parts = split(corpus(labels), stratify=True, seed=0, validation=0.1, test=0.2)
        assert all(len(part) > 0 for part in three(parts))


@pytest.mark.parametrize(
    ("labels", "stratify", "given_shares", "kind", "said"),
    [
        ([0, 1], False, (0.1, 0.2), DataError, "2 examples, but at least 3"),
        ([0, 1, 2, 3], True, (0.1, 0.2), DataError, "cannot be divided"),
        ([0, 1] * 5, False, (0.5, 0.5), SettingError, "together under 1"),
        ([0, 1] * 5, False, (-0.1, 0.5), SettingError, "at least 0"),
    ],
)
def test_impossible_wishes_are_refused(labels, stratify, given_shares, kind, said):
    validation, test = given_shares
    with pytest.raises(kind, match=said):
        split(corpus(labels), stratify=stratify, seed=0, validation=validation, test=test)


def test_a_group_is_never_divided():
    groups = np.arange(60) % 7
    whole = replace(corpus([0, 1] * 30), groups=groups)
    parts = split(whole, stratify=True, seed=0, validation=0.2, test=0.2)
    found = [set(groups[rows(part)]) for part in three(parts)]
    assert all(found) and sum(map(len, found)) == len(set.union(*found)) == 7


def test_too_few_groups_are_refused():
    whole = replace(corpus([0, 1] * 30), groups=np.arange(60) % 2)
    with pytest.raises(DataError, match="2 groups"):
        split(whole, stratify=True, seed=0, validation=0.2, test=0.2)
