"""Down when the validation loss stops falling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau as TorchReduceLROnPlateau

from paceline.controllers.base import Controller
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

_STATE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


@final
class ReduceOnPlateau(Controller):
    """Multiplies the rate by ``factor`` after ``patience`` validations without a new best.

    Hears ``validation_loss`` and ``validations`` (how many there were) in its readings.

    Args:
        learning_rate: At the start.
        factor: Over 0 and under 1.
        patience: Validations without improvement that are forgiven, at least 0.

    >>> plateau = ReduceOnPlateau(1.0, factor=0.1, patience=0)
    >>> for count, loss in enumerate([3.0, 2.0, 2.0], start=1):
    ...     heard = Reading(step=count, progress=0.0,
    ...         values={"validation_loss": loss, "validations": count})
    ...     plateau.learn(heard, plateau.decide(heard), heard)
    >>> plateau.decide(heard).learning_rate
    0.1
    """

    def __init__(self, learning_rate: float, *, factor: float = 0.3, patience: int = 2) -> None:
        super().__init__(learning_rate)
        if not 0 < factor < 1:
            raise SettingError(f"factor must be over 0 and under 1, got {factor:g}")
        if patience < 0:
            raise SettingError(f"patience must be at least 0, got {patience}")
        self.factor, self.patience = float(factor), patience
        self._optimizer = SGD([torch.zeros(1)], lr=self.learning_rate)
        self._scheduler = TorchReduceLROnPlateau(self._optimizer, factor=factor, patience=patience)
        self._heard = 0

    def decide(self, seen: Reading) -> Steer:
        rate = float(self._optimizer.param_groups[0]["lr"])
        reason = "as given" if rate == self.learning_rate else f"plateau: down to {rate:g}"
        return Steer(learning_rate=rate, reason=reason)

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        count = int(outcome.values.get("validations", 0))
        if count > self._heard:
            self._heard = count
            self._scheduler.step(outcome.values["validation_loss"])

    def state_dict(self) -> dict[str, Any]:
        inner = {name: getattr(self._scheduler, name) for name in _STATE}
        rate = self._optimizer.param_groups[0]["lr"]
        return {"heard": self._heard, "learning_rate": rate, "scheduler": inner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._heard = state["heard"]
        self._optimizer.param_groups[0]["lr"] = state["learning_rate"]
        for name in _STATE:
            setattr(self._scheduler, name, state["scheduler"][name])
