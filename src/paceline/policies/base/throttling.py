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
# Rounds before a rest: when rests have helped, at first, and when they never do.
_PATIENCE, _CONVINCED = (1, 3, 40), 4
_CHANGE = 0.15
_FIRST_LOAD, _LESS, _LEAST_LOAD = 0.77, 0.93, 0.35
_CLEAN, _MORE = 60, 0.01
_GIVEN_UP, _MOST_GIVEN_UP = 60, 480
_RESTING_SHARE = 0.75
# How fast the plan follows what agents were really busy, and how much in a round.
_ROOM_STEP, _ROOM_MOST = 0.1, 0.02

# A slowdown that came with more work may be a bend of the curve: that shows in so many rounds.
_DOUBT = 3
# Of those that may be hot, so many rest before any rest has helped.
_FIRST_SHARE = 1 / 3

_FIELDS = (
    "excess",
    "peak",
    "rest",
    "tries",
    "wait",
    "load",
    "room",
    "ceiling",
    "clean",
    "back_off",
    "doubtful",
    "doubt",
)


@final
class Throttling:
    """Finds agents that slow down under load by letting them rest, and the load they bear.

    An agent that became slower at once may be slower for good, or hot. After a few rounds it
    rests; when it is as fast as before after that, it was hot, and from then on it works only
    for a share of the round: ``load``, 0.77 at first, less each time that it gets hot again.
    What is planned for that follows from what it really was busy: see ``watch``.
    After 60 rounds without that one agent tries a little more, and the others follow it, below
    what made any of them hot: a hot agent costs the whole team a round. When two
    rests, a short and a long one, do not help it is slower for good, and rests no more for a
    growing number of rounds. What helped others makes a rest come sooner; until then a few rest
    in the place of all.

    The rest is a test of the cause; the rest of the rule is additive increase, multiplicative
    decrease.

    >>> heat = Throttling()
    >>> heat.resize(1)
    >>> yes, no = np.array([True]), np.array([False])
    >>> for change in [1.1] + [0.0] * 11 + [-1.1]:
    ...     heat.learn(np.array([change]), yes, np.array([0.2]), no, no)
    >>> heat.load.tolist()
    [0.77]

    Reference:
        Chiu & Jain, Analysis of the increase and decrease algorithms for congestion avoidance
        in computer networks, Computer Networks 17, 1989.
    """

    def __init__(self) -> None:
        self._rows = {name: np.zeros(0) for name in _FIELDS}
        self._helped, self._failed = 0, 0

    def resize(self, agents: int) -> None:
        """Makes room for agents that joined."""
        more = agents - len(self._row("load"))
        if more > 0:
            fresh = {"load": 1.0, "room": 1.0, "ceiling": 1.0, "back_off": _GIVEN_UP}
            for name in _FIELDS:
                row = np.full(more, fresh.get(name, 0.0))
                self._rows[name] = np.concatenate([self._rows[name], row])

    @property
    def resting(self) -> Mask:
        """Who rests in the next round; shape (agents,)."""
        return np.asarray(self._row("rest") > 0)

    @property
    def load(self) -> Floats:
        """The share of a round that each may work for; shape (agents,)."""
        return np.where(self.resting, _REST_LOAD, self._row("load"))

    @property
    def planned(self) -> Floats:
        """The share of a round that each is to be planned for, so that it works for ``load``.

        That is more: a round also takes what the others are late and the communication.
        """
        more = np.minimum(self._row("load") * self._row("room"), 1.0)
        return np.where(self.resting, _REST_LOAD, more)

    def watch(self, busy: Floats) -> None:
        """Learns how much more can be planned than an agent is to work.

        Args:
            busy: Share of the last round that each really worked for, nan where that tells
                nothing; shape (agents,).
        """
        load, room = self._row("load"), self._row("room")
        looked = (busy > 0) & (load < 1) & ~self.resting
        missed = np.log(load / np.where(looked, busy, load))
        steps = np.clip(_ROOM_STEP * missed, -_ROOM_MOST, _ROOM_MOST)
        room[looked] = np.clip(room * np.exp(steps), 1.0, 1 / load)[looked]

    def learn(self, changes: Floats, worked: Mask, speeds: Floats, grown: Mask, bent: Mask) -> None:
        """Takes in a round.

        Args:
            changes: Log of how many times slower than thought each was, 0 where that is
                noise; shape (agents,), like the others.
            worked: Who worked.
            speeds: Share of the team's speed that each has.
            grown: Who had clearly more to do than before.
            bent: Whose curve is thought to have a bend.
        """
        was_resting, was_hot = self.resting, self._row("excess") > _HOT
        worked = worked & ~was_resting
        for name in ("rest", "wait"):
            np.maximum(self._row(name) - 1, 0, out=self._row(name))
        self._take(self._settled(changes, grown, bent))
        excess, tries = self._row("excess"), self._row("tries")
        cooled = was_hot & ~was_resting & (excess < _COOL_SHARE * self._row("peak"))
        self._lower(cooled & (tries > 0))
        excess[cooled], tries[cooled], self._row("peak")[cooled] = 0.0, 0.0, 0.0
        self._give_up(was_hot & worked & ~cooled)
        self._raise()
        fresh = (excess > _HOT) & ~was_hot
        wait, patience = self._row("wait"), self._patience()
        wait[fresh] = np.maximum(wait[fresh], patience)
        self._begin_rests(worked, speeds)

    def _row(self, name: str) -> Floats:
        return self._rows[name]

    def _settled(self, changes: Floats, grown: Mask, bent: Mask) -> Floats:
        """Changes of the speed; those that may be a bend are kept until that is clear."""
        doubtful, doubt = self._row("doubtful"), self._row("doubt")
        np.maximum(doubt - 1, 0, out=doubt)
        due = (doubt == 0) & (doubtful > 0)
        settled = np.where(due & ~bent, doubtful, 0.0)
        doubtful[due] = 0.0
        unclear = (changes > 0) & grown
        doubtful[unclear], doubt[unclear] = changes[unclear], _DOUBT
        falls = (changes < 0) & (doubtful > 0)
        doubtful[falls] = np.maximum(doubtful + changes, 0.0)[falls]
        return np.asarray(settled + np.where(unclear | falls, 0.0, changes))

    def _take(self, changes: Floats) -> None:
        excess, peak = self._row("excess"), self._row("peak")
        changed = np.abs(changes) > _CHANGE
        excess[:] = np.where(changed, np.maximum(excess + changes, 0.0), excess)
        np.maximum(peak, excess, out=peak)

    def _lower(self, helped: Mask) -> None:
        """Less load for those that were hot; nobody gets near what made another one hot."""
        if not helped.any():
            return
        self._helped += int(helped.sum())
        load, ceiling = self._row("load"), self._row("ceiling")
        capped = helped & (load < 1)
        if capped.any():
            np.minimum(ceiling, float(load[capped].min()) - _MORE, out=ceiling)
        lower = np.where(load >= 1, np.minimum(_FIRST_LOAD, ceiling), load * _LESS)
        load[helped] = np.maximum(lower, _LEAST_LOAD)[helped]
        others = (load < 1) & ~helped
        load[others] = np.minimum(load, np.maximum(ceiling, _LEAST_LOAD))[others]

    def _raise(self) -> None:
        """One of those that were not hot for long tries a little more; the others follow."""
        load, clean = self._row("load"), self._row("clean")
        clean[:] = np.where(self._row("excess") > _HOT, 0.0, clean + 1)
        can = np.flatnonzero((clean >= _CLEAN) & (load < 1) & (load < self._row("ceiling")))
        if len(can):
            proven = float(load[can].max())
            first = can[load[can] == proven][0]
            load[can] = np.minimum(proven, self._row("ceiling")[can])
            load[first] = min(proven + _MORE, float(self._row("ceiling")[first]))
            clean[can] = 0.0

    def _give_up(self, looked: Mask) -> None:
        """For those that are still slow after their rests."""
        tries, back_off = self._row("tries"), self._row("back_off")
        rests = len(_RESTS) if self._helped >= self._failed else 1
        over = looked & (tries >= rests)
        self._failed += int(over.sum())
        self._row("wait")[over] = back_off[over]
        back_off[over] = np.minimum(2 * back_off[over], _MOST_GIVEN_UP)
        for name in ("excess", "tries", "peak"):
            self._row(name)[over] = 0.0

    def _patience(self) -> int:
        """Rounds before a slow agent rests: the fewer, the more often that helped."""
        if self._helped > self._failed:
            return _PATIENCE[0]
        return _PATIENCE[1] if self._failed < _CONVINCED or self._helped else _PATIENCE[2]

    def _begin_rests(self, worked: Mask, speeds: Floats) -> None:
        """Not all at once: somebody must work."""
        hot, rest, tries = self._row("excess") > _HOT, self._row("rest"), self._row("tries")
        can = np.flatnonzero(hot & (rest == 0) & (self._row("wait") == 0) & worked)
        resting, room = float(speeds[rest > 0].sum()), len(can)
        if self._helped <= self._failed:
            most = 1 if self._failed >= _CONVINCED else _CONVINCED  # a few tell as much as many
            room = max(1, min(round(_FIRST_SHARE * hot.sum()), most)) - int((rest > 0).sum())
        for agent in can:
            if room <= 0:
                return
            if resting + speeds[agent] <= _RESTING_SHARE or len(speeds) == 1:
                resting, room = resting + float(speeds[agent]), room - 1
                rest[agent] = _RESTS[min(int(tries[agent]), len(_RESTS) - 1)]
                tries[agent] += 1

    def state_dict(self) -> dict[str, Any]:
        """The whole memory, JSON values only."""
        rows = {name: row.tolist() for name, row in self._rows.items()}
        return {**rows, "helped": self._helped, "failed": self._failed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave.

        Raises:
            SettingError: It is the memory of something else.
        """
        for name in (*_FIELDS, "helped", "failed"):
            if name not in state:
                raise SettingError(f"this is no state of throttling: it has no {name!r}")
        self._rows = {name: np.array(state[name], dtype=float) for name in _FIELDS}
        self._helped, self._failed = int(state["helped"]), int(state["failed"])
