"""What a controller is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch.optim import Optimizer

from paceline.core.decider import Decider
from paceline.core.errors import SettingError, nearest
from paceline.core.readings import Reading, Steer


class Controller(Decider[Reading, Reading, Steer]):
    """Chooses the next learning rate, or watches over one who does; asked before every step.

    A setting is kept in an attribute of its name, so that ``get_config`` finds it.

    Args:
        learning_rate: The optimizer's own, positive; a schedule's peak, a hint for
            controllers that find it themselves.

    Attributes:
        needs: Numbers that cost something, and are read only where a controller asks:
            ``gradient_alignment``, ``gradient_product``.
        averages: Whether the weights are good only on an average over the steps.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    averages: ClassVar[bool] = False

    def __init__(self, learning_rate: float) -> None:
        if not 0 < learning_rate < float("inf"):
            raise SettingError(f"the learning rate must be positive, got {learning_rate}")
        self.learning_rate = float(learning_rate)

    def observe(self, reading: Reading) -> Reading:
        return reading

    def wrap(self, optimizer: Optimizer) -> Optimizer:
        """The optimizer to step in place of a given one: the same, unless a method needs its own.

        It must work on the very same parameters.
        """
        return optimizer

    def get_config(self) -> dict[str, Any]:
        """The settings, by name: all that ``from_config`` needs.

        >>> from paceline.controllers.linear import Linear
        >>> Linear(0.1, end=0.2).get_config()
        {'learning_rate': 0.1, 'warmup': 0.05, 'end': 0.2}
        """
        named = [
            name
            for name, each in inspect.signature(type(self)).parameters.items()
            if each.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        return {name: getattr(self, name) for name in ["learning_rate", *named]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A controller with the same settings, and no memory.

        Raises:
            SettingError: A setting is missing or unknown.

        >>> from paceline.controllers.linear import Linear
        >>> Linear.from_config({"learning_rate": 0.1, "end": 0.2}).end
        0.2
        """
        settings = dict(config)
        if "learning_rate" not in settings:
            raise SettingError(f"{cls.__name__}: the configuration has no learning_rate")
        rate = settings.pop("learning_rate")
        known = inspect.signature(cls).parameters
        for name in settings:
            if name not in known:
                raise SettingError(f"{cls.__name__} has no setting {name!r}{nearest(name, known)}")
        return cls(rate, **settings)
