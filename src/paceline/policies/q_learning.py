"""A table of what the best moves among the choices would bring."""

from __future__ import annotations

from typing import final

from paceline.policies.base.tabular import Tabular


@final
class QLearning(Tabular):
    """Moves to a neighbouring choice as a table says that is learnt on the way.

    By Q-learning: ``Q(s, a) ← Q(s, a) + step_size · (r + discount · max Q(s', ·) − Q(s, a))``.
    What it sees, does and is rewarded with, and its settings, are those of every tabular
    policy: see ``Tabular``.

    >>> from paceline.core.rounds import AgentReading, Choice, RoundReading
    >>> from paceline.policies.base import Terms
    >>> choices, agents = (Choice(), Choice(sync_interval=2)), (AgentReading(seconds=1.0),)
    >>> policy = QLearning(Terms(seed=6), step_size=0.5, discount=0.9, guide="equal")
    >>> at = RoundReading(round=0, total=10, agents=agents, choices=choices)
    >>> for number in range(1, 5):  # an example brings as much at either interval
    ...     taken = policy.decide(at)
    ...     after = RoundReading(
    ...         round=number, total=10, agents=agents, choices=choices, chosen=taken.choice,
    ...         progress=10.0 * choices[taken.choice].sync_interval, communication_seconds=1.0)
    ...     policy.learn(at, taken, after)
    ...     at = after
    >>> worths = policy.state_dict()["table"]["table"]["0c2"]
    >>> [round(each, 3) for each in worths]  # twice the interval: 0.5 · log(0.667 / 0.5)
    [0.0, 0.0, 0.144, 0.0, 0.0]

    Reference:
        Watkins & Dayan, Q-learning, Machine Learning 8, 1992, equation 1.
    """

    learner = "q_learning"
