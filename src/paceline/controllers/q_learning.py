"""A table of what the best factors for the rate would bring."""

from __future__ import annotations

from typing import Any, final

from paceline.controllers.base.learned import Learned


@final
class QLearning(Learned):
    """Multiplies the rate as a table says that was learnt on other trainings.

    By Q-learning: the worth of an action counts the best that can follow it.
    What is seen, done, rewarded and reverted, and the settings, are those of every learned
    controller: see ``Learned``. ``learn_rate`` is the learner's step size.

    >>> from paceline.core.readings import Reading
    >>> controller = QLearning(0.1)
    >>> controller.decide(Reading(step=0, progress=0.0, total_steps=100)).learning_rate
    0.1

    Reference:
        Watkins & Dayan, Q-learning, Machine Learning 8, 1992.
    """

    learner = "q_learning"

    def _settings(self) -> dict[str, Any]:
        return {"step_size": self.learn_rate} if self.learn_rate > 0 else {}
