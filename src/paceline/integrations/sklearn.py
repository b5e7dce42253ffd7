"""Paceline as scikit-learn estimators."""

from __future__ import annotations

import tempfile
from typing import Any, Self

import numpy as np

from paceline.core.errors import MissingExtra

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise MissingExtra(
        'the scikit-learn estimators need the package scikit-learn: pip install "paceline[sklearn]"'
    ) from error

from paceline.jobs.fit import fit as run_fit
from paceline.jobs.run import Run

Array = np.ndarray[Any, Any]
_SMALL = {"data.test": 0.0, "loop.validations": 10, "loop.save_seconds": 3600.0}


class _Estimator(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """What the two estimators share.

    Args:
        steps: Budget in updates; the task's default number of epochs when all are None.
        epochs: Budget in passes over the training examples.
        time: Budget in seconds or as ``"10m"``.
        validation: Share of the examples that chooses the weights, 0 to under 1.
        model: A name on the models shelf, or None for the task's default.
        settings: Other settings by dotted name, such as ``{"optimizer.lr": 1e-3}``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        random_state: Seed, an instance of ``numpy.random.RandomState``, or None for 0.
    """

    _goal: str

    def __init__(
        self,
        *,
        steps: int | None = None,
        epochs: float | None = None,
        time: float | str | None = None,
        validation: float = 0.1,
        model: str | None = None,
        settings: dict[str, Any] | None = None,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.steps = steps
        self.epochs = epochs
        self.time = time
        self.validation = validation
        self.model = model
        self.settings = settings
        self.device = device
        self.random_state = random_state

    def _learn(self, x: Array, y: Array) -> Self:
        """Trains on checked arrays; nothing is left on disk."""
        settings = dict(_SMALL) | {"data.validation": self.validation} | (self.settings or {})
        with tempfile.TemporaryDirectory(prefix="paceline-") as folder:
            run = run_fit(
                (x, y),
                task=self._goal,
                model=self.model,
                seed=_seed(self.random_state),
                steps=self.steps,
                epochs=self.epochs,
                time=self.time,
                out=f"{folder}/run",
                baselines=False,
                device=self.device,
                settings=settings,
            )
            run.detach()
        run.model.double()  # so that an answer does not depend on its neighbours in a batch
        self.run_: Run = run
        self.n_iter_ = int(run.facts["result"]["steps"])
        return self

    def _checked(self, x: Any) -> Array:
        check_is_fitted(self, "run_")
        checked: Array = validate_data(self, x, reset=False, dtype="numeric")
        return checked


class PacelineClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc] # untyped base
    """Names a class for each row of numbers.

    Attributes:
        classes_: The labels, in the order of the probabilities.
        run_: The trained run, without its directory.
        n_iter_: Updates done.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> bool(PacelineClassifier(steps=150).fit(x, y).score(x, y) > 0.9)
    True
    """

    _goal = "classification"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 # scikit-learn's name
        """Learns from X [n, columns] and labels y [n].

        Raises:
            ValueError: Something that a person can put right; one line.
        """
        X, y = validate_data(self, X, y, dtype="numeric")  # noqa: N806 # scikit-learn's name
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(
                f"every target is {self.classes_[0]!r}: one class; at least two are needed"
            )
        return self._learn(X, codes)

    def predict_proba(self, X: Any) -> Array:  # noqa: N803 # scikit-learn's name
        """Probabilities [n, classes] for X [n, columns]."""
        checked = self._checked(X)
        return self.run_.predict_proba(checked)

    def predict(self, X: Any) -> Array:  # noqa: N803 # scikit-learn's name
        """Labels [n] for X [n, columns]."""
        checked = self._checked(X)
        found: Array = self.classes_[self.run_.predict_proba(checked).argmax(1)]
        return found


class PacelineRegressor(RegressorMixin, _Estimator):  # type: ignore[misc] # untyped base
    """Hits a number for each row of numbers.

    Attributes:
        run_: The trained run, without its directory.
        n_iter_: Updates done.

    >>> from sklearn.datasets import make_regression
    >>> x, y = make_regression(200, 3, random_state=0)
    >>> bool(PacelineRegressor(steps=200).fit(x, y).score(x, y) > 0.9)
    True
    """

    _goal = "regression"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 # scikit-learn's name
        """Learns from X [n, columns] and numbers y [n].

        Raises:
            ValueError: Something that a person can put right; one line.
        """
        X, y = validate_data(self, X, y, dtype="numeric", y_numeric=True)  # noqa: N806 # scikit-learn's name
        if len(X) < 2:
            raise ValueError("at least two examples are needed, got n_samples=1")
        return self._learn(X, np.asarray(y, dtype=np.float64))

    def predict(self, X: Any) -> Array:  # noqa: N803 # scikit-learn's name
        """Numbers [n] for X [n, columns]."""
        checked = self._checked(X)
        return self.run_.predict(checked)


def _seed(state: Any) -> int:
    if state is None:
        return 0
    if isinstance(state, np.random.RandomState):
        return int(state.randint(2**31))
    return int(state)
