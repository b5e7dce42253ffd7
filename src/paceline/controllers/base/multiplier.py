"""What the controllers share that multiply the running learning rate."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal, NamedTuple

from paceline.controllers.base.controller import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Move, Reading, Steer

KEPT = "before action"
MOST = 5.0
LOWEST, HIGHEST = 1e-8, 1e3
ENOUGH_REVERTS = 3
# A single broken batch is skipped by the engine and says nothing about the rate.
_BLAMED = 2
_ROUNDING = 1e-6


class Level(NamedTuple):
    """Where the loss stood over some steps.

    Attributes:
        mean: Of the losses.
        noise: Their standard deviation around whatever way they go, robustly.
        losses: How many there were.
    """

    mean: float
    noise: float
    losses: int


def level_of(losses: Sequence[float]) -> Level:
    """The level of some losses, with the noise read off the successive differences.

    A steady fall or rise shifts all differences alike, so their median absolute deviation is
    taken; 1.4826 makes it a standard deviation for normal noise, and one over the square root
    of 2 that of one loss.

    >>> level_of([5.0, 4.0, 3.0, 2.0])
    Level(mean=3.5, noise=0.0, losses=4)
    >>> round(level_of([1.0, 2.0, 1.0, 2.0, 1.0]).noise, 3)
    1.048
    """
    steps = [after - before for before, after in pairwise(losses)]
    if not steps:
        return Level(fmean(losses), 0.0, len(losses))
    middle = median(steps)
    spread = 1.4826 * median(abs(step - middle) for step in steps)
    return Level(fmean(losses), spread / math.sqrt(2), len(losses))


def worse_by(before: Level, after: Level) -> float:
    """How many standard errors ``after`` stands above ``before``, at most 1e6 either way.

    >>> round(worse_by(Level(1.0, 0.3, 9), Level(2.0, 0.4, 16)), 3)
    7.071
    """
    noise = math.hypot(
        before.noise / math.sqrt(before.losses), after.noise / math.sqrt(after.losses)
    )
    rise = after.mean - before.mean
    least = _ROUNDING * max(abs(before.mean), abs(after.mean), 1e-30)
    return max(min(rise / max(noise, least), 1e6), -1e6)


class Plan(NamedTuple):
    """What is to be done before the next step, and why."""

    verb: Literal["begin", "hold", "act", "revert"]
    rate: float
    reason: str
    moves: tuple[Move, ...] = ()


@dataclass(kw_only=True, slots=True)
class Memory:
    """All that a multiplier remembers, JSON values only.

    Attributes:
        rate: Before the decay.
        losses: Of the steps since the rate last changed, finite ones alone.
        alignments: Of the same steps, where they are known.
        waited: Steps since the last action or revert.
        before: The level before the action that is on trial, None before the first loss.
        earlier: The rate before the action on trial; 0 where it was the first of all.
        trial: Whether an action waits for its judgement.
        begun: Whether there was a first step.
        kept: Whether the state before the last action is remembered.
        verdict: Why the last action is to be reverted; empty where it is not.
        reverts: Actions that were reverted, in a row.
        off: Whether it has switched itself off.
        broken: Losses that were not finite, in a row.
        restores: How often the run has gone back to a remembered state.
        reason: The last one given.
    """

    rate: float
    losses: list[float] = field(default_factory=list)
    alignments: list[float] = field(default_factory=list)
    waited: int = 0
    before: list[float] | None = None
    earlier: float = 0.0
    trial: bool = False
    begun: bool = False
    kept: bool = False
    verdict: str = ""
    reverts: int = 0
    off: bool = False
    broken: int = 0
    restores: float = 0.0
    reason: str = "as given"


class Multiplier(Controller):
    """Multiplies the running rate now and then, and takes back what did harm.

    An action multiplies the rate by at most 5 either way and stays from 1e-8 to 1e3. After
    one, nothing is done for ``cool_down`` steps. After ``window`` steps the action is judged:
    when the mean loss stands above the mean before it by more than ``tolerance`` standard
    errors (of both, by a robust deviation), or losses are not finite, it is reverted: the
    rate goes back, and so does the training where states can be remembered. After three
    reverts in a row it switches itself off and holds the rate.

    The given rate is on trial first: when the loss rises under it, the run begins anew with a
    fifth of it. That is not counted as a revert, as there is no earlier rate.

    Args:
        learning_rate: To begin with.
        decay: Whether the rate falls linearly to zero over the budget, whatever else is done.
        window: Steps over which losses are averaged, at least 4.
        cool_down: Steps between two actions at least, at least 1.
        tolerance: Standard errors that are forgiven, over 0.

    Raises:
        SettingError: A setting is out of its range.
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        decay: bool = True,
        window: int = 8,
        cool_down: int = 8,
        tolerance: float = 1.5,
    ) -> None:
        super().__init__(learning_rate)
        if window < 4:
            raise SettingError(f"window must be at least 4 steps, got {window}")
        if cool_down < 1:
            raise SettingError(f"cool_down must be at least 1 step, got {cool_down}")
        if not 0 < tolerance < math.inf:
            raise SettingError(f"tolerance must be over 0 and finite, got {tolerance:g}")
        self.decay, self.window = bool(decay), window
        self.cool_down, self.tolerance = cool_down, float(tolerance)
        self._memory = Memory(rate=self.learning_rate)

    @abstractmethod
    def propose(self, seen: Reading) -> tuple[float, str]:
        """A factor for the rate and why, from the losses since the last change; changes nothing.

        Asked when an action may be taken. 1 leaves the rate as it is.
        """

    def took(self, seen: Reading) -> None:
        """Hears that what ``propose`` says now is done; may change the state."""

    def harmed(self, before: Level, after: Level | None) -> None:
        """Hears that the last action is reverted; ``after`` is None where it broke the loss."""

    def decide(self, seen: Reading) -> Steer:
        plan = self._plan(seen)
        left = max(1 - seen.progress, 0.0) if self.decay else 1.0
        return Steer(learning_rate=plan.rate * left, moves=plan.moves, reason=plan.reason)

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        plan, memory = self._plan(seen), self._memory
        if plan.verb == "act":
            self.took(seen)
        self._carry_out(plan)
        self._hear(outcome, fresh=plan.verb != "hold")
        if memory.off or memory.verdict:
            return
        if memory.broken >= _BLAMED:
            self._condemn("the loss is not finite", None)
        elif memory.trial and len(memory.losses) >= self.window:
            self._judge()

    def state_dict(self) -> dict[str, Any]:
        return {"memory": asdict(self._memory)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        copied: dict[str, Any] = {
            name: list(value) if isinstance(value, list) else value
            for name, value in state["memory"].items()
        }
        self._memory = Memory(**copied)

    @property
    def losses(self) -> list[float]:
        """The losses since the rate last changed, the last ``window`` of them."""
        return self._memory.losses[-self.window :]

    @property
    def alignments(self) -> list[float]:
        """The cosines of successive gradients over the same steps, where they are known."""
        return self._memory.alignments[-self.window :]

    def _plan(self, seen: Reading) -> Plan:
        memory = self._memory
        if not memory.begun:
            return Plan("begin", memory.rate, "as given", self._keeping(seen))
        if memory.verdict:
            return self._reverting()
        if memory.off or memory.trial or memory.waited < self.cool_down:
            return Plan("hold", memory.rate, memory.reason)
        if len(memory.losses) < self.window:
            return Plan("hold", memory.rate, memory.reason)
        return self._acting(seen)

    def _acting(self, seen: Reading) -> Plan:
        factor, why = self.propose(seen)
        now = self._memory.rate
        rate = _bounded(now, factor)
        if rate == now:
            return Plan("act", now, self._memory.reason)
        return Plan("act", rate, f"{why}: {now:.3g} × {rate / now:.3g}", self._keeping(seen))

    def _reverting(self) -> Plan:
        memory = self._memory
        moves = (Move("restore", KEPT),) if memory.kept else ()
        if not memory.earlier:
            rate = _bounded(memory.rate, 1 / MOST)
            return Plan("revert", rate, f"{memory.verdict}: down to {rate:.3g}", moves)
        reason = f"reverted to {memory.earlier:.3g}: {memory.verdict}"
        if memory.reverts + 1 >= ENOUGH_REVERTS:
            reason = f"switched off after {ENOUGH_REVERTS} reverts in a row; {reason}"
            moves = (*moves, Move("forget", KEPT)) if memory.kept else ()
        return Plan("revert", memory.earlier, reason, moves)

    def _keeping(self, seen: Reading) -> tuple[Move, ...]:
        return (Move("keep", KEPT),) if seen.remembers else ()

    def _carry_out(self, plan: Plan) -> None:
        """Takes into the memory what was planned."""
        memory = self._memory
        memory.waited += 1
        if plan.verb == "hold":
            return
        changed = plan.rate != memory.rate
        if plan.verb == "act" and changed:
            memory.before = list(level_of(self.losses))
            memory.earlier, memory.trial = memory.rate, True
        if plan.verb == "begin":
            memory.begun = memory.trial = True
        if plan.verb == "revert":
            self._go_back()
        if plan.verb == "begin" or (plan.verb == "act" and changed):
            memory.kept = bool(plan.moves)
        memory.rate, memory.reason, memory.waited = plan.rate, plan.reason, 0
        memory.losses, memory.alignments = [], []

    def _go_back(self) -> None:
        memory = self._memory
        memory.verdict, memory.broken = "", 0
        if not memory.earlier:
            # what is tried now is another beginning, unless there is no lower rate
            memory.trial = memory.rate > LOWEST
            return
        memory.reverts += 1
        memory.off = memory.reverts >= ENOUGH_REVERTS
        # a second fall after a revert finds no earlier rate, and lowers the one there is
        memory.trial, memory.earlier = False, 0.0
        memory.kept = memory.kept and not memory.off

    def _hear(self, outcome: Reading, *, fresh: bool) -> None:
        """Takes in a step; a step with a new rate began with a loss that the old one made."""
        memory, loss = self._memory, outcome.values.get("loss", NAN)
        restores = outcome.values.get("restores", memory.restores)
        elsewhere = restores > memory.restores and not fresh
        memory.restores = restores
        if "loss" in outcome.values:
            memory.broken = 0 if math.isfinite(loss) else memory.broken + 1
        if elsewhere:
            self._return_of_another()
        if not math.isfinite(loss):
            return
        if memory.before is None:
            memory.before = [loss, 0.0, 1]
        if fresh or elsewhere:
            return
        memory.losses = [*memory.losses, loss][-2 * self.window :]
        alignment = outcome.values.get("gradient_alignment", NAN)
        if math.isfinite(alignment):
            memory.alignments = [*memory.alignments, alignment][-2 * self.window :]

    def _return_of_another(self) -> None:
        """Someone else went back to a remembered state: no window reaches over that."""
        memory = self._memory
        memory.losses, memory.alignments, memory.broken = [], [], 0
        if memory.trial and memory.earlier:
            memory.kept = False
            self._condemn("the run was set back", None)

    def _judge(self) -> None:
        memory = self._memory
        before, after = self._before(), level_of(self.losses)
        if before.losses == 1:  # at the beginning: one loss, whose noise is not known yet
            before = Level(before.mean, after.noise, 1)
        if worse_by(before, after) > self.tolerance:
            noise = self.tolerance * abs(after.mean - before.mean) / worse_by(before, after)
            text = f"loss {after.mean:.3g}, expected {before.mean:.3g} ± {noise:.2g}"
            self._condemn(text, after)
            return
        memory.trial = False
        memory.reverts = 0 if memory.earlier else memory.reverts

    def _condemn(self, why: str, after: Level | None) -> None:
        self._memory.verdict, self._memory.trial = why, False
        self.harmed(self._before(), after)

    def _before(self) -> Level:
        given = self._memory.before
        return Level(0.0, 0.0, 1) if given is None else Level(given[0], given[1], int(given[2]))


def _bounded(rate: float, factor: float) -> float:
    """The rate times a factor, neither of them beyond its bounds."""
    if not factor > 0:
        return rate
    wanted = min(max(rate * factor, LOWEST), HIGHEST)
    return min(max(wanted, rate / MOST), rate * MOST)
