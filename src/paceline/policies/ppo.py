"""A network that prefers moves, by proximal policy optimisation."""

from __future__ import annotations

from typing import final

from paceline.policies.base.networked import Networked


@final
class PPO(Networked):
    """Moves to a neighbouring choice as a network says that proximal policy optimisation trained.

    What it sees and does, and its settings, are those of every policy with a network: see
    ``Networked``.

    >>> from paceline.core.rounds import AgentReading, RoundReading
    >>> from paceline.policies.base import Terms
    >>> two = AgentReading(), AgentReading()
    >>> sum(PPO(Terms(), guide="equal").decide(RoundReading(round=0, total=8, agents=two)).samples)
    8

    Reference:
        Schulman et al., Proximal policy optimization algorithms, 2017, equation 7.
    """

    name = "ppo"
