"""What each factor for the rate brought lately, in each state."""

from __future__ import annotations

from typing import Any, final

from paceline.controllers.base.learned import Learned

# The rewards are changes of the logarithm of the loss in a step.
_BOUND = 0.05


@final
class Bandit(Learned):
    """Multiplies the rate as a table says that was learnt on other trainings.

    By a discounted bandit: only what an action brings at once counts, older rewards less.
    What is seen, done, rewarded and reverted, and the settings, are those of every learned
    controller: see ``Learned``. ``learn_rate`` is under 1: the newest reward's share of the mean.

    >>> from paceline.core.readings import Reading
    >>> controller = Bandit(0.1)
    >>> controller.decide(Reading(step=0, progress=0.0, total_steps=100)).learning_rate
    0.1

    Reference:
        Garivier & Moulines, On upper-confidence bound policies for switching bandit
        problems, ALT 2011.
    """

    learner = "bandit"

    def _settings(self) -> dict[str, Any]:
        settings = {"bound": _BOUND}
        return settings | {"discount": 1 - self.learn_rate} if self.learn_rate > 0 else settings
