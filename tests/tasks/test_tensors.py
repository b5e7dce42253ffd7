"""Arrays are taken as they are, and those that cannot be are named."""

from __future__ import annotations

import numpy as np
import pytest

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples
from paceline.tasks.base import Classification
from paceline.tasks.tensors import Tensors


def _task(*inputs: np.ndarray) -> tuple[Tensors, Examples]:
    train = Examples(inputs=inputs, targets=np.arange(len(inputs[0])) % 2)
    corpus = Corpus(name="x", kind="tensors", train=train, fingerprint="0", facts={})
    return Tensors.from_corpus(corpus, train, Classification([0, 1])), train


def test_numbers_are_standardised_along_the_second_axis():
    part = np.random.default_rng(0).normal(size=(50, 3, 4)) * 5 + 2
    task, _ = _task(part)
    (field,) = task.signature().inputs
    assert field.mean == pytest.approx(part.mean((0, 2)))
    assert field.scale == pytest.approx(part.std((0, 2)))


def test_a_constant_column_has_a_scale_of_one():
    task, _ = _task(np.ones((4, 2)))
    assert task.signature().inputs[0].scale == (1.0, 1.0)


def test_whole_numbers_stay_whole():
    task, train = _task(np.arange(8).reshape(4, 2))
    assert task.signature().inputs[0].dtype == "int64"
    assert task.encode(train).inputs[0].tolist() == train.inputs[0].tolist()


def test_text_is_no_number():
    with pytest.raises(DataError, match="input 1 must hold numbers, got <U1"):
        _task(np.array([["a"], ["b"]]))


def test_a_missing_number_is_named_with_its_example():
    with pytest.raises(DataError, match="input 2 has nan or inf in example 3"):
        _task(np.zeros((4, 1)), np.array([[0.0], [1.0], [np.nan], [2.0]]))


def test_another_number_of_arrays_is_refused():
    task, train = _task(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(DataError, match="2 arrays are needed, as in training; got 1"):
        task.encode(Examples(inputs=train.inputs[:1], targets=None))


def test_another_shape_is_refused_with_both():
    task, _ = _task(np.zeros((4, 2)))
    with pytest.raises(DataError, match=r"input 1 must have the shape \(2,\) .* got \(3,\)"):
        task.encode(Examples(inputs=(np.zeros((4, 3)),), targets=None))
