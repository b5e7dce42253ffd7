"""What the policies share that act by a network which was trained before."""

from __future__ import annotations

from typing import ClassVar

from paceline.core.rounds import RoundReading
from paceline.policies.base.guided import Guided, Lesson
from paceline.policies.base.networks import find_network
from paceline.policies.base.policy import Terms


class Networked(Guided):
    """Moves to the neighbouring choice that a network says, trained on random clusters.

    The network was trained with stable-baselines3 in the simulator, on clusters and laws drawn
    at random, and is not changed in use: what it learns of the cluster at hand is what it
    remembers of the efficiency of each choice. See ``Sight`` for what it sees. To act
    it needs neither stable-baselines3 nor torch. The shares are those of the guide.

    Args:
        terms: What it works for.
        network: A file of ``paceline policy train NAME --for agents``; the shipped one when
            empty.
        guide: The policy that shares out.
        gated: Whether the guide takes over when it is the better one.

    Attributes:
        name: Of the policy that the network must have been trained for.

    Raises:
        SettingError: A setting is out of its range, or ``network`` is no such file.
    """

    name: ClassVar[str]
    shared_first = 20

    def __init__(
        self, terms: Terms, *, network: str = "", guide: str = "model", gated: bool = True
    ) -> None:
        super().__init__(terms, guide=guide, gated=gated)
        self._network = find_network(network, self.name)

    def _choose(self, seen: RoundReading) -> int:
        moves = self._network(self._sight.features(seen).astype(float))
        return self._grid.neighbours(seen.chosen)[int(moves.argmax())]

    def _took(self, lesson: Lesson) -> None:
        """Nothing: what it learns of the cluster is what it sees."""

    def _renew(self) -> None:
        """Nothing is kept of other choices."""
