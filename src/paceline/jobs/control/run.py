"""A policy that was trained: what it reached, and what it does."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from paceline.core import catalog
from paceline.core.errors import DataError, RunError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Opening
from paceline.data.base.locate import open_source
from paceline.jobs.control.learner import Learner
from paceline.jobs.control.play import Array, Played, play
from paceline.jobs.folder import RunFolder
from paceline.train.transaction import read_snapshot

TASK = "control"
_SEED = 4_000_000


def environment_named(place: str, *, pictures: bool = False) -> Any:
    """An environment by its id, new.

    Raises:
        DataError: There is no such environment, or it lacks a package of its own.
    """
    return catalog.find("data", "environment").make(place, pictures=pictures)


@final
class ControlRun:
    """What ``fit`` gives for an environment, and ``load`` brings back.

    Args:
        path: The run's directory.
        weights: Only ``best``, by looks in training.

    Attributes:
        path: The run's directory.
        facts: What ``run.json`` says.
        test: Metrics of the episodes that nothing was chosen by, by name.
        baselines: The same for plain policies, by name.
    """

    def __init__(self, path: Path | str, *, weights: str = "best") -> None:
        if weights != "best":
            raise RunError(f"of a policy there are the best weights only, not {weights!r}")
        self.path = Path(path)
        self.facts = RunFolder(self.path).read()
        result = self.facts.get("result") or {}
        self.test: dict[str, float] = result.get("test", {})
        self.baselines: dict[str, dict[str, float]] = result.get("baselines", {})

    def __repr__(self) -> str:
        reached = ", ".join(f"{name}={value:.4g}" for name, value in self.test.items())
        return f"ControlRun({str(self.path)!r}: {reached or self.facts.get('state', 'no result')})"

    @functools.cached_property
    def _learner(self) -> Learner:
        stored = self.facts["model"]
        digest = self.facts.get("sha256", {}).get("model.safetensors")
        if digest is None:
            raise RunError(f"the run {self.path} has no model yet; go on with --resume")
        small = {"buffer_size": 1} if "buffer_size" in stored["settings"] else {}
        learner = Learner(stored["name"], stored["settings"] | small, self._make, seed=0)
        tensors = read_snapshot(RunFolder(self.path).model_file, digest).tensors
        try:
            learner.network.load_state_dict(tensors)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise RunError(f"the weights of {self.path} do not fit the model: {first}") from None
        return learner

    @property
    def model(self) -> torch.nn.Module:
        """The network with its weights, in eval mode."""
        return self._learner.network.eval()

    def act(self, seen: Array) -> Array:
        """The best actions [n, ...] for observations [n, ...]."""
        return self._learner.act_with(self._learner.network)(seen)

    def play(self, episodes: int = 100, *, seed: int = 0) -> Played:
        """Whole episodes, new ones for each seed."""
        return play(self._make, self.act, seed=_SEED + seed, episodes=episodes)

    def evaluate(self, x: Any = None, y: Any = None, *, episodes: int = 100) -> dict[str, float]:
        """Metrics of new episodes.

        Args:
            x: Nothing, or an environment's id: the run's own, or one that looks the same.
            y: Nothing; there are no targets.
            episodes: How many.

        Raises:
            DataError: ``x`` is something else.
        """
        if y is not None or not (x is None or self._is_place(x)):
            raise DataError("a policy is measured by episodes: give an environment's id or nothing")
        make = self._make if x is None else lambda: self._alike(str(x))
        return play(make, self.act, seed=_SEED, episodes=episodes).metrics()

    def predict(self, x: Any) -> Array:
        """The best action for each observation, or the return of each of 100 new episodes.

        Args:
            x: Observations [n, ...] as an array, a file or a table; or an environment's id.

        Raises:
            DataError: The observations are of another shape.
        """
        if self._is_place(x):
            return play(lambda: self._alike(str(x)), self.act, seed=_SEED, episodes=100).returns
        return self.act(self._observations(x))

    def answers(self, x: Any) -> dict[str, list[Any]]:
        """Answers as JSON values: ``prediction``."""
        found = self.predict(x)
        if self._is_place(x):
            names = [f"episode {at}" for at in range(len(found))]
            return {"name": names, "prediction": found.tolist()}
        return {"prediction": found.tolist()}

    def _make(self) -> Any:
        return environment_named(self.facts["place"])

    def _is_place(self, x: Any) -> bool:
        return bool(catalog.find("data", "environment").recognises(x))

    def _alike(self, place: str) -> Any:
        made, own = environment_named(place), self._learner.model
        if (made.observation_space, made.action_space) != (own.observation_space, own.action_space):
            raise SettingError(
                f"{place} shows {made.observation_space} and takes {made.action_space}, but the"
                f" run learnt in {self.facts['place']}"
            )
        return made

    def _observations(self, x: Any) -> Array:
        space = self._learner.model.observation_space
        if isinstance(x, (str, Path)) or hasattr(x, "columns"):
            opening = Opening(target=None, skip_bad=False, progress=Silence())
            _, source, place = open_source(x, opening)
            x = source.read_inputs(place, opening).inputs
            x = x[0] if isinstance(x, tuple) else x
        try:
            seen = np.asarray(x, dtype=space.dtype)
        except (TypeError, ValueError):
            raise DataError("the observations hold something that is no number") from None
        if seen.shape[1:] != space.shape or not len(seen):
            raise DataError(
                f"observations must have the shape [n, {', '.join(map(str, space.shape))}], got"
                f" {list(seen.shape)}"
            )
        return seen
