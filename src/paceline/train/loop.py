"""The one loop: read, decide, update, and now and then validate and save."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from torch import Tensor, nn

from paceline.controllers.base import Controller
from paceline.core.clock import Clock
from paceline.core.errors import StorageError
from paceline.core.ledger import Ledger
from paceline.core.progress import Progress
from paceline.core.readings import Glimpse, Reading, Steer
from paceline.monitors.base import Monitor
from paceline.train.budget import Allowance
from paceline.train.judge import Average, Best, Measure
from paceline.train.transaction import RandomStates, Transaction, Vault
from paceline.train.update import Updater

LAG_STEPS = 8
RECORDS = 300
TELL_EVERY = 16
AFTERWARDS_SECONDS = 0.3
VALIDATION_SHARE = 0.1
SAVE_SHARE = 0.02
NAN = float("nan")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that the loop works with.

    Attributes:
        model: Whose weights are learnt.
        updater: Does one update.
        controller: Sets the learning rate before each.
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
        self._record = _Recorder(ledger)
        self._losses: deque[Tensor] = deque()
        self._lag = 0 if next(plan.model.parameters()).device.type == "cpu" else LAG_STEPS
        self._reason = ""
        self._reading = self._read({}, self._elapsed())
        members: dict[str, Any] = {
            "model": plan.model,
            "updater": plan.updater,
            "controller": plan.controller,
            "best": self.best,
            "random": RandomStates(),
            "loop": self,
            **{f"monitor-{at}": monitor for at, monitor in enumerate(plan.monitors)},
        }
        if plan.average is not None:
            members["average"] = plan.average
        self.transaction = Transaction(**members)

    def resume(self) -> bool:
        """Goes back to the last good transaction on disk, if there is one."""
        snapshot, trouble = self._vault.read()
        for line in trouble:
            self._progress.warn(f"{line}; the one before it is used")
        if snapshot is None:
            return False
        self.transaction.restore(snapshot)
        self._ledger.rewind(self._record.cursor)
        self._event("resumed", {"from_step": self.step})
        return True

    def run(self) -> str:
        """Trains until the allowance is spent, a controller stops or Ctrl-C; says which."""
        with _interruptible() as interrupted:
            self.plan.model.train()
            while not self.stopped:
                self._one_step()
                self._between_steps(bool(interrupted))
        return self.stopped

    def _one_step(self) -> None:
        plan, reading = self.plan, self._reading
        seen = plan.controller.observe(reading)
        steer = plan.controller.decide(seen)
        if steer.learning_rate is not None:
            plan.updater.learning_rate = steer.learning_rate
        if steer.reason != self._reason:
            self._decided(reading, steer)
        loss, norm = plan.updater.update()
        self.step += 1
        glimpse = Glimpse(
            step=self.step,
            loss=self._lagged(loss),
            examples=plan.updater.examples,
            elapsed_seconds=self._elapsed(),
            gradient_norm=NAN if norm is None else float(norm),
            learning_rate=plan.updater.learning_rate,
        )
        if plan.average is not None:
            plan.average.follow(self.step)
        values = dict(reading.values)
        for monitor in plan.monitors:
            values.update(monitor.read(glimpse))
        self._reading = self._read(values, glimpse.elapsed_seconds)
        plan.controller.learn(seen, steer, self._reading)
        self._record.take(glimpse, values, self._reading.progress)
        if steer.stop:
            self.stopped = steer.reason or "controller"

    def _between_steps(self, interrupted: bool) -> None:
        done = self._reading.progress
        if done >= 1 and not self.stopped:
            self.stopped = "budget"
        if interrupted:
            self.stopped = "interrupted"
        if not interrupted and (self.stopped or self._validation_is_due(done)):
            self._next_validation = int(done * self.plan.validations) + 1
            self._validate()
        if self.stopped or self._elapsed() - self._saved_at >= self._save_interval():
            self.save()
        if self.step % TELL_EVERY == 0 or self.stopped:
            loss = self._reading.values.get("loss_smooth", NAN)
            note = f"step {self.step} · loss {loss:.4f}{self._score()}"
            self._progress.advance("training", done, note)

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
        metrics = plan.validate(model)
        plan.model.train()
        self._validated_at = self.step
        count = self._reading.values.get("validations", 0) + 1
        heard = {"validation_loss": metrics["loss"], "validations": count}
        self._reading = replace(self._reading, values={**self._reading.values, **heard})
        for name, value in metrics.items():
            self._record.row("validation", name, value, self.step, self._elapsed())
        self.best.offer(model, metrics, plan.measure, self.step)
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

    def _read(self, values: Mapping[str, float], elapsed_seconds: float) -> Reading:
        allowed = self.plan.allowance
        reserve = 0.0 if allowed.seconds is None else self.after_seconds()
        return Reading(
            step=self.step,
            progress=allowed.progress(
                step=self.step, elapsed_seconds=elapsed_seconds, reserve_seconds=reserve
            ),
            total_steps=allowed.steps,
            values=values,
        )

    def after_seconds(self) -> float:
        """What the last validation, the test and the last saves will take, as far as is known."""
        measuring = self._validation_cost * (1 + self.plan.test_validations)
        return 1.1 * (measuring + 2 * self._save_cost) + AFTERWARDS_SECONDS

    def _lagged(self, loss: Tensor) -> float:
        """The loss as a float; on accelerators that of some steps ago, so as not to wait."""
        self._losses.append(loss)
        return float(self._losses.popleft() if len(self._losses) > self._lag else self._losses[0])

    def _elapsed(self) -> float:
        return self._clock.now() - self._started

    def _score(self) -> str:
        if self.best.metrics is None:
            return ""
        name, value = next(iter(self.best.metrics.items()))
        return f" · best {name} {value:.4f}"

    def _decided(self, reading: Reading, steer: Steer) -> None:
        self._reason = steer.reason
        names = ("loss", "loss_smooth", "loss_trend", "validation_loss")
        self._ledger.write(
            "decision",
            step=self.step,
            seconds=self._elapsed(),
            source=type(self.plan.controller).__name__,
            name="learning_rate",
            value=steer.learning_rate,
            detail={
                "chosen": steer.learning_rate,
                "reason": steer.reason,
                "seen": {name: reading.values[name] for name in names if name in reading.values}
                | {"progress": reading.progress},
            },
        )

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
            "values": dict(self._reading.values),
            "validated_at": self._validated_at,
            "next_validation": self._next_validation,
            "reason": self._reason,
            "record": self._record.state_dict(),
            "stopped": "" if self.stopped == "interrupted" else self.stopped,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave; the clock goes on from there."""
        self.step = state["step"]
        self._started = self._clock.now() - state["elapsed_seconds"]
        self._validated_at = state["validated_at"]
        self._next_validation = state["next_validation"]
        self._reason, self.stopped = state["reason"], state["stopped"]
        self._record.load_state_dict(state["record"])
        self._losses.clear()
        self._reading = self._read(dict(state["values"]), state["elapsed_seconds"])


