"""How much load agents bear that slow down when they are hot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.policies.base.water_filling import Floats, Mask

_HOT = 0.3
_COOL_SHARE = 0.5
_RESTS = (8, 14)
_REST_LOAD = 0.1
_PATIENCE, _LEAST_PATIENCE = 4, 1
_FIRST_LOAD, _LESS, _LEAST_LOAD = 0.77, 0.93, 0.35
_CLEAN, _MORE = 30, 0.01
_GIVEN_UP, _MOST_GIVEN_UP = 60, 480
_RESTING_SHARE = 0.75

_FIELDS = ("excess", "rest", "tries", "wait", "load", "ceiling", "clean", "back_off", "counts")


@final
class Throttling:
    """Finds agents that slow down under load by letting them rest, and the load they bear.

    An agent that became slower at once may be slower for good, or hot. After a few rounds it
    rests; when it is as fast as before after that, it was hot, and from then on it works only
    for a share of the round: ``load``, 0.77 at first, less each time that it gets hot again,
    and a little more, below what made it hot, after every 30 rounds without it. When two
    rests, a short and a long one, do not help it is slower for good, and rests no more for a
    growing number of rounds. What helped others makes a rest come sooner.

    The rest is a test of the cause; the rest of the rule is additive increase, multiplicative
    decrease.

    >>> heat = Throttling()
    >>> heat.resize(1)
    >>> for change in [1.1] + [0.0] * 12 + [-1.1]:
    ...     heat.learn(np.array([change]), np.array([True]), np.array([0.2]))
    >>> heat.load.tolist()
    [0.77]

    Reference:
        Chiu & Jain, Analysis of the increase and decrease algorithms for congestion avoidance
        in computer networks, Computer Networks 17, 1989.
    """

    def __init__(self) -> None:
        self._rows = np.zeros((len(_FIELDS), 0))
        self._helped, self._failed = 0, 0

    def resize(self, agents: int) -> None:
        """Makes room for agents that joined."""
        more = agents - self._rows.shape[1]
        if more > 0:
            fresh = np.zeros((len(_FIELDS), more))
            fresh[4], fresh[5], fresh[7] = 1.0, 1.0, _GIVEN_UP
            self._rows = np.hstack([self._rows, fresh])

    @property
    def resting(self) -> Mask:
        """Who rests in the next round; shape (agents,)."""
        return np.asarray(self._rows[1] > 0)

    @property
    def load(self) -> Floats:
        """The share of a round that each may work for; shape (agents,)."""
        return np.where(self.resting, _REST_LOAD, self._rows[4])

    def learn(self, changes: Floats, worked: Mask, speeds: Floats) -> None:
        """Takes in a round.

        Args:
            changes: Log of how many times slower than thought each was, 0 where that is
                noise; shape (agents,).
            worked: Who worked.
            speeds: Share of the team's speed that each has; shape (agents,).
        """
        excess, rest, tries, wait, load, ceiling, clean, back_off, counts = self._rows
        was_resting, was_hot = rest > 0, excess > _HOT
        slower = np.abs(changes) > 0.15
        peak = np.where(was_hot, counts, 0.0)
        excess[:] = np.where(slower, np.maximum(excess + changes, 0.0), excess)
        counts[:] = np.maximum(peak, excess)
        rest[:] = np.maximum(rest - 1, 0)
        wait[:] = np.maximum(wait - 1, 0)
        cooled = was_hot & ~was_resting & (excess < _COOL_SHARE * counts)
        helped = cooled & (tries > 0)
        self._lower(helped, load, ceiling)
        excess[cooled], tries[cooled] = 0.0, 0.0
        self._give_up(was_hot & ~was_resting & ~cooled & worked)
        clean[:] = np.where(excess > _HOT, 0.0, clean + 1)
        more = (clean >= _CLEAN) & (load < ceiling)
        load[:] = np.where(more, np.minimum(load + _MORE, ceiling), load)
        clean[more] = 0.0
        fresh = (excess > _HOT) & ~was_hot
        sure = self._helped > self._failed
        wait[fresh] = np.maximum(wait[fresh], _LEAST_PATIENCE if sure else _PATIENCE)
        self._begin_rests(worked, speeds)

    def _lower(self, helped: Mask, load: Floats, ceiling: Floats) -> None:
        self._helped += int(helped.sum())
        ceiling[helped] = np.maximum(load[helped] - _MORE, _LEAST_LOAD)
        lower = np.where(load >= 1, _FIRST_LOAD, load * _LESS)
        load[helped] = np.maximum(lower, _LEAST_LOAD)[helped]

    def _give_up(self, looked: Mask) -> None:
        """For those that are still slow after all rests."""
        excess, _, tries, wait, _, _, _, back_off, _ = self._rows
        over = looked & (tries >= len(_RESTS))
        self._failed += int(over.sum())
        wait[over] = back_off[over]
        back_off[over] = np.minimum(2 * back_off[over], _MOST_GIVEN_UP)
        excess[over], tries[over] = 0.0, 0.0

    def _begin_rests(self, worked: Mask, speeds: Floats) -> None:
        """Not all at once: somebody must work."""
        excess, rest, tries, wait, *_ = self._rows
        resting = float(speeds[rest > 0].sum())
        for agent in np.flatnonzero((excess > _HOT) & (rest == 0) & (wait == 0) & worked):
            if resting + speeds[agent] > _RESTING_SHARE and len(speeds) > 1:
                continue
            resting += float(speeds[agent])
            rest[agent] = _RESTS[min(int(tries[agent]), len(_RESTS) - 1)]
            tries[agent] += 1

    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""
        rows = {name: row.tolist() for name, row in zip(_FIELDS, self._rows, strict=True)}
        return {**rows, "helped": self._helped, "failed": self._failed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the memory of something else.
        """
        for name in (*_FIELDS, "helped", "failed"):
            if name not in state:
                raise SettingError(f"this is no state of throttling: it has no {name!r}")
        self._rows = np.array([state[name] for name in _FIELDS], dtype=float)
        self._helped, self._failed = int(state["helped"]), int(state["failed"])
