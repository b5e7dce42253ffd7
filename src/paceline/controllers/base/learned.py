"""What the controllers share whose policy is a table that was learnt."""

from __future__ import annotations

import json
import math
import random
from abc import abstractmethod
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from paceline.controllers.base.multiplier import Level, Multiplier, level_of, worse_by
from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Reading, Steer
from paceline.learners.base import Learner

ACTIONS = (0.3, 0.8, 1.0, 1.25, 2.0, 5.0)
FORMAT = "paceline policy 1"
STAY = ACTIONS.index(1.0)
# Edges of the bins. The loss trend is in standard errors, the noise in parts of the loss.
_TREND = (-1.5, 1.5)
_NOISE = (0.1,)
_ALIGNMENT = (-0.05, 0.15, 0.6)
_PROGRESS = (0.6,)
_MOVED = 4.0


class Learned(Multiplier):
    """Multiplies the rate by one of six factors, as a table of what that brought says.

    Every few steps it sums up what it sees in five bins: whether the loss falls, how noisy it
    is, whether successive gradients point the same way, how much of the budget is spent, and
    whether the run has got anywhere yet. The table holds the worth of each of the factors
    0.3, 0.8, 1, 1.25, 2 and 5 in each of these states; the best one is taken, and 1 where
    nothing is known. The reward is ``−Δ log loss`` per second, in units of the first step's
    seconds, or per step where seconds are not known.

    Args:
        learning_rate: To begin with.
        policy: A table that ``paceline policy train`` wrote; the shipped one when empty.
        learn_rate: How fast the table goes on learning in use, 0 to 1; 0 keeps it as it is.
            Seconds are part of the reward, so runs that learn are not repeated exactly.
        exploration: Share of the actions that are tried at random, 0 to 1.
        seed: Of these.
        decay: Whether the rate falls linearly to zero over the budget, whatever else is done.
        window: Steps over which losses are averaged, at least 4.
        cool_down: Steps between two actions at least, at least 1.
        tolerance: Standard errors that are forgiven, over 0.

    Attributes:
        learner: The name of the learner whose table it is.

    Raises:
        SettingError: A setting is out of its range, or ``policy`` is no such table.
    """

    needs = frozenset({"gradient_alignment"})
    learner: ClassVar[str]

    def __init__(
        self,
        learning_rate: float,
        *,
        policy: str = "",
        learn_rate: float = 0.0,
        exploration: float = 0.0,
        seed: int = 0,
        decay: bool = True,
        window: int = 8,
        cool_down: int = 8,
        tolerance: float = 1.5,
    ) -> None:
        super().__init__(
            learning_rate, decay=decay, window=window, cool_down=cool_down, tolerance=tolerance
        )
        if not 0 <= learn_rate <= 1:
            raise SettingError(f"learn_rate must be from 0 to 1, got {learn_rate:g}")
        if not 0 <= exploration <= 1:
            raise SettingError(f"exploration must be from 0 to 1, got {exploration:g}")
        if seed < 0:
            raise SettingError(f"seed must be at least 0, got {seed}")
        self.policy, self.learn_rate = policy, float(learn_rate)
        self.exploration, self.seed = float(exploration), seed
        self._table = read_policy(policy, self.learner, self._settings())
        self._course = _Course()

    def blank(self) -> Learner:
        """A learner that knows nothing yet, with this controller's settings."""
        return _made(self.learner, self._settings())

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """The settings of the learner."""

    def propose(self, seen: Reading) -> tuple[float, str]:
        return ACTIONS[self._choice(seen)], "policy"

    def took(self, seen: Reading) -> None:
        course, state, action = self._course, self._state(seen), self._choice(seen)
        level = level_of(self.losses)
        if self.learn_rate > 0 and course.level is not None:
            gain = -_log_change(course.level[0], level.mean)
            reward = gain / max(course.cost, 1.0)
            self._table.learn(course.state, course.action, reward, state, action)
        course.state, course.action, course.level = state, action, list(level)
        course.first = course.first or list(level)
        course.cost, course.harmed = 0.0, False
        course.actions += 1

    def harmed(self, before: Level, after: Level | None) -> None:
        self._course.harmed = True

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        super().learn(seen, choice, outcome)
        course, seconds = self._course, outcome.values.get("step_seconds", NAN)
        known = 0 < seconds < math.inf
        course.second = course.second or (seconds if known else 0.0)
        course.cost += seconds / course.second if known else 1.0

    def state_dict(self) -> dict[str, Any]:
        own = {"table": self._table.state_dict(), "course": asdict(self._course)}
        return super().state_dict() | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._table.load_state_dict(state["table"])
        self._course = _Course(**state["course"])

    @property
    def table(self) -> Learner:
        """The learner itself, to train it over many runs."""
        return self._table

    @table.setter
    def table(self, learner: Learner) -> None:
        self._table = learner

    def _choice(self, seen: Reading) -> int:
        """The best action by the table, the next after it where it is to explore."""
        state = self._state(seen)
        values = self._table.values(state)
        if self.exploration > 0:
            bonuses = self._table.bonuses(state)
            if any(bonuses):
                raised = [value + bonus for value, bonus in zip(values, bonuses, strict=True)]
                return _best(raised)
            draw = random.Random(f"{self.seed} {self._course.actions}")
            if draw.random() < self.exploration:
                return draw.randrange(len(ACTIONS))
        return _best(values)

    def _state(self, seen: Reading) -> str:
        """What the table distinguishes, as one word."""
        losses, course = self.losses, self._course
        now, half = level_of(losses), len(losses) // 2
        if course.level is None:
            trend = -worse_by(level_of(losses[:half]), level_of(losses[half:]))
        else:
            trend = -worse_by(_level(course.level), now)
        cosines = self.alignments
        alignment = sum(cosines) / len(cosines) if cosines else 0.0
        moved = course.first is not None and -worse_by(_level(course.first), now) > _MOVED
        return (
            f"t{bisect(_TREND, trend)}"
            f"n{bisect(_NOISE, now.noise / max(abs(now.mean), 1e-30))}"
            f"a{bisect(_ALIGNMENT, alignment)}"
            f"p{bisect(_PROGRESS, seen.progress)}"
            f"{'h' if course.harmed else 'm' if moved else 's'}"
        )


