"""What a monitor is: it reads a step and changes nothing but its own memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from paceline.core.readings import Glimpse


class Monitor(ABC):
    """Reads numbers off each step; the names of the numbers carry their unit."""

    @abstractmethod
    def read(self, glimpse: Glimpse) -> dict[str, float]:
        """The numbers after this step; called once a step, in order."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
