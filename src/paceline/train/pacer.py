"""The Pacer: the loop's controllers in a loop of the user's own."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paceline.controllers.base import Controller
from paceline.core import catalog
from paceline.core.clock import Clock, WallClock
from paceline.core.ledger import Ledger
from paceline.core.readings import Reading, Steer
from paceline.train import misuse
from paceline.train.averaging import TailAverage, measuring
from paceline.train.budget import Allowance
from paceline.train.decisions import Decision, explained
from paceline.train.layers import Layers
from paceline.train.loader import LoaderStream
from paceline.train.memory import Memory
from paceline.train.pace import Pace, built, glimpse_of, nature
from paceline.train.processes import everywhere
from paceline.train.rates import Rates
from paceline.train.replay import Replay
from paceline.train.shortcut import Shortcut
from paceline.train.stepping import Stepper, Update

Item = TypeVar("Item")
_HINT = 1e-3


@final
class Pacer:
    """Sets the learning rate of an optimizer in any loop, and mends what goes wrong.

    Give ``total_steps`` or ``deadline``; with neither the run has no end, and
    ``averaged()`` gives a model that is good at any moment.

    Args:
        optimizer: Any of ``torch.optim``, but LBFGS; its own learning rate is only a hint.
        total_steps: Updates in the whole run, trials among them.
        deadline: Seconds in the whole run, trials among them.
        modules: The model or models, so that buffers go back with the parameters, and dead
            layers are seen.
        controller: Sets the rate: a name of ``paceline parts controllers``, or one that is
            built.
        beside: Those that watch over it, by name or built.
        examples: In one update, for numbers that depend on it.
        average: Whether to average the weights; None: only where the run has no end.
        memory: Where states are remembered: ``device``, ``host``, ``disk``, ``off``; None
            chooses the first that has room.
        ledger: A file for decisions, for ``paceline why``; None keeps them in memory only.
        clock: Tells seconds.

    Attributes:
        optimizer: The one that is stepped; some controllers put another in its place.
        decisions: What was decided so far.
        step_count: Updates so far, trials among them.

    Raises:
        SettingError: Nothing is trainable, the budget is not positive, a part of the model
            cannot be copied, or the optimizer needs a closure.

    >>> model = nn.Linear(4, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    >>> pacer = Pacer(optimizer, total_steps=20, modules=[model], controller="linear")
    >>> for x in torch.ones(20, 8, 4):
    ...     optimizer.zero_grad()
    ...     loss = (model(x) - 1).square().mean()
    ...     loss.backward()
    ...     pacer.step(loss)
    >>> pacer.done, pacer.step_count
    (True, 20)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        total_steps: int | None = None,
        deadline: float | None = None,
        modules: Sequence[nn.Module] | nn.Module = (),
        controller: str | Controller = "probe",
        beside: Sequence[str | Controller] = ("guard",),
        examples: int = 1,
        average: bool | None = None,
        memory: str | None = None,
        ledger: Path | str | None = None,
        clock: Clock | None = None,
    ) -> None:
        misuse.refuse_budgets(total_steps, deadline)
        misuse.refuse_optimizers(optimizer)
        self._modules = [modules] if isinstance(modules, nn.Module) else list(modules)
        hint = float(optimizer.param_groups[0]["lr"])
        hint = hint if 0 < hint < math.inf else _HINT
        setter = built(controller, hint)
        self.optimizer = setter.wrap(optimizer)
        self._given = optimizer
        self._allowed = Allowance(steps=total_steps, seconds=deadline)
        endless = total_steps is None and deadline is None
        wanted = (endless or setter.averages) if average is None else average
        self._average = TailAverage(self.optimizer, self._modules) if wanted else None
        others = {"average": self._average} if self._average else {}
        self._memory = Memory(self._modules, self.optimizer, others, place=memory, warn=self._warn)
        self._pace = Pace(
            setter,
            [built(each, hint) for each in beside],
            [part() for _, part in catalog.parts("monitors")],
            self._memory,
            Layers(self._modules),
            self._decided,
        )
        self._pace.values.update(nature(self.optimizer))
        self._rates = Rates(self.optimizer)
        self._stepper = Stepper(self.optimizer, align=bool(self._pace.needs))
        self._replay: Replay[Any] | None = None
        self._replayed: Mapping[str, Any] | None = None
        self._clock = clock or WallClock()
        self._began = self._clock.now()
        self._examples, self._ledger = examples, None if ledger is None else Ledger(ledger)
        self._shortcut = Shortcut(self._pace, self._rates, self._stepper)
        self._decided_for, self._over = -1, False
        self._outcome: Reading | None = None
        self._fresh = 0
        self.decisions: list[Decision] = []
        self.step_count, self.stopped = 0, ""

    # --- in the loop

    def step(self, loss: Tensor, scaler: torch.amp.GradScaler | None = None) -> None:
        """One update: guards, sets the rate, steps the optimizer, and learns from the loss.

        Call it once an update, after ``loss.backward()``.

        Args:
            loss: Of this update, before it, unscaled: a tensor with one element.
            scaler: The gradient scaler, where there is one; it is stepped and updated here.
                A step that it skips is not counted.

        Raises:
            SettingError: The loss is no scalar, nothing has a gradient, or ``step`` was
                called twice for one loss.
            BudgetError: The budget is spent.
        """
        known = self._decided_for == self.step_count and not self._over
        if known and scaler is None and (update := self._shortcut.step(loss)) is not None:
            self._finish(update, probing=False)
            return
        steer = self._ready()
        self._refuse_misuse(loss)
        self._follow(steer)
        update = self._stepper.step(
            everywhere(loss), scaler, guards=self._pace.acts, measure=steer.measure
        )
        if update.scaler_skipped:
            self._pace.values["scaler_skips"] = self._pace.values.get("scaler_skips", 0.0) + 1
            self._pace.hurry()
            return
        if steer.stop:
            self.stopped = steer.reason or "controller"
        self._finish(update, probing=steer.probing)

    def batches(self, loader: Iterable[Item]) -> Iterator[Item]:
        """Batches of a loader, pass after pass, until the budget is spent.

        Trials are given the same batches again, so that rates are compared on equal
        terms.

        Args:
            loader: Read again from its start after each pass.
        """
        replay: Replay[Item] = Replay(LoaderStream(loader))
        if self._replayed is not None:
            replay.load_state_dict(self._replayed)
            self._replayed = None
        self._replay = replay
        begun = -1
        while not self.done:
            steer = self._ready()
            if begun != self.step_count:
                begun = self.step_count
                replay.begin(steer.batch, hold=steer.probing)
            try:
                _, item = replay.next()
            except StopIteration:
                return
            yield item

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or a controller has stopped the run."""
        return bool(self.stopped) or self._progress() >= 1

    @property
    def learning_rate(self) -> float:
        """Of the first parameter group."""
        return self._rates.now

    @property
    def batch_size(self) -> int | None:
        """Examples that a controller (``noise_scale``) would have in an update; None: as it is."""
        return self._ready().batch_size

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model as it is best measured or saved: its weights averaged where they are.

        Training goes on from its own weights after the block.
        """
        swapped = contextlib.nullcontext() if self._average is None else self._average.swapped()
        with measuring(self.optimizer), swapped:
            yield

    def validated(self, loss: float) -> None:
        """Tells a validation loss to those who listen for one; the best state is remembered."""
        values = self._pace.values
        if loss < values.get("best_validation_loss", math.inf):
            values["best_validation_loss"] = float(loss)
            self._memory.keep("best")
        values["validation_loss"] = float(loss)
        values["validations"] = values.get("validations", 0.0) + 1
        self._pace.hurry()

    def restore_best(self) -> None:
        """Goes back to the state of the best validation loss that was told."""
        self._memory.restore("best")

    def extend(self, *, total_steps: int | None = None, deadline: float | None = None) -> None:
        """Gives the run another budget, in all, and lets it go on."""
        misuse.refuse_budgets(total_steps, deadline)
        self._catch_up()
        self._outcome = None
        self._allowed = Allowance(steps=total_steps, seconds=deadline)
        self.stopped = ""
        self._decided_for = -1

    def watch(self) -> Pacer:
        """From here on it decides and writes down, and acts on nothing; gives itself."""
        self._catch_up()
        self._pace.acts = False
        return self

    def explain(self) -> str:
        """What was decided so far, a line for each decision."""
        return explained(self.decisions, "" if self._pace.acts else "would have: ")

    # --- state

    def state_dict(self) -> dict[str, Any]:
        """Everything of its own; the model's and the given optimizer's state are the user's.

        Holds numbers, lists, dictionaries and tensors.
        """
        replaced = self.optimizer is not self._given
        return {
            "pace": self._pace.state_dict(),
            "rates": self._rates.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "stepper": self._stepper.state_dict(),
            "replay": None if self._replay is None else self._replay.state_dict(),
            "optimizer": self.optimizer.state_dict() if replaced else None,
            "elapsed_seconds": self._elapsed(),
            "step_count": self.step_count,
            "fresh": self._fresh,
            "stopped": self.stopped,
            "decided_for": self._decided_for,
            "over": self._over,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave; load the model and the optimizer too."""
        self._began = self._clock.now() - state["elapsed_seconds"]
        self.step_count, self._fresh = state["step_count"], state["fresh"]
        self.stopped, self._over = state["stopped"], state["over"]
        self._decided_for = state["decided_for"]
        self._pace.load_state_dict(state["pace"])
        self._rates.load_state_dict(state["rates"])
        self._stepper.load_state_dict(state["stepper"])
        if self._average is not None and state["average"] is not None:
            self._average.load_state_dict(state["average"])
        if state["optimizer"] is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self._replayed = state["replay"]
        if self._decided_for == self.step_count:
            self._pace.recall(self._reading())

    # --- within

    def _finish(self, update: Update, *, probing: bool) -> None:
        """Counts a step, tells of it now or later, and makes the next one ready."""
        self.step_count += 1
        self._fresh = self._fresh + 1 if self._replay is None else self._replay.fresh
        if self._average is not None and not probing:
            self._average.follow(self.step_count)
        if not self._pace.calmly(update):
            self._learn(update)
            self._ready()
            return
        self._decided_for, rate = self.step_count, self._pace.rate
        if rate is not None:
            self._rates.set(rate)
        self._over = self._allowed.seconds is not None and self.done

    def _ready(self) -> Steer:
        """What to do in the next step, decided once; remembered states come and go here."""
        if self._decided_for != self.step_count:
            self._decided_for, self._over = self.step_count, self.done
            steer = self._pace.decide(self._known())
            if steer.learning_rate is not None:
                self._rates.set(steer.learning_rate)
            elif steer.factor != 1.0:
                self._rates.scale(steer.factor)
            if steer.beta2 is not None:
                self._rates.remember(steer.beta2)
        return self._pace.steer

    def _known(self) -> Reading:
        """The reading that was learnt from last, while nothing is newer."""
        self._shortcut.look_round()
        outcome, self._outcome = self._outcome, None
        return self._reading() if outcome is None else outcome

    def _reading(self) -> Reading:
        return Reading(
            step=self.step_count,
            progress=self._progress(),
            total_steps=self._allowed.steps,
            values=dict(self._pace.values),
            batch=self._fresh if self._replay is None else self._replay.fresh,
            replays=self._replay is not None,
            remembers=self._memory.works,
            earlier=self._pace.earlier,
        )

    def _progress(self) -> float:
        if self._allowed.steps is None and self._allowed.seconds is None:
            return 0.0
        return self._allowed.progress(
            step=self.step_count, elapsed_seconds=self._elapsed(), reserve_seconds=0.0
        )

    def _elapsed(self) -> float:
        return self._clock.now() - self._began

    def _follow(self, steer: Steer) -> None:
        rate = self._rates.follow()
        if rate is not None and self._pace.acts:
            self._warn(
                f"the learning rate was changed to {rate:g} by someone else at step"
                f" {self.step_count}: followed; let the pacer alone set it"
            )

    def _catch_up(self) -> None:
        """What was not told yet is told now, and the next step decided anew."""
        update = self._pace.catch_up()
        if update is not None:
            self._learn(update)
            self._decided_for, self._outcome = -1, None

    def _learn(self, update: Update) -> None:
        self._pace.read(
            glimpse_of(
                update,
                step=self.step_count,
                examples=self._examples,
                elapsed_seconds=self._elapsed(),
                learning_rate=self._rates.now,
                earlier=self._pace.earlier,
            ),
            update,
        )
        self._outcome = self._reading()
        self._pace.learn(self._outcome)

    def _decided(self, source: str, reading: Reading, steer: Steer) -> None:
        decision = Decision.of(source, reading, steer)
        self.decisions.append(decision)
        if self._ledger is not None:
            decision.write(self._ledger, self._elapsed())
            self._ledger.flush()

    def _refuse_misuse(self, loss: Tensor) -> None:
        if self._over:
            misuse.refuse_steps_after_the_end(self.stopped, self.step_count)
        if self._shortcut.is_last(loss):
            misuse.refuse_the_same_loss()
        misuse.refuse_losses(loss, self.optimizer)
        self._shortcut.remember(loss)

    def _warn(self, line: str) -> None:
        warnings.warn(line, UserWarning, stacklevel=3)