@dataclass(kw_only=True, slots=True)
class _Course:
    """What is remembered from one action to the next, JSON values only.

    ``level`` and ``first`` are those of the losses before the last and the first action,
    ``harmed`` whether an action was reverted since then, ``cost`` the steps since then or their
    time in units of ``second``, the first step's seconds.
    """

    state: str = ""
    action: int = STAY
    level: list[float] | None = None
    first: list[float] | None = None
    harmed: bool = False
    cost: float = 0.0
    second: float = 0.0
    actions: int = 0


def read_policy(place: str, learner: str, settings: Mapping[str, Any]) -> Learner:
    """The learner in a file, or in the table that is shipped for it.

    Args:
        place: A file; the shipped one when empty.
        learner: The name of the learner that the file must be for.
        settings: Of the learner.

    Raises:
        SettingError: The file is missing, is no table, or is one for another learner.
    """
    made = _made(learner, settings)
    facts = policy_facts(place, learner)
    if facts is None:
        return made
    if facts.get("learner") != learner or facts.get("actions") != list(ACTIONS):
        raise SettingError(
            f"{place}: this table is for {facts.get('learner')!r} with other actions or another "
            f"learner; {learner!r} with the actions {list(ACTIONS)} is needed"
        )
    try:
        made.load_state_dict(facts["state"])
    except (KeyError, SettingError) as error:
        raise SettingError(f"{place or learner}: the table is damaged: {error}") from None
    return made


def _made(learner: str, settings: Mapping[str, Any]) -> Learner:
    made: Learner = catalog.build(catalog.find("learners", learner), settings, len(ACTIONS))
    return made


def policy_facts(place: str, learner: str = "") -> dict[str, Any] | None:
    """All that a table's file holds; None where no table is shipped for a learner.

    Raises:
        SettingError: The file is missing or is no table.
    """
    if place:
        try:
            text = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SettingError(f"{place}: cannot be read as a policy table: {why}") from None
    else:
        shipped = resources.files("paceline.controllers.base") / "policies" / f"{learner}.json"
        if not shipped.is_file():
            return None
        text = shipped.read_text(encoding="utf-8")
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise SettingError(f"{place or learner}: this is no table of `paceline policy train`")
    return facts


def _level(given: list[float]) -> Level:
    return Level(given[0], given[1], int(given[2]))


def _best(values: Sequence[float]) -> int:
    """The best action; of several, the one that changes the rate least."""
    most = max(values)
    return min(
        (action for action, value in enumerate(values) if value == most),
        key=lambda action: abs(math.log(ACTIONS[action])),
    )


def _log_change(before: float, after: float) -> float:
    """``log(after / before)``, and what comes closest to it where there is no logarithm.

    At most 2 either way: ``2 tanh(x / 2)`` of the logarithm x, which is also defined for
    losses that are zero or negative.
    """
    size = abs(before) + abs(after)
    return 2 * (after - before) / size if size > 0 else 0.0
