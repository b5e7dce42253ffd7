"""The one loop: read, decide, update, and now and then validate and save."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from paceline.controllers.base import Controller
from paceline.core.clock import Clock
from paceline.core.errors import StorageError
from paceline.core.ledger import Ledger
from paceline.core.progress import Progress
from paceline.core.readings import Reading, Steer
from paceline.monitors.base import Monitor
from paceline.train.averaging import measuring
from paceline.train.budget import Allowance
from paceline.train.decisions import Decision
from paceline.train.interrupt import interruptible
from paceline.train.judge import Average, Best, Measure
from paceline.train.layers import Layers
from paceline.train.memory import Memory
from paceline.train.pace import Pace, glimpse_of, nature
from paceline.train.recorder import Recorder
from paceline.train.stepping import Update
from paceline.train.transaction import RandomStates, Stateful, Transaction, Vault
from paceline.train.update import Updater

TELL_EVERY = 16
AFTERWARDS_SECONDS = 0.3
VALIDATION_SHARE = 0.1
SAVE_SHARE = 0.02
SCALER_TRIES = 64
NAN = float("nan")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that the loop works with.

    Attributes:
        model: Whose weights are learnt.
        updater: Does one update.
        controller: Sets the learning rate before each.
        beside: Controllers that watch over it.
        monitors: Read every step.
        validate: Measures a model: metrics by name, among them ``loss``. None where
            there is nothing to validate on.
        measure: Tells which metrics are better.
        average: Moving average of the weights, or None.
        allowance: What there is to spend.
        validations: How often to validate in the whole run.
        save_seconds: Longest work that a kill can lose.
        test_validations: How many validations the test that follows is as long as.
    """

    model: nn.Module
    updater: Updater
    controller: Controller
    beside: Sequence[Controller]
    monitors: Sequence[Monitor]
    validate: Callable[[nn.Module], dict[str, float]] | None
    measure: Measure
    average: Average | None
    allowance: Allowance
    validations: int
    save_seconds: float
    test_validations: float = 0.0


