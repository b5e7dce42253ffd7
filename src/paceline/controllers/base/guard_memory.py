"""What a guard remembers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, final

from paceline.controllers.base.loss_watch import LossWatch
from paceline.controllers.base.skips import Skips
from paceline.controllers.base.stall import Stall

SLOTS = ("good", "good too")  # the old state stays until the new one is seen to be good
_INNER: dict[str, Any] = {"watch": LossWatch, "skips": Skips, "stall": Stall}


@final
@dataclass(kw_only=True, slots=True)
class GuardMemory:
    """All that a guard remembers; its fields are values that JSON keeps.

    >>> memory = GuardMemory()
    >>> memory.keep
    ['keep', 'good too']
    >>> memory.kept(step=7, loss=0.5)
    >>> memory.restore, memory.kept_at
    (['restore', 'good too'], 7)
    """

    watch: LossWatch = field(default_factory=LossWatch)
    slot: int = 0  # where the good state is
    kept_at: int = -1  # its step, -1 where there is none
    kept_loss: float = 0.0  # the average loss there
    older_at: int = -1  # the same of the state before it, in the other slot
    older_loss: float = 0.0
    factor: float = 1.0
    before: float = 1.0  # the factor before the last cut
    level: float = 0.0  # over this the state that is looked at is not good on new data
    looking: list[float] | None = None  # losses since a roll-back, while it is judged
    fires: int = 0
    broken: int = 0  # steps in a row that were not finite
    sound: int = 0  # finite steps in a row
    failed: int = 0  # roll-backs in a row that brought no finite steps
    skips: Skips = field(default_factory=Skips)
    restores: int = 0
    probed: bool = False
    shifts: int = 0
    shifted_at: float = 0.0
    changed: int = -1  # step at which the data changed, -1 where no way back is open
    old_loss: float = 0.0  # the average before
    looks: int = 0  # how often the state before was tried since
    trying_old: bool = False
    stall: Stall = field(default_factory=Stall)
    revivals: int = 0
    revived_at: int = -1
    asked: list[list[str]] = field(default_factory=list)  # moves of the next decision
    over: bool = False  # given up
    reason: str = "watches the loss"

    @property
    def keep(self) -> list[str]:
        """The move that keeps the present state, beside the good one."""
        return ["keep", SLOTS[1 - self.slot]]

    @property
    def restore(self) -> list[str]:
        """The move that goes back to the good state."""
        return ["restore", SLOTS[self.slot]]

    @property
    def mend(self) -> list[str]:
        """The move that takes from the good state what is not finite in the present one."""
        return ["mend", SLOTS[self.slot]]

    def kept(self, *, step: int, loss: float) -> None:
        """What was kept last is the good state now."""
        self.older_at, self.older_loss = self.kept_at, self.kept_loss
        self.slot, self.kept_at, self.kept_loss = 1 - self.slot, step, loss

    def fall_back(self) -> bool:
        """Makes the state before the good one the good one; whether there is one."""
        if self.older_at < 0:
            return False
        self.slot, self.kept_at, self.kept_loss = 1 - self.slot, self.older_at, self.older_loss
        self.older_at = -1
        return True

    def state_dict(self) -> dict[str, Any]:
        """The whole of it."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """What ``state_dict`` gave."""
        copied = copy.deepcopy(dict(state))
        return cls(**copied | {name: kind(**copied[name]) for name, kind in _INNER.items()})
