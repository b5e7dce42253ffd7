"""What travels between monitors, controllers and the loop: small frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

NAN = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Glimpse:
    """A read-only view of one finished step, from the loop to the monitors.

    Attributes:
        step: Updates done so far, this one included.
        loss: Mean loss of the step's batch, before the update, in the task's unit; may be
            nan or inf.
        examples: Examples in the step's batch.
        elapsed_seconds: Since the run began, pauses between resumes left out.
        gradient_norm: Global L2 norm before clipping; nan where it was not computed.
        learning_rate: What the optimizer's first parameter group used.
        gradient_alignment: Cosine of the angle between this step's gradient and the one
            before, -1 to 1; nan where no controller needs it.
        gradient_product: Inner product of the two; nan where no controller needs it.
        earlier: Losses of the steps just before this one that were not shown yet, in order,
            all of them finite: in calm stretches several steps are shown together, the last
            one in full.
    """

    step: int
    loss: float
    examples: int
    elapsed_seconds: float
    gradient_norm: float
    learning_rate: float
    gradient_alignment: float = NAN
    gradient_product: float = NAN
    earlier: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is known before a decision, from the monitors to controllers and ledger.

    Attributes:
        step: Updates done so far.
        progress: Share of the budget that is spent, from 0 to 1; 0 where it has no end.
        total_steps: Steps in the whole budget, None where the budget is time or open.
        values: Plain floats by name, the unit in the name (``step_seconds``). The loop
            itself gives ``loss``, ``gradient_norm`` and ``learning_rate`` of the last step,
            ``skipped_steps`` (updates that were left out so far because something was not
            finite), ``scaler_skips`` (those that a gradient scaler left out), ``probing``
            (1 where the last step was a trial), ``restores`` (how often the run has gone
            back to a remembered state outside of trials), ``dead_layers`` and
            ``exploding_layers``, ``momentum`` (the coefficient of the optimizer's first
            moment), ``adaptive`` (1 where it divides by the gradient's size), ``state_bytes``
            (of one remembered state), and after a step that was to be measured
            ``parameter_norm`` (before it) and ``update_norm`` (of the change; nan after
            others).
        batch: Number of the next batch that was not seen before.
        replays: Whether a batch can be asked for again.
        remembers: Whether a state can be kept and restored.
        earlier: Losses of the steps just before the last one that were not told yet, in
            order, all of them finite: what comes of a steer that holds for several steps is
            told together.
    """

    step: int
    progress: float
    total_steps: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    batch: int = 0
    replays: bool = True
    remembers: bool = True
    earlier: tuple[float, ...] = ()

    @property
    def expected_steps(self) -> float | None:
        """Steps in the whole budget, as far as can be told; None where it has no end."""
        if self.total_steps is not None:
            return float(self.total_steps)
        return self.step / self.progress if self.progress > 0 and self.step > 0 else None


class Move(NamedTuple):
    """Something to do with a remembered state.

    ``keep`` remembers the present state under a name, ``restore`` brings one back,
    ``mend`` brings back only what is not finite now, ``forget`` frees the memory; ``revive``
    (whose name says nothing) starts dead layers anew.
    """

    verb: Literal["keep", "restore", "mend", "forget", "revive"]
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Steer:
    """What a controller wants of the loop; what is left out leaves things as they are.

    Attributes:
        learning_rate: For the first parameter group; the others keep their ratio to it.
        factor: What the learning rate of whoever sets it is multiplied by.
        batch: Number of the batch for the next step; None for one that was not seen.
        batch_size: Examples in one update.
        moves: To do before the next step, in this order.
        measure: How far the next step moves the parameters is to be measured.
        probing: The next step is a trial: it may be undone, and is no news of the run.
        stop: End the training here.
        reason: Why, in a few words; a new reason is a decision worth a ledger row.
        told: Facts for the other controllers: they stand in the readings from now on.
        holds: Steps, the next one among them, for which all of this stands while every loss
            is finite and at most ``alarm``; what comes of them is told together, in
            ``Reading.earlier``. At least 1. Moves, trials and the like hold for one step.
        rates: The learning rates of the steps after the next one, ``holds - 1`` of them;
            empty where they are all the same.
        alarm: A loss over this is told at once.
        beta2: Decay of the second moments, where the optimizer has them and was left its own
            0.999; None leaves it. It is given from the first step on, or not at all.
    """

    learning_rate: float | None = None
    factor: float = 1.0
    batch: int | None = None
    batch_size: int | None = None
    moves: tuple[Move, ...] = ()
    measure: bool = False
    probing: bool = False
    stop: bool = False
    reason: str = ""
    told: Mapping[str, float] = field(default_factory=dict)
    holds: int = 1
    rates: tuple[float, ...] = ()
    alarm: float = math.inf
    beta2: float | None = None