@final
class _Recorder:
    """Puts the means of some hundred stretches of a run into the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.cursor = ledger.cursor()
        self._next = 0.0
        self._sum, self._count = 0.0, 0

    def take(self, glimpse: Glimpse, values: Mapping[str, float], done: float) -> None:
        """Takes in a step; writes a row for each number when a stretch is full."""
        self._sum += glimpse.loss
        self._count += 1
        if done < self._next and math.isfinite(glimpse.loss):
            return
        self._next = done + 1 / RECORDS
        now = glimpse.elapsed_seconds
        self.row("loop", "loss", self._sum / self._count, glimpse.step, now)
        self.row("loop", "learning_rate", glimpse.learning_rate, glimpse.step, now)
        if glimpse.gradient_norm == glimpse.gradient_norm:
            self.row("loop", "gradient_norm", glimpse.gradient_norm, glimpse.step, now)
        for name in ("step_seconds", "examples_per_second"):
            if name in values:
                self.row("loop", name, values[name], glimpse.step, now)
        self._sum, self._count = 0.0, 0

    def row(self, source: str, name: str, value: float, step: int, seconds: float) -> None:
        """One reading."""
        self._ledger.write(
            "reading", step=step, seconds=seconds, source=source, name=name, value=value
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "cursor": self.cursor,
            "next": self._next,
            "sum": self._sum,
            "count": self._count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.cursor, self._next = state["cursor"], state["next"]
        self._sum, self._count = state["sum"], state["count"]


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Turns the first Ctrl-C or SIGTERM into a wish; the second one is obeyed at once."""
    wishes: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield wishes
        return

    def wish(number: int, frame: Any) -> None:
        if wishes:
            raise KeyboardInterrupt
        wishes.append(number)

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
