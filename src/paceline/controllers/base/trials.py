"""Trial steps as coroutines: each yields what to do next and is sent the loss it met.

A coroutine cannot be saved, but it depends on nothing besides its arguments and the losses
it was sent. So its state is those: ``Script`` runs it again up to the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeVar, final

from paceline.core.readings import Steer

DIVERGED = 1e9
Result = TypeVar("Result")
Trial = Generator[Steer, float, Result]


@final
class Script(Generic[Result]):
    """A coroutine of trial steps that can be saved in the middle.

    Args:
        make: Makes the coroutine from JSON arguments.
        arguments: Those.

    >>> def count(upto):
    ...     total = 0.0
    ...     for at in range(upto):
    ...         total += yield Steer(learning_rate=float(at), probing=True)
    ...     return total
    >>> script = Script(count, {"upto": 2})
    >>> script.hear(1.0), script.steer.learning_rate, script.hear(2.5), script.result
    (False, 1.0, True, 3.5)
    """

    def __init__(self, make: Callable[..., Trial[Result]], arguments: Mapping[str, Any]) -> None:
        self.arguments, self.heard = dict(arguments), list[float]()
        self._coroutine = make(**self.arguments)
        self.steer = next(self._coroutine)
        self.result: Result | None = None

    def hear(self, loss: float) -> bool:
        """Sends the loss of the step that ``steer`` asked for; says whether it is over."""
        heard = min(loss, DIVERGED) if math.isfinite(loss) else DIVERGED
        self.heard.append(heard)
        try:
            self.steer = self._coroutine.send(heard)
        except StopIteration as end:
            self.result = end.value
            return True
        return False

    def state_dict(self) -> dict[str, Any]:
        """Arguments, and the losses that were heard."""
        return {"arguments": self.arguments, "heard": list(self.heard)}

    @classmethod
    def load(cls, make: Callable[..., Trial[Result]], state: Mapping[str, Any]) -> Script[Result]:
        """The script at the place where ``state_dict`` was called."""
        script = cls(make, state["arguments"])
        for loss in state["heard"]:
            script.hear(loss)
        return script
