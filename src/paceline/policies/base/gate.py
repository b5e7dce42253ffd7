"""Who decides: a learned policy while it does no harm, else the one that guides it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from paceline.core.errors import SettingError

_MOST_STRIKES = 4


class Gate:
    """Closes when a learned policy brought less than its guide promised, by more than noise.

    The gap of a round is ``log(worth that was achieved / worth that the guide promised)``.
    The gate closes when over the last ``window`` rounds ``mean < −margin − tolerance ·
    deviation / sqrt(window)``. It opens again after ``cool_down`` rounds, and after twice as
    many each time that it closes anew, up to sixteen times. What the guide itself falls short
    of its promises while it decides is taken off.

    Args:
        window: Rounds that are looked at, at least 2.
        margin: Gap that is forgiven, at least 0.
        tolerance: Standard errors that are forgiven, at least 0.
        cool_down: Rounds that the guide decides, at least 1.

    Raises:
        SettingError: A setting is out of its range.

    >>> gate = Gate(window=4, cool_down=2)
    >>> for gap in (0.1, -0.2, -0.3, -0.2, -0.3):
    ...     gate.learn(gap)
    >>> gate.is_open, gate.reason
    (False, 'the model decides: the learned policy brought 22 % less over 4 rounds')
    >>> for gap in (0.0, 0.0):
    ...     gate.learn(gap)
    >>> gate.is_open
    True
    """

    def __init__(
        self,
        *,
        window: int = 16,
        margin: float = 0.02,
        tolerance: float = 3.0,
        cool_down: int = 40,
    ) -> None:
        if window < 2:
            raise SettingError(f"window must be at least 2, got {window}")
        if not 0 <= margin < math.inf:
            raise SettingError(f"margin must be at least 0, got {margin:g}")
        if not 0 <= tolerance < math.inf:
            raise SettingError(f"tolerance must be at least 0, got {tolerance:g}")
        if cool_down < 1:
            raise SettingError(f"cool_down must be at least 1, got {cool_down}")
        self.window, self.margin = window, float(margin)
        self.tolerance, self.cool_down = float(tolerance), cool_down
        self._gaps: list[float] = []
        self._short = 0.0
        self._rest = 0
        self._strikes = 0
        self._lost = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the learned policy decides."""
        return self._rest == 0

    @property
    def reason(self) -> str:
        """Why the guide decides; empty while the gate is open."""
        if self.is_open:
            return ""
        return (
            f"the model decides: the learned policy brought {self._lost:.0%} less over "
            f"{self.window} rounds"
        ).replace("%", " %")

    def learn(self, gap: float) -> None:
        """Takes in the gap of one more round; one that is not finite says nothing."""
        if not self.is_open:
            if math.isfinite(gap):
                self._short = 0.9 * self._short + 0.1 * gap
            self._rest -= 1
            return
        if not math.isfinite(gap):
            return
        self._gaps = [*self._gaps[1 - self.window :], gap]
        if len(self._gaps) == self.window:
            self._judge()

    def _judge(self) -> None:
        mean = math.fsum(self._gaps) / self.window
        variance = math.fsum((each - mean) ** 2 for each in self._gaps) / (self.window - 1)
        allowed = self.margin + self.tolerance * math.sqrt(variance / self.window)
        if mean - min(self._short, 0.0) < -allowed:
            self._lost = -math.expm1(mean)
            self._rest = self.cool_down * 2**self._strikes
            self._strikes = min(self._strikes + 1, _MOST_STRIKES)
            self._gaps = []

    def state_dict(self) -> dict[str, Any]:
        """The whole state, JSON values only."""
        return {
            "gaps": list(self._gaps),
            "short": self._short,
            "rest": self._rest,
            "strikes": self._strikes,
            "lost": self._lost,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave."""
        self._gaps = [float(each) for each in state["gaps"]]
        self._short, self._lost = float(state["short"]), float(state["lost"])
        self._rest, self._strikes = int(state["rest"]), int(state["strikes"])
