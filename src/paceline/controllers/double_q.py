"""Two tables of what factors for the rate bring, without optimism."""

from __future__ import annotations

from typing import Any, final

from paceline.controllers.base.learned import Learned


@final
class DoubleQ(Learned):
    """Multiplies the rate as a table says that was learnt on other trainings.

    By double Q-learning: one table names the best action that can follow, the other its worth,
    so that noise is not taken for a gain.
    What is seen, done, rewarded and reverted, and the settings, are those of every learned
    controller: see ``Learned``. ``learn_rate`` is the learner's step size.

    >>> from paceline.core.readings import Reading
    >>> controller = DoubleQ(0.1)
    >>> controller.decide(Reading(step=0, progress=0.0, total_steps=100)).learning_rate
    0.1

    Reference:
        van Hasselt, Double Q-learning, NeurIPS 2010.
    """

    learner = "double_q"

    def _settings(self) -> dict[str, Any]:
        return {"step_size": self.learn_rate} if self.learn_rate > 0 else {}
