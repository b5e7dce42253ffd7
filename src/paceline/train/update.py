"""One update of the weights: gradients, clip, step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import torch
from torch.optim import Optimizer

from paceline.core.errors import AgentsLost
from paceline.core.readings import Steer
from paceline.data.base.batches import Feed
from paceline.data.base.source import Batch
from paceline.train.alone import Work
from paceline.train.rates import Rates
from paceline.train.replay import Replay
from paceline.train.stepping import Stepper, Update


@final
class Updater:
    """Does one update at a time; the only place that writes weights and learning rates.

    Args:
        work: Computes gradients.
        optimizer: Over the trained parameters; its groups keep the ratios of their learning
            rates.
        feed: Where batches come from.
        scaler: Of the loss; disabled unless the precision needs it.
        accumulate: Micro-batches in an update; their mean is what is stepped on.
        clip: Largest global L2 norm of the gradient, or None.
        align: Whether each gradient is compared with the one before.

    Attributes:
        spent: Of a budget of steps: an update on twice the batch counts twice.
    """

    def __init__(
        self,
        *,
        work: Work,
        optimizer: Optimizer,
        feed: Feed,
        scaler: torch.amp.GradScaler,
        accumulate: int,
        clip: float | None,
        align: bool = False,
    ) -> None:
        self.work, self.optimizer, self.rates = work, optimizer, Rates(optimizer)
        self.accumulate, self.replay = accumulate, Replay[Batch](feed)
        self.spent, self._given = 0.0, accumulate
        self.scaler, self._batch_size = scaler, feed.batch_size
        self._stepper = Stepper(optimizer, align=align, clip=clip)

    @property
    def examples(self) -> int:
        """In one update."""
        return self._batch_size * self.accumulate * self.work.interval

    @property
    def pieces(self) -> int:
        """Parts into which a micro-batch is cut for want of memory."""
        return self.work.pieces

    @property
    def is_even(self) -> bool:
        """Whether the batch was never changed, so that steps can be foretold."""
        even = not self.work.varies and self.accumulate == self._given
        return even and self.spent == int(self.spent)

    def update(self, steer: Steer, *, calm: bool = False) -> Update:
        """One update, on the batches and at the rate that were decided.

        Args:
            steer: What was decided.
            calm: Whether it is one of several steps that were decided together: then less is
                measured.

        Raises:
            AgentsLost: Too few agents are left; everything stands as before the update.
        """
        if steer.learning_rate is not None:
            self.rates.set(steer.learning_rate)
        elif steer.factor != 1.0:
            self.rates.scale(steer.factor)
        if steer.beta2 is not None:
            self.rates.remember(steer.beta2)
        if steer.batch_size is not None:
            self.accumulate = max(1, round(steer.batch_size / self._batch_size))
        before = self.replay.state_dict() if self.work.may_fail else {}
        self.replay.begin(steer.batch, hold=steer.probing)
        try:
            loss = self.work.gradient(
                self.replay.next, self.accumulate, self.scaler, trial=steer.probing
            )
        except AgentsLost:
            self.replay.load_state_dict(before)
            raise
        self.spent += self.work.interval * self.accumulate / self._given
        if calm and not self.scaler.is_enabled() and math.isfinite(loss):
            norm = self._stepper.pass_by()
            if norm is not None:
                return Update(loss=loss, gradient_norm=norm)
        return self._stepper.step(loss, self.scaler, measure=steer.measure)

    def state_dict(self) -> dict[str, Any]:
        """Of the optimizer, the scaler, the batches, the rates and whoever does the work."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "replay": self.replay.state_dict(),
            "rates": self.rates.state_dict(),
            "accumulate": self.accumulate,
            "spent": self.spent,
            "work": self.work.state_dict(),
            "stepper": self._stepper.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.replay.load_state_dict(state["replay"])
        self.rates.load_state_dict(state["rates"])
        self.accumulate, self.spent = state["accumulate"], state["spent"]
        self.work.load_state_dict(state["work"])
        self._stepper.load_state_dict(state["stepper"])
