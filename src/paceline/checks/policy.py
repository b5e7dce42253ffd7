"""What every scheduling policy promises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from paceline.checks.base import (
    Part,
    chance,
    expect,
    expect_named_settings,
    expect_refusal,
    expect_unknown_refused,
    expect_unreal_refused,
    same,
    through_json,
)
from paceline.core.errors import SettingError
from paceline.core.rounds import NAN, AgentReading, Assignment, Choice, RoundReading
from paceline.policies.base import Terms

_TERMS = Terms(alpha=1.0, beta=0.5, seed=3)
_CHOICES = (Choice(), Choice(sync_interval=4), Choice(sync_interval=4, batch_factor=2.0))


def is_made_with_terms_alone(part: Part) -> None:
    part(_TERMS)


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 1)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, _TERMS)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, _TERMS)


def gives_shares_that_sum_to_the_total(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _story(5)):
        told = f"{sum(choice.samples)} of {seen.total} examples"
        expect(len(choice.samples) == len(seen.agents), f"{len(choice.samples)} shares")
        expect(all(isinstance(each, int) for each in choice.samples), f"{choice.samples}")
        expect(sum(choice.samples) == seen.total, f"round {seen.round}: {told} are given out")


def gives_no_share_under_zero(part: Part) -> None:
    for _, choice in _played(part(_TERMS), _story(5)):
        expect(min(choice.samples) >= 0, f"a share is {min(choice.samples)}")


def gives_nothing_to_the_dead(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _story(5)):
        for number, (share, agent) in enumerate(zip(choice.samples, seen.agents, strict=True)):
            expect(not share or agent.is_up, f"agent {number} is dead and has {share} examples")


def gives_no_more_than_fits_into_a_memory(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _capped()):
        for number, (share, agent) in enumerate(zip(choice.samples, seen.agents, strict=True)):
            most = agent.most_samples
            expect(most is None or share <= most, f"agent {number} has {share}, {most} fit")


def refuses_a_total_that_no_memory_holds(part: Part) -> None:
    agents = (AgentReading(most_samples=2), AgentReading(most_samples=3))
    seen = RoundReading(round=0, total=6, agents=agents)
    expect_refusal(lambda: part(_TERMS).decide(seen), SettingError, "6 examples for a room of 5")


def refuses_a_round_without_anybody(part: Part) -> None:
    agents = (AgentReading(seconds=NAN), AgentReading(seconds=NAN))
    seen = RoundReading(round=0, total=6, agents=agents)
    expect_refusal(lambda: part(_TERMS).decide(seen), SettingError, "a round of dead agents")


def works_with_one_agent(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _steady(1)):
        expect(choice.samples == (seen.total,), f"one agent has {choice.samples}")


def works_with_sixty_four_agents(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _steady(64)):
        expect(sum(choice.samples) == seen.total, f"{sum(choice.samples)} of {seen.total}")


def works_with_fewer_examples_than_agents(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _steady(8, total=3)):
        expect(sum(choice.samples) == 3, f"{sum(choice.samples)} of {seen.total}")


def works_where_a_clock_is_too_coarse(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _steady(3), pace=0.0):
        expect(sum(choice.samples) == seen.total, f"{sum(choice.samples)} of {seen.total}")


def chooses_something_that_there_is(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _choosing()):
        there = len(seen.choices)
        expect(0 <= choice.choice < there, f"choice {choice.choice} of {there}")


def expects_seconds_for_each_agent_or_none_at_all(part: Part) -> None:
    for seen, choice in _played(part(_TERMS), _story(5)):
        found = choice.expected_seconds
        expect(len(found) in (0, len(seen.agents)), f"{len(found)} seconds are expected")
        for each in found:
            sound = math.isnan(each) or 0 <= each < math.inf
            expect(sound, f"{each} seconds are expected of an agent")


def gives_a_reason_of_one_line(part: Part) -> None:
    for _, choice in _played(part(_TERMS), _story(5)):
        reason = choice.reason
        expect(bool(reason) and "\n" not in reason, f"the reason is {reason!r}")


def decides_without_changing_anything(part: Part) -> None:
    policy = part(_TERMS)
    for seen, choice in _played(policy, [*_story(4), *_choosing()]):
        before = through_json(policy.state_dict(), part.__name__)
        with chance(seen.round):
            again = policy.decide(seen)
        expect(_alike(choice, again), f"asked twice: {choice.samples}, then {again.samples}")
        after = through_json(policy.state_dict(), part.__name__)
        expect(same(before, after), "deciding changed the state")


def decides_the_same_after_the_same_rounds(part: Part) -> None:
    found = []
    for seed in (1, 2):
        with chance(seed):
            found.append([choice for _, choice in _played(part(_TERMS), _story(4))])
    expect(all(map(_alike, *found)), "two policies with the same terms decide differently")


def goes_on_identically_from_a_state_that_went_through_json(part: Part) -> None:
    policy, other = part(_TERMS), part(_TERMS)
    for number, (seen, choice) in enumerate(_played(policy, [*_story(4), *_choosing()])):
        if number in (0, 3, 11):
            other = part(_TERMS)
            other.load_state_dict(through_json(policy.state_dict(), part.__name__))
        expect(_alike(choice, other.decide(seen)), f"round {seen.round}: it decides otherwise")
        other.learn(seen, choice, _after(seen, choice))


def hands_out_a_state_of_its_own(part: Part) -> None:
    policy = part(_TERMS)
    handed: list[tuple[Any, Any]] = []
    for _ in _played(policy, _steady(3)):
        for held, was in handed:
            expect(same(was, held), "a state that was handed out goes on changing")
        held = policy.state_dict()
        handed.append((held, through_json(held, part.__name__)))


def _alike(one: Assignment, other: Assignment) -> bool:
    plain = (one.samples, one.choice, one.reason) == (other.samples, other.choice, other.reason)
    return plain and same(one.expected_seconds, other.expected_seconds)


def _played(
    policy: Any, readings: Sequence[RoundReading], pace: float = 1.0
) -> Iterator[tuple[RoundReading, Assignment]]:
    """What a policy decides in a row of rounds; it learns what came of each after that."""
    before: RoundReading | None = None
    for reading in readings:
        seen = reading if before is None else _later(reading, before)
        seen = policy.observe(seen)
        choice = policy.decide(seen)
        yield seen, choice
        before = _after(seen, choice, pace)
        policy.learn(seen, choice, before)


def _later(reading: RoundReading, before: RoundReading) -> RoundReading:
    """A reading with what the last round left in it."""
    done = [*before.agents, *reading.agents[len(before.agents) :]]
    agents = tuple(
        replace(old, seconds=new.seconds if not new.is_up or not old.is_up else old.seconds)
        for old, new in zip(done, reading.agents, strict=True)
    )
    return replace(
        reading,
        agents=agents,
        chosen=before.chosen if before.choices == reading.choices else 0,
        communication_seconds=before.communication_seconds,
        reward=before.reward,
        progress=before.progress,
    )


def _after(seen: RoundReading, choice: Assignment, pace: float = 1.0) -> RoundReading:
    """What a round gives: agent i needs about 0.01 + 0.001 · (1 + i mod 4) a sample."""
    agents = []
    for number, (agent, samples) in enumerate(zip(seen.agents, choice.samples, strict=True)):
        wobble = 1 + 0.05 * math.sin(1.7 * number + 2.3 * seen.round)
        seconds = pace * wobble * (0.01 + 0.001 * (1 + number % 4) * samples)
        took = (seconds if samples else 0.0) if agent.is_up else NAN
        agents.append(replace(agent, samples=samples, seconds=took))
    chosen = seen.choices[choice.choice]
    batches = chosen.sync_interval * chosen.batch_factor
    slowest = max((each.seconds for each in agents if each.is_up), default=0.0)
    gained = batches / (1 + 0.05 * (batches - 1)) if len(seen.choices) > 1 else NAN
    worth = 0.2 * (gained if gained > 0 else 1.0) / (batches * slowest + 0.02 * pace + 1e-9)
    return replace(
        seen,
        round=seen.round + 1,
        agents=tuple(agents),
        communication_seconds=0.02 * pace,
        chosen=choice.choice,
        reward=worth,
        progress=gained * seen.total,
    )


def _reading(number: int, agents: Sequence[AgentReading], total: int = 240) -> RoundReading:
    return RoundReading(round=number, total=total, agents=tuple(agents))


def _steady(agents: int, total: int = 240) -> list[RoundReading]:
    return [_reading(number, [AgentReading()] * agents, total) for number in range(8)]


def _story(agents: int) -> list[RoundReading]:
    """Agents of several prices of whom one dies and comes back, another joins, all but one die."""
    team = [AgentReading(price=1.0 + number % 3) for number in range(agents)]
    dead = replace(team[1], seconds=NAN)
    lonely = [team[0], *(replace(each, seconds=NAN) for each in [*team[1:], team[0]])]
    without, joined = [team[0], dead, *team[2:]], [*team, team[0]]
    acts = [team] * 4 + [without] * 4 + [team] * 4 + [joined] * 5 + [lonely] * 2 + [joined] * 3
    return [_reading(number, each, 240 - number % 3) for number, each in enumerate(acts)]


def _capped() -> list[RoundReading]:
    limits = (None, 20, 7, 0)
    team = [AgentReading(most_samples=most) for most in limits]
    full = [AgentReading(most_samples=most) for most in (200, 20, 20, 0)]
    return [_reading(number, team if number % 3 else full) for number in range(9)]


def _choosing(agents: int = 5) -> list[RoundReading]:
    team = [AgentReading(price=1.0 + number % 2) for number in range(agents)]
    return [replace(_reading(number, team), choices=_CHOICES) for number in range(30, 60)]
