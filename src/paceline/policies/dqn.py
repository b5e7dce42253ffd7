"""A network that knows what each move would bring."""

from __future__ import annotations

from typing import final

from paceline.policies.base.networked import Networked


@final
class DQN(Networked):
    """Moves to a neighbouring choice as a network says that deep Q-learning trained.

    What it sees and does, and its settings, are those of every policy with a network: see
    ``Networked``.

    >>> from paceline.core.rounds import AgentReading, RoundReading
    >>> from paceline.policies.base import Terms
    >>> two = AgentReading(), AgentReading()
    >>> sum(DQN(Terms(), guide="equal").decide(RoundReading(round=0, total=8, agents=two)).samples)
    8

    Reference:
        Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015.
    """

    name = "dqn"
