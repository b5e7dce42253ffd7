"""What the agents of a team did with their time, summed up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from paceline.agents.lanes import Lane, summary


@final
class Accounts:
    """Sums over all steps of what each agent computed, waited and communicated.

    Attributes:
        lanes: How each spent the last step.
        saved_seconds: What a policy that was only watched would have saved.

    >>> accounts = Accounts()
    >>> accounts.take({1: 3.0, 2: 1.0, 3: math.nan}, {1: 8, 2: 8}, communication=1.0)
    >>> accounts.summary()["2"]
    {'compute': 0.25, 'wait': 0.5, 'communicate': 0.25}
    """

    def __init__(self) -> None:
        self.lanes: tuple[Lane, ...] = ()
        self.saved_seconds = 0.0
        self._spent: dict[int, list[float]] = {}

    def take(
        self, seconds: Mapping[int, float], shares: Mapping[int, int], *, communication: float
    ) -> None:
        """Takes in a step.

        Args:
            seconds: What each computed, nan for those that are away.
            shares: Their rows.
            communication: Seconds that the step took beside the slowest.
        """
        slowest = max(value for value in seconds.values() if value == value)
        self.lanes = tuple(
            Lane(
                number=number,
                samples=shares.get(number, 0),
                compute_seconds=value,
                wait_seconds=slowest - value,
                communicate_seconds=communication,
            )
            for number, value in seconds.items()
            if value == value
        )
        for lane in self.lanes:
            sums = self._spent.setdefault(lane.number, [0.0, 0.0, 0.0])
            sums[0] += lane.compute_seconds
            sums[1] += lane.wait_seconds
            sums[2] += lane.communicate_seconds

    def watch(self, thought: Sequence[float], slowest: float) -> None:
        """What the policy would have saved, were it followed: as it thought itself."""
        if thought and not any(math.isnan(each) for each in thought):
            self.saved_seconds += slowest - max(thought)

    def summary(self) -> dict[str, Any]:
        """What share of the time each agent computed, waited and communicated."""
        return summary(self._spent)

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        spent = {str(number): list(sums) for number, sums in self._spent.items()}
        return {"spent": spent, "saved_seconds": self.saved_seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._spent = {int(number): list(sums) for number, sums in state["spent"].items()}
        self.saved_seconds = float(state["saved_seconds"])
