"""Schedule-Free: averaging in place of a schedule."""

from __future__ import annotations

from typing import Any, final

from torch.optim import Optimizer

from paceline.controllers.base.wrapped import EXTRA, Wrapped, groups_of, is_adaptive, rising
from paceline.core.errors import SettingError
from paceline.core.extras import need
from paceline.core.readings import Reading, Steer

_MOMENTUM, _BETA2 = 0.9, 0.999


@final
class ScheduleFree(Wrapped):
    """Averages instead of decaying: the model is the running average x of the iterates z.

    The gradient is taken between the two, at y:

        y_t = (1 - β) z_t + β x_t,  z_{t+1} = z_t - γ g(y_t),  x_{t+1} = x_t + c (z_{t+1} - x_t).

    It needs no end to be known, and the model is good at every moment: in evaluation the
    parameters are x, in training y (``optimizer.eval()`` and ``optimizer.train()``, which
    the loop calls). The rate matters as much as without it. Adaptive optimizers become
    ``AdamWScheduleFree``, the others ``SGDScheduleFree``; betas, momentum, ``eps`` and
    weight decay are the optimizer's own. The statistics of batch norm belong to y.

    Args:
        learning_rate: The constant rate after the warm-up; the authors begin with 0.0025
            where it is adaptive and with 1 otherwise.
        warmup: Share of the budget in which the rate rises linearly, 0 to under 1; of a
            budget without end the first 100 steps.

    Reference: Defazio et al. 2024, "The Road Less Scheduled", equations 3 to 5; the
    package is ``schedulefree``.

    >>> ScheduleFree(0.5).decide(Reading(step=75, progress=0.75, total_steps=100)).learning_rate
    0.5
    """

    def __init__(self, learning_rate: float, *, warmup: float = 0.05) -> None:
        super().__init__(learning_rate, warmup=warmup)

    def decide(self, seen: Reading) -> Steer:
        rate = self.learning_rate * rising(seen, self.warmup)
        return Steer(learning_rate=rate, reason="Schedule-Free averages")

    def replacement(self, optimizer: Optimizer) -> Optimizer:
        package = need("schedulefree", extra=EXTRA, purpose="the controller schedule_free")
        if is_adaptive(optimizer):
            groups = groups_of(optimizer, self.learning_rate, "betas", "eps", "weight_decay")
            for group in groups:
                first, second = group.get("betas", (_MOMENTUM, _BETA2))[:2]
                group["betas"] = (_between(float(first)), float(second))
            new: Any = package.AdamWScheduleFree(groups, lr=self.learning_rate)
        else:
            groups = groups_of(optimizer, self.learning_rate, "momentum", "weight_decay")
            for group in groups:
                group["momentum"] = _between(float(group.get("momentum", _MOMENTUM)))
            new = package.SGDScheduleFree(groups, lr=self.learning_rate)
        new.train()
        made: Optimizer = new
        return made


def _between(momentum: float) -> float:
    """A place between z and x: the momentum, or the authors' own where there was none."""
    if not 0 <= momentum < 1:
        raise SettingError(f"schedule_free needs a momentum of 0 to under 1, got {momentum:g}")
    return momentum or _MOMENTUM
