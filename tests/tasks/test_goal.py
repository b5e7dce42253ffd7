"""Claims of the goals, with scikit-learn's metrics as slow twins."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paceline.core.errors import DataError, SettingError
from paceline.tasks.base import Classification, Regression, find_goal, goal_from_json

seeds = st.integers(0, 2**32 - 1)


def answers(seed: int, classes: int, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    # One digit, so that there are ties.
    scores = torch.from_numpy(np.round(random.normal(size=(count, classes)), 1))
    return scores.softmax(-1), torch.from_numpy(random.integers(0, classes, count))


# --- metrics against scikit-learn


@given(seeds, st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_classification_metrics_are_those_of_scikit_learn(seed, classes):
    metrics = pytest.importorskip("sklearn.metrics")
    answer, target = answers(seed, classes)
    found = Classification(list(range(classes))).metrics(answer, target)
    guess = answer.argmax(-1).numpy()
    truth = target.numpy()
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    twin = metrics.log_loss(truth, answer.numpy(), labels=range(classes))
    assert found["log_loss"] == found["loss"] == pytest.approx(twin)
    seen = [float((guess[truth == label] == label).mean()) for label in np.unique(truth)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(seen))
    if classes == 2 and len(np.unique(truth)) == 2:
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(truth, answer[:, 1].numpy()))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_regression_metrics_are_those_of_scikit_learn_in_the_own_unit(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    truth = random.normal(3e5, 1e5, 50)
    goal = find_goal(truth)
    guess = goal.answer(torch.from_numpy(random.normal(size=(50, 4, 1))))
    found = goal.metrics(guess, goal.encode(truth))
    twin = {
        "rmse": metrics.root_mean_squared_error(truth, guess.numpy()),
        "mae": metrics.mean_absolute_error(truth, guess.numpy()),
        "r2": metrics.r2_score(truth, guess.numpy()),
    }
    for name, value in twin.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-5)
    assert found["loss"] == pytest.approx((found["rmse"] / goal.scale) ** 2)


def test_metrics_without_meaning_are_nan():
    both = Classification(["a", "b"])
    assert np.isnan(both.metrics(torch.tensor([[0.3, 0.7]]), torch.tensor([1]))["auc"])
    goal = Regression(mean=0.0, scale=1.0)
    assert np.isnan(goal.metrics(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))["r2"])


def test_certain_and_wrong_costs_a_finite_log_loss():
    found = Classification(["a", "b"]).metrics(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert found["log_loss"] == pytest.approx(-np.log(1e-15))


# --- losses and answers


@given(seeds, st.sampled_from([0.0, 0.1]))
@settings(max_examples=20, deadline=None)
def test_loss_of_members_is_the_mean_of_their_losses(seed, smoothing):
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(6, 3, 4, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 4, (6,), generator=generator)
    goal = Classification(list("abcd"), smoothing=smoothing)
    twin = torch.stack([goal.loss(output[:, member], target) for member in range(3)]).mean()
    torch.testing.assert_close(goal.loss(output, target), twin)
    number = Regression(mean=1.0, scale=2.0)
    aim = torch.randn(6, generator=generator, dtype=torch.float64)
    each = [number.loss(output[:, member, :1], aim) for member in range(3)]
    torch.testing.assert_close(number.loss(output[..., :1], aim), torch.stack(each).mean())


def test_answers_of_members_are_averaged_as_probabilities_and_numbers():
    output = torch.tensor([[[9.0, 0.0], [0.0, 1.0]]])
    expected = output.softmax(-1).mean(1)
    found = Classification(["a", "b"]).answer(output)
    torch.testing.assert_close(found, expected, check_dtype=False)
    goal = Regression(mean=10.0, scale=2.0)
    assert goal.answer(torch.tensor([[[1.0], [3.0]]])).tolist() == [14.0]


@given(st.lists(st.sampled_from(["x", "y", "z", 3, 4.5, True]), min_size=1, max_size=20))
def test_labels_survive_encoding_and_decoding(labels):
    goal = find_goal(np.array(["x", "y", "z", 3, 4.5, True], dtype=object))
    codes = goal.encode(np.array(labels, dtype=object))
    decoded = goal.decode(torch.nn.functional.one_hot(codes, goal.outputs).float())
    assert decoded.tolist() == labels


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_numbers_survive_encoding_and_answering(numbers):
    goal = Regression(mean=float(np.mean(numbers)), scale=float(np.std(numbers)))
    back = goal.decode(goal.answer(goal.encode(np.array(numbers))[:, None]))
    reach = max(map(abs, numbers)) + 1e-6
    np.testing.assert_allclose(back, numbers, rtol=1e-5, atol=1e-5 * reach)


def test_no_targets_give_an_empty_tensor_of_indices():
    codes = Classification(["a", "b"]).encode(np.array([], dtype=object))
    assert (codes.dtype, len(codes)) == (torch.int64, 0)


def test_targets_that_may_not_be_written_to_are_encoded():
    numbers = np.arange(30.0)
    numbers.flags.writeable = False
    assert len(find_goal(numbers).encode(numbers)) == 30


# --- the better of two


def test_better_goes_by_the_primary_metric_then_by_the_loss():
    goal = Classification(["a", "b"])
    old = {"accuracy": 0.9, "loss": 0.3}
    assert goal.better(old, None)
    assert goal.better({"accuracy": 0.91, "loss": 9.0}, old)
    assert goal.better({"accuracy": 0.9, "loss": 0.2}, old)
    assert not goal.better(old, old)
    error = Regression(mean=0.0, scale=1.0)
    assert error.better({"rmse": 1.0, "loss": 1.0}, {"rmse": 2.0, "loss": 4.0})


def test_nan_is_worse_than_any_number():
    goal = Regression(mean=0.0, scale=1.0)
    bad, good = {"rmse": float("nan"), "loss": float("nan")}, {"rmse": 5.0, "loss": 5.0}
    assert goal.better(good, bad)
    assert not goal.better(bad, good)
    assert not goal.better(bad, bad)


# --- finding the goal


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (np.array(["a", "b"] * 5), "classification"),
        (np.array([True, False] * 5), "classification"),
        (np.arange(20), "classification"),
        (np.arange(21), "regression"),
        (np.array([0.0, 1.0, 2.0]), "classification"),
        (np.array([0.0, 1.5]), "regression"),
        (np.arange(30.0), "regression"),
    ],
)
def test_goal_is_found_from_the_targets(targets, name):
    assert find_goal(targets).name == name


def test_goal_can_be_asked_for():
    assert find_goal(np.arange(5), "regression").name == "regression"
    assert find_goal(np.array(["1", "2.5"]), "regression").mean == 1.75
    assert find_goal(np.arange(30), "classification").outputs == 30
    assert find_goal(np.array(["a", "b"]), smoothing=0.1).smoothing == 0.1


@pytest.mark.parametrize(
    "goal",
    [Classification(["a", 1, 2.5], smoothing=0.2), Regression(mean=1 / 3, scale=2 / 7)],
    ids=lambda goal: goal.name,
)
def test_goal_survives_json(goal):
    again = goal_from_json(json.loads(json.dumps(goal.to_json())))
    assert again.to_json() == goal.to_json()


@pytest.mark.parametrize(
    ("targets", "wanted", "said"),
    [
        (np.array([]), None, "there are no examples"),
        (
            np.array([1.0, np.nan, np.inf]),
            None,
            "2 of 3 targets are missing or infinite, the first",
        ),
        (np.array(["a", None, "b"], dtype=object), None, "1 of 3 .* in example 2: None"),
        (np.array([1, 2, np.inf], dtype=object), "regression", "1 of 3 .* in example 3: inf"),
        (np.array(["1", "2", "x"]), "regression", "there are targets like 'x'"),
        (np.array([2.0, 2.0]), "regression", "every target is 2; there is nothing to learn"),
        (np.array(["a", "a"]), None, "every target is 'a'; at least two classes"),
        (np.array([f"k{at}" for at in range(60)]), None, "60 different values in 60 examples"),
        (np.arange(10_001).repeat(3), "classification", "10001 different values"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(targets, wanted, said):
    with pytest.raises(DataError, match=said):
        find_goal(targets, wanted)


def test_unknown_goal_and_smoothing_out_of_range_are_refused():
    with pytest.raises(SettingError, match="no goal 'regresion'; did you mean 'regression'"):
        find_goal(np.arange(5), "regresion")
    with pytest.raises(SettingError, match="smoothing must be at least 0 and under 1, got 1"):
        Classification(["a", "b"], smoothing=1)


def test_targets_unlike_those_of_training_are_refused():
    with pytest.raises(DataError, match=r"label 'bat' was not among .* did you mean 'cat'"):
        Classification(["cat", "dog"]).encode(np.array(["dog", "bat"]))
    goal = Regression(mean=0.0, scale=1.0)
    with pytest.raises(DataError, match="there are targets like 'many'"):
        goal.encode(np.array(["1", "many"]))
    with pytest.raises(DataError, match="1 of 2 targets are missing or infinite"):
        goal.encode(np.array([1.0, np.nan]))
