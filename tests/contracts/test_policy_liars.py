"""Each promise of the policies catches a policy that breaks it; no other promise minds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from paceline.checks import check, promises
from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, Assignment, RoundReading
from paceline.policies.base import Policy, Terms
from paceline.policies.base.shares import caps, proportional
from paceline.policies.proportional import Proportional

_LIARS: dict[str, type[Any]] = {}
# What is no sound share at all breaks more than one promise.
_BROAD: set[str] = set()


def _liar(sentence: str, *, broad: bool = False, **body: Any) -> None:
    _LIARS[sentence] = type("Proportional", (Proportional,), body)
    if broad:
        _BROAD.add(sentence)


def _deciding(change: Callable[[RoundReading, Assignment], Assignment]) -> Any:
    def decide(self: Any, seen: RoundReading) -> Assignment:
        return change(seen, Proportional.decide(self, seen))

    return decide


def _needy(self: Any, terms: Terms, weight: float) -> None: ...


def _positional(self: Any, terms: Terms, weight: float = 0.3) -> None:
    Proportional.__init__(self, terms, weight=weight)


def _swallow(self: Any, terms: Terms, **rest: Any) -> None:
    Proportional.__init__(self, terms)


def _loose(self: Any, terms: Terms, *, weight: float = 0.3) -> None:
    Proportional.__init__(self, terms)


def _generous(seen: RoundReading, honest: Assignment) -> Assignment:
    if seen.round != 5:
        return honest
    first, *rest = honest.samples
    return replace(honest, samples=(first + 1, *rest))


def _owing(seen: RoundReading, honest: Assignment) -> Assignment:
    if seen.round != 6 or seen.agents[0].most_samples or len(seen.agents) != 5:
        return honest
    first, second, third, *rest = honest.samples
    return replace(honest, samples=(first + third + 2, second, -2, *rest))


def _burying(seen: RoundReading, honest: Assignment) -> Assignment:
    first, second, *rest = (*honest.samples, 0)
    if len(seen.agents) < 2 or seen.agents[1].is_up:
        return honest
    return replace(honest, samples=(first - 1, second + 1, *rest[: len(seen.agents) - 2]))


def _greedy(seen: RoundReading, honest: Assignment) -> Assignment:
    if seen.agents[-1].most_samples != 0:
        return honest
    return replace(honest, samples=(honest.samples[0] - 1, *honest.samples[1:-1], 1))


def _hopeful(self: Any, seen: RoundReading) -> Assignment:
    most = caps(seen)
    shares = proportional([1.0] * len(most), min(seen.total, int(min(most.sum(), 1e9))), most)
    return Assignment(samples=tuple(shares.tolist()), reason="what fits")


def _haunted(self: Any, seen: RoundReading) -> Assignment:
    if any(each.is_up for each in seen.agents):
        return Proportional.decide(self, seen)
    return Assignment(samples=(0,) * len(seen.agents), reason="nobody is there")


def _only(count: int) -> Any:
    def decide(self: Any, seen: RoundReading) -> Assignment:
        if len(seen.agents) == count:
            raise SettingError(f"{count} agents are none of mine")
        return Proportional.decide(self, seen)

    return decide


def _rich(self: Any, seen: RoundReading) -> Assignment:
    if seen.total < len(seen.agents):
        raise SettingError("everybody wants an example")
    return Proportional.decide(self, seen)


def _dividing(self: Any, seen: Any, choice: Any, outcome: RoundReading) -> None:
    [each.samples / each.seconds for each in outcome.agents if each.is_up and each.samples]
    Proportional.learn(self, seen, choice, outcome)


def _reaching(seen: RoundReading, honest: Assignment) -> Assignment:
    return replace(honest, choice=len(seen.choices) if len(seen.choices) > 1 else 0)


def _forecasting(seen: RoundReading, honest: Assignment) -> Assignment:
    return replace(honest, expected_seconds=(-1.0,) * len(seen.agents))


def _silent(seen: RoundReading, honest: Assignment) -> Assignment:
    return replace(honest, reason="")


def _counting(self: Any, seen: RoundReading) -> Assignment:
    self._asked = getattr(self, "_asked", 0) + 1
    return Proportional.decide(self, seen)


def _counted(self: Any) -> dict[str, Any]:
    return {**Proportional.state_dict(self), "asked": getattr(self, "_asked", 0)}


def _chancy(self: Any, terms: Terms, *, weight: float = 0.3) -> None:
    Proportional.__init__(self, terms, weight=weight)
    self.weight /= 1 + (torch.initial_seed() == 2)


def _forgetful(self: Any, state: Mapping[str, Any]) -> None: ...


def _shared(self: Any) -> dict[str, Any]:
    return {"speeds": self._speeds}


_liar("is made with terms alone", broad=True, __init__=_needy)
_liar("has named settings with types and defaults", broad=True, __init__=_positional)
_liar("refuses unknown settings", broad=True, __init__=_swallow)
_liar("refuses settings that are out of all range", __init__=_loose)
_liar("gives shares that sum to the total", broad=True, decide=_deciding(_generous))
_liar("gives no share under zero", decide=_deciding(_owing))
_liar("gives nothing to the dead", decide=_deciding(_burying))
_liar("gives no more than fits into a memory", decide=_deciding(_greedy))
_liar("refuses a total that no memory holds", broad=True, decide=_hopeful)
_liar("refuses a round without anybody", decide=_haunted)
_liar("works with one agent", decide=_only(1))
_liar("works with sixty four agents", decide=_only(64))
_liar("works with fewer examples than agents", decide=_rich)
_liar("works where a clock is too coarse", learn=_dividing)
_liar("chooses something that there is", broad=True, decide=_deciding(_reaching))
_liar("expects seconds for each agent or none at all", decide=_deciding(_forecasting))
_liar("gives a reason of one line", decide=_deciding(_silent))
_liar("decides without changing anything", decide=_counting, state_dict=_counted)
_liar("decides the same after the same rounds", __init__=_chancy)
_liar(
    "goes on identically from a state that went through json",
    load_state_dict=_forgetful,
)
_liar("hands out a state of its own", state_dict=_shared)


@pytest.mark.parametrize("sentence", list(_LIARS))
def test_a_lying_policy_is_caught_by_the_promise_that_it_breaks(sentence):
    findings = [check(each, _LIARS[sentence]) for each in promises("policies")]
    broken = {each.promise: each.why for each in findings if not each.passed}
    if sentence in _BROAD:
        assert sentence in broken
    else:
        assert list(broken) == [sentence], broken


def test_every_promise_of_the_policies_has_a_liar():
    assert {each.sentence for each in promises("policies")} == set(_LIARS)


def test_an_honest_policy_keeps_every_promise():
    class Honest(Policy):
        """Gives all to the first that is up and has room."""

        def decide(self, seen: RoundReading) -> Assignment:
            most = caps(seen)
            shares = proportional([0.0] * len(most), seen.total, most)
            return Assignment(
                samples=tuple(shares.tolist()),
                expected_seconds=(NAN,) * len(most),
                reason="as it comes",
            )

        def learn(self, seen: Any, choice: Any, outcome: Any) -> None: ...

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    assert [each for each in promises("policies") if not check(each, Honest).passed] == []
