"""Claims of the plain rivals."""

from __future__ import annotations

import builtins
import json
import sys
import time
import warnings

import numpy as np
import pytest

from paceline.core.clock import ManualClock
from paceline.core.errors import DataError
from paceline.core.progress import Silence
from paceline.tasks.base import baselines, find_goal
from paceline.tasks.base.baselines import measure_baselines

NAMES = {
    "classification": ["majority", "logistic_regression", "gradient_boosting"],
    "regression": ["mean", "ridge_regression", "gradient_boosting"],
}


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def measured(features, targets, *, goal=None, wanted=None, **settings):
    half = len(features) // 2
    goal = goal or find_goal(targets, wanted)
    return measure_baselines(
        goal,
        features[:half],
        targets[:half],
        features[half:],
        targets[half:],
        **{"seed": 0, "progress": Silence(), **settings},
    )


@pytest.fixture
def sklearn():
    return pytest.importorskip("sklearn")


def classes(count=400):
    features = random().normal(size=(count, 3)).astype(np.float32)
    return features, np.where(features[:, 0] + features[:, 1] > 0.8, "yes", "no")


def test_baselines_are_measured_by_the_goals_own_metrics(sklearn):
    features, targets = classes()
    found = measured(features, targets)
    assert list(found) == NAMES["classification"]
    for baseline in found.values():
        assert {"accuracy", "log_loss", "auc", "loss"} <= set(baseline.metrics)
        assert baseline.note == ""
    assert found["majority"].metrics["accuracy"] == (targets[200:] == "no").mean()
    assert found["logistic_regression"].metrics["accuracy"] > 0.95
    assert found["gradient_boosting"].metrics["accuracy"] > 0.9


def test_numbers_are_hit_in_their_own_unit(sklearn):
    features = random().normal(size=(400, 3)).astype(np.float32)
    targets = 1e5 + 2e4 * features[:, 0] + random().normal(size=400)
    found = measured(features, targets)
    assert list(found) == NAMES["regression"]
    twin = np.sqrt(np.square(targets[200:] - targets[:200].mean()).mean())
    assert found["mean"].metrics["rmse"] == pytest.approx(twin, rel=1e-5)
    assert found["ridge_regression"].metrics["rmse"] < 500
    assert found["gradient_boosting"].metrics["rmse"] < found["mean"].metrics["rmse"] / 2


def test_majority_gives_the_shares_of_the_classes():
    targets = np.array(["a"] * 30 + ["b"] * 10 + ["a"] * 20 + ["b"] * 20)
    found = measured(np.zeros((80, 1)), targets)["majority"]
    assert found.metrics["log_loss"] == pytest.approx(-np.log([0.75, 0.25]).mean())


def test_categories_are_no_numbers_to_the_rivals(sklearn):
    codes = random().integers(2, 40, 4000)
    targets = np.where(codes % 2 == 0, "even", "odd")
    found = measured(codes[:, None].astype(np.float32), targets, categorical=[0])
    assert found["logistic_regression"].metrics["accuracy"] == 1
    assert found["gradient_boosting"].metrics["accuracy"] == 1
    as_number = measured(codes[:, None].astype(np.float32), targets)
    assert as_number["logistic_regression"].metrics["accuracy"] < 0.7


def test_gaps_unknown_codes_and_empty_columns_are_taken(sklearn):
    features, targets = classes()
    codes = random().integers(0, 400, 400).astype(np.float32)
    codes[::7] = np.nan
    features[::5, 0] = np.nan
    table = np.column_stack([features, codes, np.full(400, np.nan), np.full(400, np.nan)])
    found = measured(table, targets, categorical=[3, 5])
    assert [baseline.note for baseline in found.values()] == ["", "", ""]


def test_class_that_no_training_example_has_gets_no_share(sklearn):
    features, targets = classes()
    goal = find_goal(np.array(["maybe", "no", "yes"]))
    found = measured(features, targets, goal=goal)
    assert all(np.isfinite(baseline.metrics["log_loss"]) for baseline in found.values())
    assert found["gradient_boosting"].metrics["accuracy"] > 0.9


def test_class_with_one_example_is_no_obstacle(sklearn):
    targets = np.array(["a", "b"])[random().integers(0, 2, 24_000)].astype(object)
    targets[5] = "once"
    found = measured(random().normal(size=(24_000, 1)), targets)
    assert found["gradient_boosting"].note == ""


def test_same_seed_gives_the_same_numbers(sklearn, monkeypatch):
    monkeypatch.setattr(baselines, "_LINEAR_ENTRIES", 0)
    features, targets = classes(2000)
    clock = ManualClock()
    one, other, third = (measured(features, targets, seed=s, clock=clock) for s in (1, 1, 2))
    assert one == other
    assert one["logistic_regression"].metrics != third["logistic_regression"].metrics


