"""Two tables of what the best moves among the choices would bring."""

from __future__ import annotations

from typing import final

from paceline.policies.base.tabular import Tabular


@final
class DoubleQ(Tabular):
    """Moves to a neighbouring choice as a table says that is learnt on the way.

    By double Q-learning: one table names the best move that can follow, the other its worth.
    What it sees, does and is rewarded with, and its settings, are those of every tabular
    policy: see ``Tabular``.

    >>> from paceline.core.rounds import AgentReading, Choice, RoundReading
    >>> from paceline.policies.base import Terms
    >>> choices, agents = (Choice(), Choice(sync_interval=2)), (AgentReading(seconds=1.0),)
    >>> policy = DoubleQ(Terms(seed=6), step_size=0.5, discount=0.9, guide="equal")
    >>> at = RoundReading(round=0, total=10, agents=agents, choices=choices)
    >>> for number in range(1, 5):  # an example brings as much at either interval
    ...     taken = policy.decide(at)
    ...     after = RoundReading(
    ...         round=number, total=10, agents=agents, choices=choices, chosen=taken.choice,
    ...         progress=10.0 * choices[taken.choice].sync_interval, communication_seconds=1.0)
    ...     policy.learn(at, taken, after)
    ...     at = after
    >>> worths = policy.state_dict()["table"]["first"]["0c2"]
    >>> [round(each, 3) for each in worths]  # twice the interval: 0.5 · log(0.667 / 0.5)
    [0.0, 0.0, 0.144, 0.0, 0.0]

    Reference:
        van Hasselt, Double Q-learning, NeurIPS 2010, algorithm 1.
    """

    learner = "double_q"
