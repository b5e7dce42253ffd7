"""What a monitor is: it reads a step and changes nothing but its own memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from paceline.core.readings import Glimpse


class Monitor(ABC):
    """Reads numbers off each step; the names of the numbers carry their unit.

    Attributes:
        together: Whether it can be shown several calm steps at once, by ``Glimpse.earlier``;
            where one of the monitors cannot, each step is shown by itself.
    """

    together: ClassVar[bool] = False

    @abstractmethod
    def read(self, glimpse: Glimpse) -> dict[str, float]:
        """The numbers after this step; called in order, and once a step unless ``together``."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
