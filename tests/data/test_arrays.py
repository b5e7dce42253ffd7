import numpy as np
import pandas as pd
import pytest
import torch

from paceline.core.errors import DataError

X, Y = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 2


def test_a_pair_is_inputs_and_targets(opened):
    corpus = opened((X, Y))
    assert corpus.kind == "table" and np.array_equal(corpus.train.inputs.to_numpy(), X)
    assert corpus.fingerprint == opened((X.copy(), Y)).fingerprint
    assert corpus.fingerprint != opened((X + 1, Y)).fingerprint


def test_tensors_of_torch_are_arrays_too(opened):
    images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    assert opened((images, torch.tensor(Y))).kind == "image"
    assert opened((torch.tensor(X).bfloat16(), Y)).train.inputs.dtypes.iloc[0] == np.float32


def test_several_inputs_are_a_tuple(opened):
    corpus = opened(((X, X[:, :2]), Y))
    assert corpus.kind == "tensors"
    assert [part.shape for part in corpus.train.inputs] == [(6, 4), (6, 2)]


def test_a_mapping_may_bring_parts(opened):
    given = {"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2], "note": "hello"}
    assert len(opened(given).test) == 2


def test_a_pandas_table_keeps_its_columns(opened):
    table = pd.DataFrame({1: X[:, 0], "b": list("abcabc")}, index=range(6, 12))
    corpus = opened((table, pd.Series(list("uvuvuv"))))
    assert corpus.kind == "table" and list(corpus.train.inputs.columns) == ["1", "b"]
    assert corpus.train.inputs.index.tolist() == list(range(6))


def test_inputs_alone_are_to_be_predicted(inputs_of):
    assert inputs_of(X).targets is None
    assert len(inputs_of(torch.tensor(X))) == 6
    assert inputs_of({"x": X, "y": Y}).targets.tolist() == Y.tolist()


def test_objects_that_are_numbers_are_numbers(opened):
    targets = opened((X.astype(object), Y.astype(object))).train.targets
    assert targets.dtype == np.int64
    mixed = opened((X, np.array(["a", None, 1, "b", float("nan"), "a"], object))).train.targets
    assert mixed.tolist() == ["a", None, "1", "b", None, "a"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (X, r"inputs alone"),
        ((X, None), "has no targets"),
        (([[1, 2], [3]], [0, 1]), "ragged"),
        ((np.array(3.0), Y), "single value"),
        ((X.astype(complex), Y), "complex128"),
        ((np.array([["a", 1], ["b", {}]], object), [0, 1]), "mixes numbers"),
        ((X, np.array(["2020-01-01"] * 6, "datetime64[D]")), "numbers"),
        ((X, Y + 1j), "numbers"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(opened, place, said):
    with pytest.raises(DataError, match=said):
        opened(place)
