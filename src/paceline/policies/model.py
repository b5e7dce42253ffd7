"""Shares from a model of each agent's time; the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment, RoundReading
from paceline.policies.base import Policy, Terms
from paceline.policies.base.active_set import Goal, Link, best_set
from paceline.policies.base.hedge import hedge
from paceline.policies.base.shares import caps, prices, proportional, up
from paceline.policies.base.throttling import Throttling
from paceline.policies.base.time_model import TimeModel
from paceline.policies.base.water_filling import (
    Counts,
    Curves,
    Floats,
    Mask,
    expect_room,
    level,
    whole,
)

# Of an equal share, and of the total: what an agent gets that must first be measured.
_FIRST_PART, _FIRST_TOTAL = 0.3, 0.02
# Times as much as before is clearly more work.
_GROWN = 1.1


@final
class Model(Policy):
    """Learns how long each agent needs for how much, and lets all end at the same time.

    Every round: the time model gives each agent's ``t(n)`` (see ``TimeModel``); those that
    throttle are held below the load at which they get hot (``Throttling``); the set of agents
    with the best reward is chosen (``best_set``); the examples are shared out so that the
    slowest is done as early as can be (``whole``), allowing a little more for agents that are
    less sure (``hedge``). The first round is shared out evenly. A newcomer gets a small share
    first, and so does now and then an agent that is left out.

    It keeps to the plain choice: it knows no law of what sync intervals and batches bring.

    Args:
        terms: What it works for.
        probe_rounds: An agent without work is tried again after so many, at least 1.

    Raises:
        SettingError: A setting is out of its range.

    >>> from paceline.core.rounds import AgentReading
    >>> policy = Model(Terms())
    >>> seen = RoundReading(round=0, total=90, agents=(AgentReading(), AgentReading()))
    >>> done = (AgentReading(samples=45, seconds=1.0), AgentReading(samples=45, seconds=2.0))
    >>> policy.learn(seen, policy.decide(seen), RoundReading(round=1, total=90, agents=done))
    >>> policy.decide(RoundReading(round=1, total=90, agents=done)).samples
    (62, 28)
    """

    def __init__(self, terms: Terms, *, probe_rounds: int = 25) -> None:
        super().__init__(terms)
        if not 1 <= probe_rounds < 2**31:
            raise SettingError(f"probe_rounds must be at least 1, got {probe_rounds}")
        self.probe_rounds = probe_rounds
        self._times, self._heat, self._link = TimeModel(), Throttling(), Link()
        self._worked = np.zeros(0, dtype=np.int64)
        self._samples = np.zeros(0, dtype=np.int64)
        self._all_prices = 0.0

    def decide(self, seen: RoundReading) -> Assignment:
        most = caps(seen)
        agents = len(most)
        expect_room(np.floor(most), seen.total)
        known = _fit(self._times.known, agents, False) & (most > 0)
        if not known.any():
            shares = proportional(up(seen).astype(float), seen.total, most)
            return Assignment(samples=tuple(shares.tolist()), reason="nothing is known yet")
        curves = _fit_curves(self._times.curves(), agents, np.where(known, most, 0.0))
        planned = curves.times(1 / _fit(self._heat.planned, agents, 1.0))
        used = known
        if curves.most.sum() >= seen.total:
            used = best_set(planned, seen.total, self._goal(seen))
        extra = self._extra(seen, planned, used, most)
        shares = self._share(seen.total, planned.only(used), extra, most)
        measured = _fit(self._times.known, agents, False)
        return Assignment(
            samples=tuple(shares.tolist()),
            expected_seconds=tuple(np.where(measured, curves.seconds(shares), np.nan).tolist()),
            reason=self._reason(known, used, extra),
        )

    def _goal(self, seen: RoundReading) -> Goal:
        return Goal(
            alpha=self.terms.alpha,
            beta=self.terms.beta,
            slack=self.terms.slack,
            all_prices=self._all_prices,
            prices=prices(seen),
            communication=self._link.seconds,
        )

    def _share(self, total: int, curves: Curves, extra: Counts, most: Floats) -> Counts:
        left = total - int(extra.sum())
        room = float(np.floor(curves.most).sum())
        if room >= left:
            return whole(self._hedged(curves, left), left) + extra
        full = np.floor(curves.most).astype(np.int64)  # the others must take the rest
        others = (most > full).astype(float)
        return full + proportional(others, total - int(room), most - full)

    def _hedged(self, curves: Curves, total: int) -> Curves:
        flat = curves.samples(level(curves, total))
        spread = _fit(self._times.spread, len(flat), 0.0)
        doubt = np.sqrt(spread**2 + self._times.noise**2)
        return curves.times(hedge(flat / max(float(flat.sum()), 1e-300), doubt))

    def _extra(self, seen: RoundReading, curves: Curves, used: Mask, most: Floats) -> Counts:
        """A small share for those that must be measured: newcomers, and the idle now and then."""
        agents = len(most)
        known = curves.most > 0
        extra = np.zeros(agents, dtype=np.int64)
        since = seen.round - _fit(self._worked, agents, 0)
        idle = known & ~used & ~_fit(self._heat.resting, agents, False)
        stale = np.flatnonzero(idle & (since > self.probe_rounds * (1 + np.arange(agents) % 5)))
        fresh = np.flatnonzero((most > 0) & ~known)
        if len(stale):
            most = np.where(known, np.minimum(most, self._in_time(seen, curves, used)), most)
        chosen = [*fresh, *stale[: max(1, agents // 50)]][: seen.total // 2]
        if not chosen:
            return extra
        usual = _FIRST_PART * seen.total / int((most > 0).sum())
        share = max(1, int(min(usual, _FIRST_TOTAL * seen.total / len(chosen))))
        extra[chosen] = np.minimum(share, most[chosen]).astype(np.int64)
        return extra

    def _in_time(self, seen: RoundReading, curves: Curves, used: Mask) -> Floats:
        """What those that are left out could do meanwhile, at least one example."""
        chosen = curves.only(used)
        if float(np.floor(chosen.most).sum()) < seen.total:
            return curves.most
        return np.maximum(curves.samples(level(chosen, seen.total)), 1.0)

    def _reason(self, known: Mask, used: Mask, extra: Counts) -> str:
        resting = int((_fit(self._heat.resting, len(known), False) & known).sum())
        told = "all end together"
        if used.sum() < known.sum():
            told += f", {int(known.sum() - used.sum())} left out"
        if resting:
            told += f", {resting} rest to see whether they were hot"
        if extra.any():
            told += f", {int((extra > 0).sum())} tried"
        return told

    def learn(self, seen: RoundReading, choice: Assignment, outcome: RoundReading) -> None:
        samples = np.array([each.samples for each in outcome.agents], dtype=np.int64)
        seconds = np.array([each.seconds for each in outcome.agents], dtype=float)
        agents, alive = len(samples), max(int((seconds == seconds).sum()), 1)
        if not self._all_prices:
            self._all_prices = float(sum(each.price for each in outcome.agents if each.is_up))
        self._heat.resize(agents)
        worked = (samples > 0) & (seconds > 0)
        measured = np.where(self._heat.resting, np.nan, seconds)
        usual = max(int(samples.sum()) / alive, 1.0)
        self._times.learn(samples, measured, reference=usual)
        speeds = np.where(worked, samples / np.where(worked, seconds, 1.0), 0.0)
        speeds = speeds / max(float(speeds.sum()), 1e-300)
        before = _fit(self._samples, agents, 0)
        self._heat.learn(
            self._times.surprise,
            worked,
            speeds,
            samples > _GROWN * before,
            np.isfinite(self._times.curves().bend),
        )
        busy = np.where(worked, seconds, 0.0)
        whole_round = float(busy.max(initial=0.0)) + outcome.communication_seconds
        self._heat.watch(np.where(worked, busy / max(whole_round, 1e-300), np.nan))
        self._samples = np.where(worked, samples, before)
        self._link.learn(int(worked.sum()), outcome.communication_seconds)
        self._worked = np.where(samples > 0, seen.round, _fit(self._worked, agents, seen.round))

    def state_dict(self) -> dict[str, Any]:
        return {
            "times": self._times.state_dict(),
            "heat": self._heat.state_dict(),
            "link": self._link.state_dict(),
            "worked": self._worked.tolist(),
            "samples": self._samples.tolist(),
            "all_prices": self._all_prices,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._times.load_state_dict(state["times"])
        self._heat.load_state_dict(state["heat"])
        self._link.load_state_dict(state["link"])
        self._worked = np.array(state["worked"], dtype=np.int64)
        self._samples = np.array(state["samples"], dtype=np.int64)
        self._all_prices = float(state["all_prices"])


def _fit(values: Any, agents: int, rest: Any) -> Any:
    """With ``rest`` for agents that joined since, without those that are not there."""
    fitted = np.full(agents, rest, dtype=values.dtype)
    fitted[: len(values)] = values[:agents]
    return fitted


def _fit_curves(curves: Curves, agents: int, most: Floats) -> Curves:
    return Curves(
        start=_fit(curves.start, agents, 0.0),
        slope=np.maximum(_fit(curves.slope, agents, 1.0), 1e-15),
        bend=_fit(curves.bend, agents, np.inf),
        steep=np.maximum(_fit(curves.steep, agents, 1.0), 1e-15),
        most=most,
    )
