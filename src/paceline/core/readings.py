"""What travels between monitors, controllers and the loop: small frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Glimpse:
    """A read-only view of one finished step, from the loop to the monitors.

    Attributes:
        step: Updates done so far, this one included.
        loss: Mean loss of the step's batch, in the task's unit; may be nan or inf.
        examples: Examples in the step's batch.
        elapsed_seconds: Since the run began, pauses between resumes left out.
        gradient_norm: Global L2 norm before clipping; nan where it was not computed.
        learning_rate: What the optimizer's first parameter group used.
    """

    step: int
    loss: float
    examples: int
    elapsed_seconds: float
    gradient_norm: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is known before a decision, from the monitors to controllers and ledger.

    Attributes:
        step: Updates done so far.
        progress: Share of the budget that is spent, from 0 to 1.
        total_steps: Steps in the whole budget, None where the budget is time.
        values: Plain floats by name, the unit in the name (``step_seconds``).
    """

    step: int
    progress: float
    total_steps: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steer:
    """What a controller wants of the loop; None and False leave things as they are.

    Attributes:
        learning_rate: For the first parameter group; the others keep their ratio to it.
        batch_size: Examples in one update.
        rollback: Go back to the last good transaction.
        stop: End the training here.
        reason: Why, in a few words; a new reason is a decision worth a ledger row.
    """

    learning_rate: float | None = None
    batch_size: int | None = None
    rollback: bool = False
    stop: bool = False
    reason: str = ""