def test_large_data_are_cut_stratified_and_the_note_says_so(sklearn, monkeypatch):
    monkeypatch.setattr(baselines, "_LINEAR_ENTRIES", 0)
    monkeypatch.setattr(baselines, "_TREE_WORK", 80_000_000)
    monkeypatch.setattr(baselines, "_PREDICTIONS", 40_000)
    features = random().normal(size=(6000, 40)).astype(np.float32)
    targets = np.array([f"c{at}" for at in random().integers(0, 5, 6000)], dtype=object)
    targets[7] = "rare"
    found = measured(features, targets)
    assert "learnt from 50" in found["logistic_regression"].note
    assert "of 3000 examples to keep it short" in found["logistic_regression"].note
    assert ", 40 rounds, measured on the first " in found["gradient_boosting"].note
    assert found["gradient_boosting"].metrics["accuracy"] > 0
    table = baselines._Table(
        goal=find_goal(targets),
        train=features,
        train_targets=find_goal(targets).encode(targets).numpy(),
        test=features,
        categorical=(),
        seed=0,
    )
    rows = table.some(600)
    assert len(set(rows)) == len(rows)
    shares = np.bincount(table.train_targets[rows]) / len(rows)
    whole = np.bincount(table.train_targets) / len(features)
    np.testing.assert_allclose(shares, whole, atol=0.01)
    assert (shares > 0).all()


def test_numbers_are_cut_at_random(sklearn, monkeypatch):
    monkeypatch.setattr(baselines, "_LINEAR_ENTRIES", 0)
    features = random().normal(size=(4000, 2))
    found = measured(features, features[:, 0])["ridge_regression"]
    assert found.note == "learnt from 500 of 2000 examples to keep it short"


def test_too_many_columns_for_boosting_are_reported(sklearn, monkeypatch):
    monkeypatch.setattr(baselines, "_TREE_WORK", 1000)
    found = measured(*classes())["gradient_boosting"]
    assert found.metrics == {}
    assert found.note == "failed: ValueError: too much work with 3 columns and 1 trees a round"


def test_baseline_that_fails_is_reported_with_its_error(sklearn):
    features, targets = classes()
    features[3, 1] = np.inf
    found = measured(features, targets)
    assert found["majority"].note == ""
    assert found["logistic_regression"].metrics == {}
    assert found["logistic_regression"].note.startswith("failed: ValueError: ")


def test_no_warning_leaks(sklearn):
    features = random().normal(size=(300, 30)) * np.logspace(-8, 8, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured(features, random().integers(0, 5, 300))


def test_missing_scikit_learn_leaves_the_simplest_and_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [key for key in sys.modules if key.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Nothing(), *sys.meta_path])
    found = measured(*classes())
    assert found["majority"].metrics["accuracy"] > 0.5
    for name in ("logistic_regression", "gradient_boosting"):
        assert found[name].metrics == {}
        assert 'pip install "paceline[sklearn]"' in found[name].note


class _Nothing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_targets_unlike_the_training_ones_are_the_callers_mistake():
    with pytest.raises(DataError, match="label 'c' was not among"):
        measured(
            np.zeros((4, 1)), np.array(["a", "b", "c", "a"]), goal=find_goal(np.array(["a", "b"]))
        )


def test_progress_is_told_and_the_clock_is_an_argument():
    class Listener:
        def __init__(self):
            self.heard = []

        def advance(self, what: str, done: float, note: str = "") -> None:
            self.heard.append((what, round(done, 2), note))
            clock.advance(2)

    clock, listener = ManualClock(), Listener()
    found = measured(*classes(), progress=listener, clock=clock)
    assert listener.heard[0] == ("baselines", 0.0, "majority")
    assert listener.heard[-1] == ("baselines", 1.0, "")
    assert found["majority"].seconds == 0


def test_digits_take_a_few_seconds_of_a_core(sklearn):
    from sklearn.datasets import load_digits

    features, targets = load_digits(return_X_y=True)
    order = random().permutation(len(features))
    features, targets = features[order], targets[order]
    start = time.process_time()
    found = measure_baselines(
        find_goal(targets), features[:1437], targets[:1437], features[1437:], targets[1437:],
        seed=0, progress=Silence(),
    )  # fmt: skip
    assert time.process_time() - start < 20
    assert found["logistic_regression"].metrics["accuracy"] > 0.95
    assert found["gradient_boosting"].metrics["accuracy"] > 0.95
    json.dumps({name: baseline.metrics for name, baseline in found.items()})
