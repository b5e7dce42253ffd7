"""The estimators keep scikit-learn's contract, and learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from paceline import PacelineClassifier, PacelineRegressor

SMALL = {"steps": 120, "settings": {"loop.device": "cpu", "loop.precision": "fp32"}}


@pytest.mark.filterwarnings("default")
@parametrize_with_checks([PacelineClassifier(**SMALL), PacelineRegressor(**SMALL)])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def test_a_classifier_is_cross_validated_like_any_other():
    x, y = load_breast_cancer(return_X_y=True)
    scores = cross_val_score(PacelineClassifier(epochs=30), x, y, cv=3)
    assert np.mean(scores) > 0.94


def test_a_regressor_beats_the_mean():
    x, y = load_diabetes(return_X_y=True)
    assert PacelineRegressor(epochs=30).fit(x[:300], y[:300]).score(x[300:], y[300:]) > 0.3


def test_labels_come_back_as_they_were_given():
    x, y = load_breast_cancer(return_X_y=True)
    names = np.array(["benign", "malignant"])[1 - y]
    fitted = PacelineClassifier(steps=100).fit(x, names)
    assert set(fitted.predict(x[:50])) <= {"benign", "malignant"}
    assert fitted.classes_.tolist() == ["benign", "malignant"]
    assert np.allclose(fitted.predict_proba(x[:5]).sum(1), 1)


def test_a_pickled_estimator_answers_the_same():
    x, y = load_breast_cancer(return_X_y=True)
    fitted = PacelineClassifier(steps=50).fit(x, y)
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 # our own bytes, through scikit-learn
    assert (again.predict_proba(x) == fitted.predict_proba(x)).all()


def test_the_seed_is_taken_from_random_state():
    x, y = load_breast_cancer(return_X_y=True)
    state = np.random.RandomState(3)
    first = PacelineClassifier(steps=20, random_state=state).fit(x, y).predict_proba(x)
    second = PacelineClassifier(steps=20, random_state=state).fit(x, y).predict_proba(x)
    third = PacelineClassifier(steps=20, random_state=7).fit(x, y).predict_proba(x)
    fourth = PacelineClassifier(steps=20, random_state=7).fit(x, y).predict_proba(x)
    assert (first != second).any()
    assert (third == fourth).all()
