"""A table of what its own factors for the rate bring."""

from __future__ import annotations

from typing import Any, final

from paceline.controllers.base.learned import Learned


@final
class Sarsa(Learned):
    """Multiplies the rate as a table says that was learnt on other trainings.

    By SARSA: the worth of an action counts what its own behaviour does next, so that it learns
    to keep away from what is dangerous while it explores.
    What is seen, done, rewarded and reverted, and the settings, are those of every learned
    controller: see ``Learned``. ``learn_rate`` is the learner's step size.

    >>> from paceline.core.readings import Reading
    >>> controller = Sarsa(0.1)
    >>> controller.decide(Reading(step=0, progress=0.0, total_steps=100)).learning_rate
    0.1

    Reference:
        Rummery & Niranjan, On-line Q-learning using connectionist systems, 1994.
    """

    learner = "sarsa"

    def _settings(self) -> dict[str, Any]:
        return {"step_size": self.learn_rate} if self.learn_rate > 0 else {}
