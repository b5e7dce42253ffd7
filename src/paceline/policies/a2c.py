"""A network that prefers moves, by an actor with a critic."""

from __future__ import annotations

from typing import final

from paceline.policies.base.networked import Networked


@final
class A2C(Networked):
    """Moves to a neighbouring choice as a network says that an actor with a critic trained.

    What it sees and does, and its settings, are those of every policy with a network: see
    ``Networked``.

    >>> from paceline.core.rounds import AgentReading, RoundReading
    >>> from paceline.policies.base import Terms
    >>> two = AgentReading(), AgentReading()
    >>> sum(A2C(Terms(), guide="equal").decide(RoundReading(round=0, total=8, agents=two)).samples)
    8

    Reference:
        Mnih et al., Asynchronous methods for deep reinforcement learning, ICML 2016, section 4.
    """

    name = "a2c"
