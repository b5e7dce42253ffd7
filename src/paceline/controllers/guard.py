"""Stands beside the others: mends, rolls back, lowers the rate, and gives up in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any, final

from paceline.controllers.base import Controller
from paceline.controllers.base.guard_memory import GuardMemory
from paceline.controllers.base.loss_watch import CALM_STEPS
from paceline.controllers.base.stall import Stall
from paceline.core.errors import SettingError
from paceline.core.readings import NAN, Move, Reading, Steer

BEFORE, PRESENT = "before the change", "present"
KEEPS, LEAST_STEPS = 40, 10
LARGE_BYTES, LARGE_LEAST_STEPS = 4e6, 50  # a copy takes a fifth of a step at most
CALMLY = 16
NEAR_GAIN, NEAR_DEVIATIONS = 0.1, 0.5
HARD_CUTS, HUSH = 3, 0.01
FIRST_LOOK, LOOKS = 16, 6
EARLY, LITTLE, REST_STEPS = 0.35, 0.1, 10


@final
class Guard(Controller):
    """Keeps a good state, and goes back to it when the loss is lost.

    It sets no learning rate: it multiplies what the others set, and stands beside them.
    Where the loss is lost (``LossWatch`` has the equation) it goes back to the good state,
    and lowers the rate. For the next ``look`` steps it stands nearly still, and looks whether
    that state is good on the new data. Where it is not, the data changed and not the rate was
    wrong: the rate is put back, the memory starts anew, and the others are told ``shifts``
    and ``shifted_at``. The state before is remembered for a while, and now and then looked
    at: a change that passes is passed over.

    A step that is not finite was never applied; what it spoilt nevertheless (statistics of a
    batch norm) is mended at once. A streak of them is answered like a lost loss, except where
    the good state gives no finite step either: then the rate is not to blame, and is put back.
    Each failed attempt waits twice as long; after ``tries`` of them the run is given up.
    Skipped steps that a gradient scaler counts as its own are left to it, and only what they
    spoilt is mended. Layers without gradients begin anew early in training.

    Hears ``loss``, ``gradient_norm``, ``skipped_steps``, ``scaler_skips``, ``probing``,
    ``restores``, ``dead_layers`` and ``state_bytes``.

    While the loss is calm it looks at some steps together; a loss that stands out it hears
    at once, as each of them by itself, until it is calm again.

    Args:
        learning_rate: Not used; every controller has one.
        frac: Share of the progress that may be lost, over 0, under 1.
        deviations: That the loss may stand over it besides, at least 0.
        cut: What the rate is multiplied by at a roll-back, over 0, under 1; half as much
            from the fourth on.
        look: Steps in which the good state is judged, at least 1.
        fires: Roll-backs of finite losses, at most; then it no longer does it.
        streak: Steps in a row that are not finite before the first roll-back, at least 1.
        tries: Roll-backs in a row that bring no finite step, before it gives up.
        revivals: How often dead layers are brought back, at most.
        horizon: Steps in a budget that has no end, at least 1.

    >>> guard = Guard(0.1)
    >>> for step, loss in enumerate([float("nan")] * 3):
    ...     heard = Reading(step=step, progress=0.0, values={"loss": loss})
    ...     guard.learn(heard, guard.decide(heard), heard)
    >>> guard.decide(heard).moves, guard.decide(heard).factor
    ((Move(verb='restore', name='good too'),), 0.4)
    """

    def __init__(
        self,
        learning_rate: float,
        *,
        frac: float = 0.15,
        deviations: float = 3.0,
        cut: float = 0.4,
        look: int = 4,
        fires: int = 12,
        streak: int = 3,
        tries: int = 5,
        revivals: int = 3,
        horizon: int = 2000,
    ) -> None:
        super().__init__(learning_rate)
        for share, value in {"frac": frac, "cut": cut}.items():
            if not 0 < value < 1:
                raise SettingError(f"{share} must be over 0 and under 1, got {value:g}")
        counts = {"look": look, "streak": streak, "tries": tries, "horizon": horizon}
        for name, count in {"fires": fires, "revivals": revivals, **counts}.items():
            if not (name in counts) <= count < math.inf:
                raise SettingError(f"{name} must be at least {name in counts:d}, got {count:g}")
        if not 0 <= deviations < math.inf:
            raise SettingError(f"deviations must be at least 0, got {deviations:g}")
        self.frac, self.deviations, self.cut, self.look = frac, deviations, cut, look
        self.fires, self.streak, self.tries = fires, streak, tries
        self.revivals, self.horizon = revivals, horizon
        self._memory = GuardMemory()

    def decide(self, seen: Reading) -> Steer:
        memory = self._memory
        asked = memory.asked
        if not asked and memory.kept_at < 0:
            asked = [memory.keep]
        shifts = {"shifts": float(memory.shifts), "shifted_at": memory.shifted_at}
        told = (shifts if memory.shifts else {}) | (
            {"stalled": 1.0} if memory.stall.stalled else {}
        )
        quiet = self._quiet_under()
        calm = not math.isnan(quiet)
        return Steer(
            holds=self._until_keep(seen) if calm else 1,
            alarm=quiet if calm else math.inf,
            factor=memory.factor * (1.0 if memory.looking is None else HUSH),
            moves=tuple(
                Move(verb, name)  # type: ignore[arg-type] # JSON knows no literals
                for verb, name in asked
                if seen.remembers or verb == "revive"
            ),
            stop=memory.over,
            reason=memory.reason,
            told=told,
        )

    def _quiet_under(self) -> float:
        """The loss up to which nothing can be asked of it but keeping a state; nan: any moment."""
        memory = self._memory
        busy = memory.asked or memory.looking is not None or memory.over or memory.probed
        if busy or memory.changed >= 0 or memory.broken or memory.failed or memory.stall.faint:
            return NAN
        return memory.watch.quiet_under(frac=self.frac, deviations=self.deviations)

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        values, memory = outcome.values, self._memory
        if outcome.earlier:
            memory.sound += len(outcome.earlier)
            memory.watch.hear_more(outcome.earlier, frac=self.frac, deviations=self.deviations)
        skipped, overflowed = memory.skips.hear(values)
        self._account(seen, choice, float(values.get("loss", NAN)))
        own = sum(move.verb == "restore" for move in choice.moves)
        restores = int(values.get("restores", memory.restores + own))
        elsewhere, memory.restores = restores > memory.restores + own, restores
        if values.get("probing", 0.0) > 0:
            memory.probed, memory.broken = True, 0
            memory.looking, memory.trying_old = None, False
            return
        if memory.probed or elsewhere:
            memory.probed, memory.looking, memory.trying_old = False, None, False
            memory.watch.rebase()
            memory.asked = [memory.keep]
        loss = float(values.get("loss", NAN))
        if overflowed and memory.kept_at >= 0 and not memory.asked:
            memory.asked = [memory.mend]  # the scaler's business, unless a batch was not finite
        if "loss" not in values or overflowed:
            return
        if skipped or not math.isfinite(loss):
            self._not_finite(seen.step + len(outcome.earlier))
        else:
            self._finite(seen, loss, outcome)

    def state_dict(self) -> dict[str, Any]:
        return self._memory.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._memory = GuardMemory.of(state)

    def _account(self, seen: Reading, choice: Steer, loss: float) -> None:
        """What was asked for has been done; the loss is the one of a state that was kept."""
        memory, watch = self._memory, self._memory.watch
        memory.asked = []
        if any(move == tuple(memory.keep) for move in choice.moves):
            mean = loss if watch.seen == 0 else watch.average
            if memory.kept_at < 0 or not loss - mean > self._bearable:
                memory.kept(step=seen.step, loss=mean)
            else:
                memory.older_at = -1

    @property
    def _bearable(self) -> float:
        return self._memory.watch.bearable(frac=self.frac, deviations=self.deviations)

    def _not_finite(self, step: int) -> None:
        memory = self._memory
        memory.broken += 1
        fresh, memory.sound = memory.sound == 0 and memory.failed > 0, 0
        memory.asked = [memory.mend] if memory.kept_at >= 0 else []
        if memory.broken < self.streak << memory.failed:
            return
        if memory.failed >= self.tries:
            memory.over = True
            memory.reason = (
                f"gave up: {memory.broken} steps in a row were not finite, after {memory.failed} "
                f"roll-backs, the last at {memory.factor:g} of the rate"
            )
            return
        self._go_back_from_broken(step, fresh)

    def _go_back_from_broken(self, step: int, fresh: bool) -> None:
        memory = self._memory
        count, memory.broken = memory.broken, 0
        memory.looking, memory.trying_old = None, False
        memory.asked = [memory.restore] if memory.kept_at >= 0 else []
        if fresh and memory.fall_back():
            memory.asked, what = [memory.restore], "the good state was not finite either"
        elif fresh:  # nor is the one before it: not the rate's doing
            memory.factor = memory.before
            what = f"the good state is not finite either, the rate is back at {memory.factor:g}"
        else:
            self._lower(self.cut)
            what = f"the rate is down to {memory.factor:g} of what was set"
        memory.failed += 1
        back = f"back to step {memory.kept_at}, " if memory.kept_at >= 0 else ""
        memory.reason = f"step {step}: {count} steps in a row were not finite; {back}{what}"

    def _finite(self, seen: Reading, loss: float, outcome: Reading) -> None:
        memory = self._memory
        memory.broken, memory.sound = 0, memory.sound + 1
        if memory.sound >= CALM_STEPS:
            memory.failed = 0
        if memory.trying_old:
            self._compare(loss, outcome)
            return
        memory.watch.hear(loss, frac=self.frac, deviations=self.deviations)
        if self._is_dead(seen, outcome):
            return
        if memory.looking is not None:
            memory.looking.append(loss)
            if len(memory.looking) >= self.look:
                self._judge(outcome)
        elif not memory.asked:
            self._go_on(seen, outcome)

    def _go_on(self, seen: Reading, outcome: Reading) -> None:
        memory = self._memory
        if self._is_lost():
            self._fire(seen.step + len(outcome.earlier))
        elif self._may_look_back(outcome):
            memory.asked = [["keep", PRESENT], ["restore", BEFORE]]
            memory.looking, memory.trying_old = [], True
        elif self._may_keep(outcome):
            memory.asked = [memory.keep]

    def _is_lost(self) -> bool:
        memory = self._memory
        if memory.kept_at < 0 or memory.fires > self.fires:
            return False
        return memory.watch.is_lost(frac=self.frac, deviations=self.deviations)

    def _every(self, reading: Reading) -> float:
        """Steps between two states that are kept, at least."""
        large = reading.values.get("state_bytes", 0.0) > LARGE_BYTES
        least = LARGE_LEAST_STEPS if large else LEAST_STEPS
        return max((reading.expected_steps or self.horizon) / KEEPS, least)

    def _until_keep(self, seen: Reading) -> int:
        left = math.ceil(self._memory.kept_at + self._every(seen)) - seen.step
        return min(left, CALMLY) if left > 0 else CALMLY

    def _may_keep(self, outcome: Reading) -> bool:
        memory, watch = self._memory, self._memory.watch
        if watch.seen < CALM_STEPS or outcome.step - memory.kept_at < self._every(outcome):
            return False
        return watch.rise <= NEAR_GAIN * watch.gain + NEAR_DEVIATIONS * watch.deviation

    def _fire(self, step: int) -> None:
        memory = self._memory
        memory.fires += 1
        if memory.fires > self.fires:
            memory.reason = (
                f"{self.fires} roll-backs did not settle the loss: spikes are no longer undone"
            )
            return
        watch = memory.watch
        self._lower(self.cut if memory.fires <= HARD_CUTS else self.cut / 2)
        average = watch.average
        best = watch.settle()
        kept, noise = min(average, memory.kept_loss), self.deviations * watch.deviation
        memory.level = max((kept + average) / 2, min(kept + noise, average))
        memory.looking, memory.asked = [], [memory.restore]
        memory.reason = (
            f"step {step}: the loss rose from {best:.4g} to {average:.4g}; back to step "
            f"{memory.kept_at}, the rate is down to {memory.factor:g} of what was set"
        )

    def _lower(self, cut: float) -> None:
        self._memory.before = self._memory.factor
        self._memory.factor *= cut

    def _judge(self, outcome: Reading) -> None:
        """After a roll-back: is the good state still good, or did the data change?"""
        memory = self._memory
        found, memory.looking = median(memory.looking or [0.0]), None
        if found <= memory.level:
            return
        if memory.fall_back():  # was the good state good? the one before it may tell
            memory.looking, memory.asked = [], [memory.restore]
            memory.watch.settle()
            memory.reason = (
                f"step {outcome.step}: the state of before has a loss of {found:.4g} now; "
                f"back to the one before it, of step {memory.kept_at}"
            )
            return
        if memory.changed < 0:  # a change after a change does not replace the state before both
            memory.asked, memory.old_loss = [["keep", BEFORE]], memory.kept_loss
        memory.changed, memory.looks = outcome.step, 0
        memory.watch.forget()
        memory.factor, memory.fires = memory.before, 0
        memory.asked = [*memory.asked, memory.keep]
        memory.shifts, memory.shifted_at = memory.shifts + 1, float(outcome.progress)
        memory.reason = (
            f"step {outcome.step}: the good state has a loss of {found:.4g} now, over "
            f"{memory.level:.4g}: the data changed, the rate is back at {memory.factor:g}"
        )

    def _may_look_back(self, outcome: Reading) -> bool:
        """After a change, after 16 steps and then each time twice as many."""
        memory, watch = self._memory, self._memory.watch
        if memory.changed < 0 or watch.seen < CALM_STEPS:
            return False
        if memory.looks >= LOOKS or watch.average <= memory.old_loss:
            memory.changed = -1
            memory.asked = [["forget", BEFORE]]
            return False
        return outcome.step - memory.changed >= FIRST_LOOK << memory.looks

    def _compare(self, loss: float, outcome: Reading) -> None:
        """Whether the state before the change is better than the present one again."""
        memory, watch = self._memory, self._memory.watch
        memory.looking = [*(memory.looking or []), loss]
        if len(memory.looking) < self.look:
            return
        found, memory.looking, memory.trying_old = median(memory.looking), None, False
        memory.looks += 1
        if found > watch.average - watch.deviation:
            memory.asked = [["restore", PRESENT], ["forget", PRESENT]]
            return
        memory.changed = -1
        memory.reason = (
            f"step {outcome.step}: the change has passed: the state before it has a loss of "
            f"{found:.4g}, and replaces the one with {watch.average:.4g}"
        )
        watch.forget()
        memory.asked = [["forget", BEFORE], ["forget", PRESENT], memory.keep]

    def _is_dead(self, seen: Reading, outcome: Reading) -> bool:
        """Answers layers without gradients early in training; later it only says so."""
        memory, values = self._memory, outcome.values
        dead = values.get("dead_layers", 0.0)
        horizon = outcome.expected_steps or self.horizon
        if dead > 0 and self._may_revive(outcome, horizon):
            self._revive(seen, outcome, int(dead))
            return True
        norm = float(values.get("gradient_norm", NAN))
        if memory.stall.hear(norm, horizon=horizon, steps=len(outcome.earlier) + 1):
            memory.reason = (
                f"step {outcome.step}: stalled, the gradient's norm was at most {norm:.3g} for "
                f"{memory.stall.faint} steps and the loss stays at {memory.watch.average:.4g}"
            )
        return False

    def _may_revive(self, outcome: Reading, horizon: float) -> bool:
        memory, watch = self._memory, self._memory.watch
        rested = memory.revived_at < 0 or outcome.step - memory.revived_at >= REST_STEPS
        learnt = watch.gain > LITTLE * abs(watch.began) + self.deviations * watch.deviation
        early = outcome.step <= max(EARLY * horizon, REST_STEPS)
        return early and rested and not learnt and memory.revivals < self.revivals

    def _revive(self, seen: Reading, outcome: Reading, dead: int) -> None:
        memory = self._memory
        what = ""
        if memory.revivals:  # they died again: the rate killed them
            self._lower(self.cut)
            what = f", the rate is down to {memory.factor:g} of what was set"
        memory.watch.forget()
        memory.shifts, memory.shifted_at = memory.shifts + 1, float(outcome.progress)
        memory.revivals, memory.revived_at = memory.revivals + 1, outcome.step
        memory.stall, memory.looking, memory.asked = Stall(), None, [["revive", ""]]
        memory.kept_at = -1  # the kept state is as dead; the next one is kept
        memory.reason = f"step {seen.step}: {dead} layers get no gradient; they start anew{what}"
