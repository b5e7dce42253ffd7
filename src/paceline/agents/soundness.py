"""What a scheduler refuses, in one line each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from paceline.core.errors import SettingError
from paceline.core.rounds import Assignment, Choice, RoundReading
from paceline.policies.base import Terms

MOST_AGENTS = 100_000


def terms_of(alpha: float, beta: float, slack: float, seed: int) -> Terms:
    """The terms of a scheduler, once all are in their range."""
    expect_not_negative("alpha", alpha)
    expect_not_negative("beta", beta)
    if not alpha and not beta:
        raise SettingError("alpha and beta must not both be 0: there would be nothing to gain")
    if not 1 <= slack < math.inf:
        raise SettingError(f"slack must be at least 1 and finite, got {slack}")
    if not isinstance(seed, int) or seed < 0:
        raise SettingError(f"seed must be a whole number, at least 0, got {seed!r}")
    return Terms(alpha=float(alpha), beta=float(beta), slack=float(slack), seed=seed)


def expect_count(agents: int) -> None:
    """Refuses a number of agents that is none."""
    if not isinstance(agents, int) or isinstance(agents, bool) or not 1 <= agents <= MOST_AGENTS:
        raise SettingError(f"agents must be a number from 1 to {MOST_AGENTS}, got {agents!r}")


def expect_choices(choices: Sequence[Choice]) -> None:
    """Refuses choices that cannot be done."""
    if not choices:
        raise SettingError("choices must not be empty; the first is the plain one")
    for number, each in enumerate(choices):
        if each.sync_interval < 1 or not 0 < each.batch_factor < math.inf:
            raise SettingError(
                f"choices[{number}] needs a sync_interval of at least 1 and a batch_factor over 0, "
                f"got {each.sync_interval} and {each.batch_factor:g}"
            )


def expect_not_negative(name: str, value: float) -> None:
    """Refuses what is no number, negative or endless."""
    if not _is_number(value) or not 0 <= value < math.inf:
        raise SettingError(f"{name} must be at least 0 and finite, got {value!r}")


def price_of(value: Any) -> float:
    """A price, once it is one."""
    expect_not_negative("a price", value)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def seconds_of(seconds: Sequence[float], agents: int) -> list[float]:
    """The seconds of all agents, nan for the dead, once they are that."""
    times = [float(each) for each in seconds]
    if len(times) != agents:
        raise SettingError(f"seconds must be {agents}, one for each agent, got {len(times)}")
    for number, each in enumerate(times):
        if each < 0 or each == math.inf:
            raise SettingError(
                f"seconds[{number}] must be at least 0, or nan for a dead agent, got {each:g}"
            )
    return times


def samples_of(samples: Sequence[int], agents: int) -> tuple[int, ...]:
    """What was given to each agent, once it is that."""
    if len(samples) != agents or any(each < 0 for each in samples):
        raise SettingError(
            f"samples must be {agents} numbers, at least 0, one for each agent, got {list(samples)}"
        )
    return tuple(int(each) for each in samples)


def choice_of(number: int, choices: Sequence[Choice]) -> int:
    """The number of a choice, once there is one."""
    if not 0 <= number < len(choices):
        raise SettingError(f"choice must be from 0 to {len(choices) - 1}, got {number}")
    return number


def expect_sound(decided: Assignment, seen: RoundReading, policy: str) -> None:
    """Refuses what a policy may not decide; theirs may come from outside.

    Raises:
        SettingError: With what is wrong.
    """
    samples = decided.samples
    if len(samples) != len(seen.agents) or sum(samples) != seen.total or min(samples) < 0:
        raise SettingError(
            f"the policy {policy} gave {len(samples)} shares that sum to {sum(samples)}, for "
            f"{len(seen.agents)} agents and {seen.total} examples"
        )
    for number, (share, agent) in enumerate(zip(samples, seen.agents, strict=True)):
        if share and not agent.is_up:
            raise SettingError(f"the policy {policy} gave agent {number} work; it is dead")
    if not 0 <= decided.choice < len(seen.choices):
        raise SettingError(
            f"the policy {policy} chose {decided.choice} of {len(seen.choices)} choices"
        )