@final
class Loop:
    """Trains a plan to the end of its allowance.

    Args:
        plan: What to work with.
        ledger: Where readings and decisions go.
        vault: Where transactions are saved.
        clock: Tells seconds.
        started: What the clock said when the run began, earlier sittings taken off.
        progress: Told how far it has come.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        ledger: Ledger,
        vault: Vault,
        clock: Clock,
        started: float,
        progress: Progress,
    ) -> None:
        self.plan, self.best = plan, Best()
        self.step, self.stopped = 0, ""
        self._ledger, self._vault, self._clock = ledger, vault, clock
        self._started, self._progress = started, progress
        self._validated_at = -1
        self._next_validation = 1
        self._saved_at = self._elapsed()
        self._save_cost = self._validation_cost = self._validation_seconds = 0.0
        self._record = Recorder(ledger)
        self._outcome: Reading | None = None
        members: dict[str, Stateful] = {"scaler": plan.updater.scaler}
        if plan.average is not None:
            members["average"] = plan.average
        optimizer = plan.updater.optimizer
        self._memory = Memory([plan.model], optimizer, members, warn=progress.warn)
        self.pace = Pace(
            plan.controller,
            plan.beside,
            plan.monitors,
            self._memory,
            Layers([plan.model]),
            self._decided,
        )
        self.pace.values.update(nature(optimizer))
        self.transaction = Transaction(
            model=plan.model,
            updater=plan.updater,
            pace=self.pace,
            best=self.best,
            random=RandomStates(),
            loop=self,
            **{name: each for name, each in members.items() if name != "scaler"},
        )

    @property
    def started(self) -> float:
        """What the clock would have said when the run began, had it never stood still."""
        return self._started

    def resume(self) -> bool:
        """Goes back to the last good transaction on disk, if there is one."""
        snapshot, trouble = self._vault.read()
        for line in trouble:
            self._progress.warn(f"{line}; the one before it is used")
        if snapshot is None:
            return False
        self.transaction.restore(snapshot)
        if self.pace.goes_on:
            self.pace.recall(self._reading(self._elapsed()))
        self._ledger.rewind(self._record.cursor)
        self._event("resumed", {"from_step": self.step})
        return True

    def run(self) -> str:
        """Trains until the allowance is spent, a controller stops or Ctrl-C; says which."""
        with interruptible() as interrupted:
            self.plan.model.train()
            while not self.stopped:
                self._one_step()
                self._between_steps(bool(interrupted))
        if hasattr(self.plan.updater.optimizer, "eval"):
            self.plan.updater.optimizer.eval()
        return self.stopped

    def _one_step(self) -> None:
        plan, pace = self.plan, self.pace
        calm = pace.goes_on
        steer = pace.go_on() if calm else pace.decide(self._known())
        pieces = plan.updater.pieces
        update = plan.updater.update(steer, calm=calm)
        for _ in range(SCALER_TRIES):
            if not update.scaler_skipped:  # the scaler halves its factor until it fits
                break
            update = plan.updater.update(steer)
            pace.values["scaler_skips"] = pace.values.get("scaler_skips", 0.0) + 1
            pace.hurry()
        if plan.updater.pieces > pieces:
            self._cut_up(plan.updater.pieces)
        self.step += 1
        if plan.average is not None and not steer.probing:
            plan.average.follow(self.step)
        if not pace.calmly(update):
            self._learn(update)
        if steer.stop:
            self.stopped = steer.reason or "controller"

    def _known(self) -> Reading:
        """The reading that was learnt from last, while nothing is newer."""
        outcome, self._outcome = self._outcome, None
        return self._reading(self._elapsed()) if outcome is None else outcome

    def _learn(self, update: Update) -> None:
        pace = self.pace
        glimpse = glimpse_of(
            update,
            step=self.step,
            examples=self.plan.updater.examples,
            elapsed_seconds=self._elapsed(),
            learning_rate=self.plan.updater.rates.now,
            earlier=pace.earlier,
        )
        pace.read(glimpse, update)
        outcome = self._outcome = self._reading(glimpse.elapsed_seconds)
        pace.learn(outcome)
        if not pace.steer.probing:
            self._record.take(glimpse, pace.values, outcome.progress)

    def _between_steps(self, interrupted: bool) -> None:
        done = self._progress_at(self._elapsed())
        if done >= 1 and not self.stopped:
            self.stopped = "budget"
        if interrupted:
            self.stopped = "interrupted"
        if self.stopped and not interrupted:
            self._catch_up()
        due = not self.pace.steer.probing and self._validation_is_due(done)
        if not interrupted and (self.stopped or due):
            self._next_validation = int(done * self.plan.validations) + 1
            self._validate()
        if self.stopped or self._elapsed() - self._saved_at >= self._save_interval():
            self.save()
        if self.step % TELL_EVERY == 0 or self.stopped:
            loss = self.pace.values.get("loss_smooth", NAN)
            note = f"step {self.step} · loss {loss:.4f}{self._score()}"
            self._progress.advance("training", done, note)

    def _catch_up(self) -> None:
        """At the end all that came is told."""
        update = self.pace.catch_up()
        if update is not None:
            self._learn(update)

    def _validation_is_due(self, done: float) -> bool:
        """In even intervals; where time is the budget, only as often as it can afford."""
        if done * self.plan.validations < self._next_validation:
            return False
        if self.plan.allowance.seconds is None:
            return True
        spent = self._elapsed() - self.plan.allowance.begun_seconds
        return self._validation_seconds <= VALIDATION_SHARE * spent

    def _validate(self) -> None:
        plan, began = self.plan, self._elapsed()
        if plan.validate is None or self._validated_at == self.step:
            return
        model = plan.model if plan.average is None else plan.average.model
        with measuring(plan.updater.optimizer):
            metrics = plan.validate(model)
            self.best.offer(model, metrics, plan.measure, self.step)
        plan.model.train()
        self._validated_at = self.step
        values = self.pace.values
        values["validation_loss"] = metrics["loss"]
        values["validations"] = values.get("validations", 0.0) + 1
        self.pace.hurry()
        self._outcome = None
        for name, value in metrics.items():
            self._record.row("validation", name, value, self.step, self._elapsed())
        took = self._elapsed() - began
        self._validation_seconds += took
        self._validation_cost = took

    def save(self) -> None:
        """Writes a transaction; a disk that is unwilling now is tried again later."""
        began = self._elapsed()
        self._saved_at = began
        try:
            self._ledger.flush()
            self._record.cursor = self._ledger.cursor()
            self._vault.write(self.transaction.capture(), step=self.step)
        except StorageError as error:
            self._progress.warn(f"not saved at step {self.step}: {error}")
            self._ledger.write(
                "warning",
                step=self.step,
                seconds=began,
                source="loop",
                name="save",
                detail={"why": str(error)},
            )
        self._save_cost = max(self._save_cost, self._elapsed() - began)
        self._saved_at = self._elapsed()

    def _save_interval(self) -> float:
        """Saving may take a fiftieth of the time at most, unless every step is to be saved."""
        wanted = self.plan.save_seconds
        return wanted and max(wanted, self._save_cost / SAVE_SHARE)

    def _reading(self, elapsed_seconds: float) -> Reading:
        return Reading(
            step=self.step,
            progress=self._progress_at(elapsed_seconds),
            total_steps=self.plan.allowance.steps if self.plan.updater.is_even else None,
            values=dict(self.pace.values),
            earlier=self.pace.earlier,
            batch=self.plan.updater.replay.fresh,
            remembers=self._memory.works,
        )

    def _progress_at(self, elapsed_seconds: float) -> float:
        allowed = self.plan.allowance
        reserve = 0.0 if allowed.seconds is None else self.after_seconds()
        return allowed.progress(
            step=self.plan.updater.spent, elapsed_seconds=elapsed_seconds, reserve_seconds=reserve
        )

    def after_seconds(self) -> float:
        """What the last validation, the test and the last saves will take, as far as is known."""
        measuring = self._validation_cost * (1 + self.plan.test_validations)
        return 1.1 * (measuring + 2 * self._save_cost) + AFTERWARDS_SECONDS

    def _elapsed(self) -> float:
        return self._clock.now() - self._started

    def _score(self) -> str:
        if self.best.metrics is None:
            return ""
        name, value = next(iter(self.best.metrics.items()))
        return f" · best {name} {value:.4f}"

    def _decided(self, source: str, reading: Reading, steer: Steer) -> None:
        Decision.of(source, reading, steer).write(self._ledger, self._elapsed())

    def _cut_up(self, pieces: int) -> None:
        self._progress.warn(
            f"the memory is full: each batch is worked off in {pieces} pieces from here on; the"
            " effective batch stays as it is"
        )
        self._event("out_of_memory", {"pieces": pieces})

    def _event(self, name: str, detail: Mapping[str, Any]) -> None:
        self._ledger.write(
            "event",
            step=self.step,
            seconds=self._elapsed(),
            source="loop",
            name=name,
            detail=detail,
        )

    def state_dict(self) -> dict[str, Any]:
        """The loop's own counters."""
        return {
            "step": self.step,
            "elapsed_seconds": self._elapsed(),
            "validated_at": self._validated_at,
            "next_validation": self._next_validation,
            "record": self._record.state_dict(),
            "stopped": "" if self.stopped == "interrupted" else self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave; the clock goes on from there."""
        self.step = state["step"]
        self._started = self._clock.now() - state["elapsed_seconds"]
        self._validated_at = state["validated_at"]
        self._next_validation = state["next_validation"]
        self.stopped = state["stopped"]
        self._record.load_state_dict(state["record"])
