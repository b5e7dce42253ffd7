"""Environments to act in, of gymnasium, by their id."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import warnings
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from paceline.core.errors import DataError, nearest
from paceline.core.extras import need
from paceline.data.base import Corpus, Examples, Opening, Source

STEPS = 200
_UNSEEN = {
    "SDL_VIDEODRIVER": "dummy",
    "SDL_AUDIODRIVER": "dummy",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
}
_ID = re.compile(r"([\w.-]+:)?([\w.-]+/)*[\w.-]+-v\d+")


@final
class Environment(Source):
    """An environment of gymnasium by its id, ``CartPole-v1`` or ``my_module:Mine-v0``.

    Its examples are made: what a policy sees and does that acts at random, 200 steps. There
    is more to learn than these; ``make`` gives the environment itself.
    """

    promise: ClassVar[str] = "the id of a gymnasium environment"

    @staticmethod
    def recognises(place: Any) -> bool:
        return (
            isinstance(place, str) and _ID.fullmatch(place) is not None and not Path(place).exists()
        )

    def read(self, place: Any, opening: Opening) -> Corpus:
        seen, done = _at_random(self.make(place), STEPS)
        digest = hashlib.sha256(place.encode() + seen.tobytes() + done.tobytes())
        return Corpus(
            name=re.sub(r"[:/]", "-", place),
            kind="environment",
            train=Examples(inputs=(seen,), targets=done),
            fingerprint=digest.hexdigest(),
            facts={"environment": place},
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        return self.read(place, opening).train

    @staticmethod
    def make(place: str, *, pictures: bool = False) -> Any:
        """The environment, new.

        Args:
            place: Its id.
            pictures: Whether ``render`` must give frames, uint8 [height, width, 3].

        Raises:
            MissingExtra: gymnasium is not installed.
            DataError: There is no such environment, or it lacks a package of its own.
        """
        if pictures:  # drawn in memory: no screen and no sound is looked for
            for name, value in _UNSEEN.items():
                os.environ.setdefault(name, value)
        gymnasium = need("gymnasium", extra="rl", purpose=f"the environment {place}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return gymnasium.make(place, render_mode="rgb_array" if pictures else None)
        except gymnasium.error.DependencyNotInstalled as error:
            raise DataError(f"{place} needs more than gymnasium: {_line(error)}") from None
        except ModuleNotFoundError as error:
            module = error.name or place.partition(":")[0]
            raise DataError(f"{place}: there is no module {module!r}") from None
        except gymnasium.error.Error:
            known = list(gymnasium.registry)
            close = difflib.get_close_matches(place, known, n=5, cutoff=0.4) or known
            raise DataError(f"there is no environment {place!r}{nearest(place, close)}") from None


def _at_random(environment: Any, steps: int) -> tuple[Any, Any]:
    """Observations [steps, ...] and the actions taken on them [steps, ...]."""
    environment.action_space.seed(0)
    seen, done = [], []
    now, _ = environment.reset(seed=0)
    for _ in range(steps):
        action = environment.action_space.sample()
        seen.append(now)
        done.append(action)
        now, _, ended, cut, _ = environment.step(action)
        if ended or cut:
            now, _ = environment.reset()
    environment.close()
    try:
        return np.asarray(seen), np.asarray(done)
    except ValueError:
        raise DataError("the environment's observations are no arrays of one shape") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
