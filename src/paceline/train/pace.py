"""Asks the controllers before a step, does what they say, and lets them learn after it.

In calm stretches they are asked once for several steps: each call would find the processor's
caches full of the model, and cost more than all that it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from torch.optim import Optimizer

from paceline.controllers.base import Controller
from paceline.controllers.base.wrapped import is_adaptive
from paceline.core import catalog
from paceline.core.readings import Glimpse, Move, Reading, Steer
from paceline.monitors.base import Monitor
from paceline.train.layers import Layers
from paceline.train.memory import Memory
from paceline.train.stepping import Update

Tell = Callable[[str, Reading, Steer], None]
MOST_TOGETHER = 16
LAYERS_EVERY = ((200, 10), (400, 50))  # until so many steps are done: layers die early
LAYERS_LATER_EVERY, SIZES_EVERY = 200, 50
_EARLY_STEPS = (3, 6, 9, 12)


@final
class Pace:
    """The controllers of one optimizer: one that sets the rate, others beside it.

    Args:
        setter: Sets the learning rate.
        beside: Watch over it: they multiply the rate, go back, stop.
        monitors: Read every step that is no trial.
        memory: Where states are kept.
        layers: Looks after the model's layers.
        tell: Told each decision that has a new reason: who, on what reading, and what.

    Attributes:
        values: What is known after the last step.
        steer: What was decided for the next step.
        acts: Whether decisions are acted upon, or only told.
        left: Steps that the decision stands for besides the next one.
        alarm: It does not stand after a loss over this.
    """

    def __init__(
        self,
        setter: Controller,
        beside: Sequence[Controller],
        monitors: Sequence[Monitor],
        memory: Memory,
        layers: Layers,
        tell: Tell,
    ) -> None:
        self._controllers = [setter, *beside]
        self._monitors, self._memory, self._layers, self._tell = monitors, memory, layers, tell
        self._seen: list[Reading] = []
        self._chosen: list[Steer] = []
        self._reasons = [""] * len(self._controllers)
        self._ordinary = 0
        self._together = all(getattr(each, "together", False) for each in monitors)
        self._begun: tuple[int, float, int] = (0, 0.0, 0)  # step, progress, batch
        self._losses: list[float] = []  # of steps that are done, and were not told
        self._norm = math.nan
        self.left, self.alarm = 0, math.inf
        self.values: dict[str, float] = {}
        self.steer = Steer()
        self.acts = True

    @property
    def needs(self) -> frozenset[str]:
        """Numbers that some controller asks for."""
        return frozenset().union(*(each.needs for each in self._controllers))

    @property
    def goes_on(self) -> bool:
        """Whether the last decision stands for the next step: ``go_on``, not ``decide``."""
        return bool(self._losses)

    def go_on(self) -> Steer:
        """What to do in the next step of those that the last decision is for."""
        rate = self.rate
        if rate != self.steer.learning_rate:
            self.steer = replace(self.steer, learning_rate=rate)
        return self.steer

    @property
    def earlier(self) -> tuple[float, ...]:
        """Losses of steps that are done, and were not told."""
        return tuple(self._losses)

    def hurry(self) -> None:
        """The decision stands for the next step, but for none after it."""
        self.left = 0

    def decide(self, reading: Reading) -> Steer:
        """What to do in the next step; remembered states are kept and restored here."""
        self.recall(reading)
        self._notice(reading)
        if not self.acts:
            self.steer = Steer()
            self.left = 0
            return self.steer
        for move in self.steer.moves:
            self._do(move)
        self.values.update(self.steer.told)
        return self.steer

    def recall(self, reading: Reading) -> None:
        """Decides once more what was decided before a save; tells and does nothing."""
        if self._losses:  # in the midst of steps that were decided together
            step, progress, batch = self._begun
            reading = replace(reading, step=step, progress=progress, batch=batch)
        alone = reading if self.acts else replace(reading, remembers=False)
        self._seen = [
            each.observe(reading if at else alone) for at, each in enumerate(self._controllers)
        ]
        self._chosen = [
            each.decide(seen) for each, seen in zip(self._controllers, self._seen, strict=True)
        ]
        self.steer = merged(self._chosen)
        self._begun = reading.step, reading.progress, reading.batch
        self.alarm = self.steer.alarm
        if self._losses:
            self.go_on()
        else:
            self.left = self._most(reading) - 1

    def _most(self, reading: Reading) -> int:
        """Steps that may be decided together: never over the end, nor over a layer's check."""
        if not self._together:
            return 1
        left = MOST_TOGETHER if reading.total_steps is None else reading.total_steps - reading.step
        known = len(self.steer.rates) + 1 if self.steer.rates else MOST_TOGETHER
        return max(1, min(self.steer.holds, known, MOST_TOGETHER, left, self._until_layers()))

    def _until_layers(self) -> int:
        done = self._ordinary
        if done < _EARLY_STEPS[-1]:
            return 1
        every = next((each for until, each in LAYERS_EVERY if done < until), LAYERS_LATER_EVERY)
        return every - done % every

    def calmly(self, update: Update) -> bool:
        """Takes in a step to tell of it later, where it can wait; ``read`` tells of it now."""
        if self.left <= 0 or update.skipped or not update.loss <= self.alarm:
            return False
        self._losses.append(update.loss)
        self._norm = update.gradient_norm
        self.left -= 1
        return True

    @property
    def rate(self) -> float | None:
        """The learning rate of the next of the steps that were decided together."""
        rates = self.steer.rates
        return rates[len(self._losses) - 1] if rates else self.steer.learning_rate

    def catch_up(self) -> Update | None:
        """The last step that was taken in, to tell of it now; None where all is told."""
        if not self._losses:
            return None
        return Update(loss=self._losses.pop(), gradient_norm=self._norm)

    def read(self, glimpse: Glimpse, update: Update) -> None:
        """Takes in what came of the last step: its numbers stand in ``values``."""
        values, probing = self.values, self.steer.probing
        values["loss"], values["gradient_norm"] = glimpse.loss, glimpse.gradient_norm
        values["learning_rate"] = glimpse.learning_rate
        values["gradient_alignment"] = glimpse.gradient_alignment
        values["skipped_steps"] = values.get("skipped_steps", 0.0) + update.skipped
        values["probing"] = float(probing)
        values["parameter_norm"], values["update_norm"] = update.motion
        if probing:
            return
        for monitor in self._monitors:
            values.update(monitor.read(glimpse))
        due = self._until_layers() <= len(self._losses) + 1
        self._ordinary += len(self._losses) + 1
        if self._ordinary in _EARLY_STEPS or (due and self._ordinary > _EARLY_STEPS[-1]):
            values["dead_layers"] = float(len(self._layers.dead()))
            if self._ordinary <= _EARLY_STEPS[-1] or self._ordinary % SIZES_EVERY == 0:
                values["exploding_layers"] = float(len(self._layers.exploding()))

    def learn(self, outcome: Reading) -> None:
        """Lets each controller learn what came of its choice."""
        self._losses = []
        for each, seen, chosen in zip(self._controllers, self._seen, self._chosen, strict=True):
            each.learn(seen, chosen, outcome)

    def _do(self, move: Move) -> None:
        if move.verb == "keep":
            self._memory.keep(move.name)
            self.values["state_bytes"] = float(self._memory.kept_bytes(move.name))
        elif move.verb == "restore":
            self._memory.restore(move.name, chance=self.steer.probing)
            if not (self.steer.probing or self.values.get("probing")):
                self.values["restores"] = self.values.get("restores", 0.0) + 1
        elif move.verb == "mend":
            self._memory.mend(move.name)
        elif move.verb == "forget":
            self._memory.forget(move.name)
        else:
            self._layers.revive(self._layers.dead())
            self.values["dead_layers"] = 0.0

    def _notice(self, reading: Reading) -> None:
        for at, (each, steer) in enumerate(zip(self._controllers, self._chosen, strict=True)):
            if steer.reason != self._reasons[at]:
                self._reasons[at] = steer.reason
                if steer.reason:
                    self._tell(type(each).__name__, reading, steer)

    def state_dict(self) -> dict[str, Any]:
        """Of controllers, monitors and the memory, and what was decided last."""
        return {
            "controllers": [each.state_dict() for each in self._controllers],
            "monitors": [each.state_dict() for each in self._monitors],
            "memory": self._memory.state_dict(),
            "layers": self._layers.state_dict(),
            "values": dict(self.values),
            "reasons": list(self._reasons),
            "probing": self.steer.probing,
            "ordinary": self._ordinary,
            "begun": list(self._begun),
            "losses": list(self._losses),
            "left": self.left,
            "norm": self._norm,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        for each, kept in zip(self._controllers, state["controllers"], strict=True):
            each.load_state_dict(kept)
        for monitor, kept in zip(self._monitors, state["monitors"], strict=True):
            monitor.load_state_dict(kept)
        self._memory.load_state_dict(state["memory"])
        self._layers.load_state_dict(state["layers"])
        self.values, self._reasons = dict(state["values"]), list(state["reasons"])
        self.steer, self._ordinary = Steer(probing=state["probing"]), state["ordinary"]
        step, progress, batch = state["begun"]
        self._begun, self._losses = (step, progress, batch), list(state["losses"])
        self.left, self._norm = state["left"], state["norm"]


def merged(steers: Sequence[Steer]) -> Steer:
    """One steer of the one who sets the rate, first, and those beside it.

    What those beside it want done with remembered states comes first, so that a trial
    begins from the state that they chose.

    >>> merged([Steer(learning_rate=0.4, reason="linear"), Steer(factor=0.5)]).learning_rate
    0.2
    """
    setter, beside = steers[0], steers[1:]
    rate = setter.learning_rate
    factor = math.prod((each.factor for each in beside), start=setter.factor)
    told: dict[str, float] = {}
    for each in steers:
        told.update(each.told)
    sizes = [each.batch_size for each in steers if each.batch_size is not None]
    stopping = [each.reason for each in steers if each.stop]
    moves = tuple(move for each in [*beside, setter] for move in each.moves)
    measure, batch = any(each.measure for each in steers), setter.batch
    singly = moves or measure or stopping or sizes or setter.probing or batch is not None
    return Steer(
        learning_rate=None if rate is None else rate * factor,
        factor=factor,
        batch=batch,
        measure=measure,
        batch_size=sizes[0] if sizes else None,
        moves=moves,
        probing=setter.probing,
        stop=bool(stopping),
        reason=stopping[0] if stopping else setter.reason,
        told=told,
        holds=1 if singly else min(each.holds for each in steers),
        rates=tuple(rate * factor for rate in setter.rates),
        alarm=min(each.alarm for each in steers),
        beta2=setter.beta2,
    )


def glimpse_of(
    update: Update,
    *,
    step: int,
    examples: int,
    elapsed_seconds: float,
    learning_rate: float,
    earlier: tuple[float, ...] = (),
) -> Glimpse:
    """What the monitors see of an update."""
    return Glimpse(
        step=step,
        loss=update.loss,
        examples=examples,
        elapsed_seconds=elapsed_seconds,
        gradient_norm=update.gradient_norm,
        learning_rate=learning_rate,
        gradient_alignment=update.alignment[0],
        gradient_product=update.alignment[1],
        earlier=earlier,
    )


def built(wanted: str | Controller, hint: float) -> Controller:
    """A controller by its name, at a learning rate; one that is built is given back."""
    if isinstance(wanted, Controller):
        return wanted
    made: Controller = catalog.find("controllers", wanted)(hint)
    return made


def nature(optimizer: Optimizer) -> dict[str, float]:
    """What controllers know of an optimizer: ``adaptive`` and ``momentum``.

    >>> import torch
    >>> nature(torch.optim.Adam([torch.zeros(1, requires_grad=True)]))
    {'adaptive': 1.0, 'momentum': 0.9}
    """
    group = optimizer.param_groups[0]
    betas = group.get("betas")
    first = group.get("momentum", 0.0) if betas is None else betas[0]
    return {"adaptive": float(is_adaptive(optimizer)), "momentum": float(first or 0.0)}
