"""What every controller promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, get_args, get_type_hints

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
from paceline.core.readings import Move, Reading, Steer

_RATE = 0.1
_BUDGETS = (1, 2, 3, 10, 97)
_BROKEN = (float("nan"), float("inf"), float("-inf"))
_VALIDATE_EVERY = 5
_VERBS = get_args(get_type_hints(Move)["verb"])


def is_made_with_a_learning_rate_alone(part: Part) -> None:
    part(_RATE)


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 1)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, _RATE)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, _RATE)


def refuses_learning_rates_that_are_not_positive(part: Part) -> None:
    for rate in (0.0, -0.1, *_BROKEN):
        expect_refusal(partial(part, rate), SettingError, f"a learning rate of {rate}")


def observes_and_decides_without_changing_anything(part: Part) -> None:
    controller = part(_RATE)
    for reading, choice in _drive(controller, _Run(40)):
        state, values = through_json(controller.state_dict(), part.__name__), dict(reading.values)
        again = controller.decide(controller.observe(reading))
        expect(choice == again, f"asked twice at step {reading.step}: {choice}, then {again}")
        expect(
            same(state, through_json(controller.state_dict(), part.__name__)),
            f"observe or decide changed the state at step {reading.step}",
        )
        expect(same(values, dict(reading.values)), "the reading was changed")


def gives_a_steer_with_a_reason_in_one_line(part: Part) -> None:
    for _, choice in _drive(part(_RATE), _Run(20)):
        expect(isinstance(choice, Steer), f"decide gave a {type(choice).__name__}, not a Steer")
        reason = choice.reason
        expect(
            isinstance(reason, str) and "\n" not in reason,
            f"the reason is not one line of text: {reason!r}",
        )


def keeps_rates_finite_and_not_negative_over_a_budget_of_steps(part: Part) -> None:
    for steps in _BUDGETS:
        _expect_sound_rates(part, _Run(steps, beyond=5))


def keeps_rates_finite_and_not_negative_over_a_budget_of_time(part: Part) -> None:
    for steps in _BUDGETS:
        _expect_sound_rates(part, _Run(steps, beyond=5, ends="by time"))


def keeps_rates_finite_and_not_negative_without_an_end(part: Part) -> None:
    _expect_sound_rates(part, _Run(150, ends="never"))


def multiplies_rates_by_finite_positive_factors(part: Part) -> None:
    for reading, choice in _everywhere(part):
        expect(
            _is_number(choice.factor) and math.isfinite(choice.factor) and choice.factor > 0,
            f"the factor is {choice.factor!r} at step {reading.step}",
        )


def makes_moves_that_are_known(part: Part) -> None:
    for reading, choice in _everywhere(part):
        for move in choice.moves:
            known = isinstance(move, Move) and move.verb in _VERBS
            expect(known, f"there is no move {move!r}, at step {reading.step}")
            named = isinstance(move.name, str) and (move.name or move.verb == "revive")
            expect(bool(named), f"the move {move!r} at step {reading.step} has no name")


def asks_for_batches_that_were_seen_or_come_next(part: Part) -> None:
    for reading, choice in _everywhere(part):
        asked = choice.batch
        expect(
            asked is None or (isinstance(asked, int) and 0 <= asked <= reading.batch),
            f"the batch {asked!r} is asked for when {reading.batch} comes next",
        )


def tells_facts_that_are_plain_floats(part: Part) -> None:
    for reading, choice in _everywhere(part):
        for name, fact in choice.told.items():
            expect(
                isinstance(name, str) and type(fact) is float,
                f"{name!r} is told as {fact!r} at step {reading.step}, which is no float",
            )


def does_without_memory_where_there_is_none(part: Part) -> None:
    for reading, choice in _drive(part(_RATE), _Run(96, remembers=False)):
        _expect_sound(choice, reading)
        asked = [move for move in choice.moves if move.verb != "revive"]
        expect(not asked, f"nothing is remembered, and {asked} is asked for at step {reading.step}")


def does_without_old_batches_where_there_are_none(part: Part) -> None:
    for reading, choice in _drive(part(_RATE), _Run(96, replays=False)):
        _expect_sound(choice, reading)
        expect(
            choice.batch in (None, reading.batch),
            f"no batch comes twice, and number {choice.batch} is asked for at step {reading.step}",
        )


def decides_before_any_monitor_has_spoken(part: Part) -> None:
    controller = part(_RATE)
    silent = Reading(step=0, progress=0.0, total_steps=10)
    seen = controller.observe(silent)
    controller.learn(seen, controller.decide(seen), silent)


def goes_on_after_losses_that_are_not_finite(part: Part) -> None:
    for reading, choice in _drive(part(_RATE), _Run(30, broken=True)):
        _expect_sound(choice, reading)


def goes_on_identically_from_a_state_that_went_through_json(part: Part) -> None:
    controller, other, run = part(_RATE), part(_RATE), _Run(60)
    for reading, expected in _drive(controller, run):
        if reading.step in (0, 17, 41):
            other = part(_RATE)
            other.load_state_dict(through_json(controller.state_dict(), part.__name__))
        seen = other.observe(reading)
        found = other.decide(seen)
        expect(
            expected == found,
            f"at step {reading.step} it decides {expected}, but {found} after a resume",
        )
        other.learn(seen, found, run.after(expected))


def has_a_configuration_of_json_values_that_makes_it_again(part: Part) -> None:
    controller, run = part(_RATE), _Run(60)
    config = through_json(controller.get_config(), part.__name__)
    other = part.from_config(config)
    expect(
        same(config, through_json(other.get_config(), part.__name__)),
        f"made from {config}, its configuration is {other.get_config()}",
    )
    for reading, expected in _drive(controller, run):
        seen = other.observe(reading)
        found = other.decide(seen)
        expect(
            expected == found,
            f"at step {reading.step} it decides {expected}, but {found} made from {config}",
        )
        other.learn(seen, found, run.after(expected))


def refuses_configurations_that_are_not_its_own(part: Part) -> None:
    config = part(_RATE).get_config()
    unknown = config | {"no_such_setting": 1}
    expect_refusal(partial(part.from_config, unknown), SettingError, "an unknown setting")
    less = {name: value for name, value in config.items() if name != "learning_rate"}
    what = "a configuration without a learning rate"
    expect_refusal(partial(part.from_config, less), SettingError, what)


def decides_the_same_for_the_same_readings(part: Part) -> None:
    with chance(1):
        first = [choice for _, choice in _drive(part(_RATE), _Run(40))]
    with chance(2):
        second = [choice for _, choice in _drive(part(_RATE), _Run(40))]
    for step, (one, other) in enumerate(zip(first, second, strict=False)):
        expect(one == other, f"two runs differ at step {step}: {one}, then {other}")
    expect(len(first) == len(second), f"of two runs one ends after {len(first)} steps")


def keeps_to_what_it_foretells(part: Part) -> None:
    """It gives the rates that it foretold, and steps may be told together as it said."""
    single, joint, run = part(_RATE), part(_RATE), _Run(97)
    held = _Held()
    for reading, choice in _drive(single, run):
        if held.left == 0:
            held = _Held.of(joint.observe(reading), joint.decide(joint.observe(reading)))
            held.expect_form(reading)
        held.expect_rate(reading, choice)
        outcome = run.after(choice)
        told = held.after(outcome)
        if told is not None:
            joint.learn(held.seen, held.choice, told)


def _expect_sound_rates(part: Part, run: _Run) -> None:
    for reading, choice in _drive(part(_RATE), run):
        _expect_sound(choice, reading)


def _expect_sound(choice: Any, reading: Reading) -> None:
    rate = choice.learning_rate
    of = f"step {reading.step} of {reading.total_steps or 'a budget without a number of steps'}"
    expect(
        rate is None or (math.isfinite(rate) and rate >= 0),
        f"the learning rate is {rate} at {of}",
    )
    size = choice.batch_size
    expect(size is None or size >= 1, f"the batch size is {size} at {of}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _everywhere(part: Part) -> Iterator[tuple[Reading, Any]]:
    """What a controller decides in runs of several kinds."""
    for run in (_Run(97), _Run(97, ends="by time"), _Run(60, ends="never"), _Run(30, broken=True)):
        yield from _drive(part(_RATE), run)


def _drive(controller: Any, run: _Run) -> Iterator[tuple[Reading, Any]]:
    """Each reading with what is decided; then it is done, and learnt from."""
    while not run.is_over:
        reading = run.reading()
        seen = controller.observe(reading)
        choice = controller.decide(seen)
        yield reading, choice
        outcome = run.after(choice)
        controller.learn(seen, choice, outcome)
        run.do(choice)


class _Held:
    """A steer that stands for some steps, and the losses of those that wait to be told."""

    def __init__(self, seen: Any = None, choice: Any = None, left: int = 0) -> None:
        self.seen, self.choice, self.left = seen, choice, left
        self._earlier: list[float] = []

    @classmethod
    def of(cls, seen: Any, choice: Any) -> _Held:
        singly = choice.moves or choice.probing or choice.measure or choice.stop
        return cls(seen, choice, 1 if singly or choice.batch_size else choice.holds)

    def expect_form(self, reading: Reading) -> None:
        holds, rates, alarm = self.choice.holds, self.choice.rates, self.choice.alarm
        sound = type(holds) is int and holds >= 1 and not math.isnan(alarm)
        expect(
            sound and len(rates) in (0, holds - 1),
            f"at step {reading.step} it holds for {holds!r} steps under {alarm}, with {rates}",
        )

    def expect_rate(self, reading: Reading, given: Any) -> None:
        at = len(self._earlier)
        rate = self.choice.rates[at - 1] if at and self.choice.rates else self.choice.learning_rate
        expect(
            (rate is None and given.learning_rate is None)
            or math.isclose(rate, given.learning_rate, rel_tol=1e-6, abs_tol=1e-12),
            f"at step {reading.step} it foretold a rate of {rate}, and asks for"
            f" {given.learning_rate}",
        )

    def after(self, outcome: Reading) -> Reading | None:
        """What is to be told after a step; None where it can wait."""
        self.left -= 1
        loss = outcome.values["loss"]
        if self.left > 0 and loss <= self.choice.alarm:
            self._earlier.append(loss)
            return None
        self.left = 0
        return replace(outcome, earlier=tuple(self._earlier))


class _Run:
    """A run whose loss falls, rises and lies still, with a validation now and then.

    It does with batches, moves and facts what the loop does. Its numbers do not depend on
    the rates, so that two controllers can be compared over the same run.

    Args:
        steps: In the budget.
        beyond: Steps after its end.
        ends: ``by steps``, ``by time`` or ``never``: what is known of the end.
        broken: Whether losses and norms are not finite, each in its turn.
        replays: Whether a batch can be asked for again.
        remembers: Whether a state can be kept.
    """

    def __init__(
        self,
        steps: int,
        *,
        beyond: int = 0,
        ends: str = "by steps",
        broken: bool = False,
        replays: bool = True,
        remembers: bool = True,
    ) -> None:
        self._steps, self._last, self._ends, self._broken = steps, steps + beyond, ends, broken
        self._replays, self._remembers = replays, remembers
        self._step = self._batch = 0
        self._values: dict[str, float] = {"adaptive": 0.0, **self._measured(0)}
        self._stopped = False

    @property
    def is_over(self) -> bool:
        return self._stopped or self._step >= self._last

    def reading(self) -> Reading:
        return self._reading(self._step, self._batch, self._values)

    def after(self, choice: Any) -> Reading:
        """The reading that will come of a choice."""
        fresh = choice.batch is None or choice.batch >= self._batch
        return self._reading(self._step + 1, self._batch + fresh, self._news(choice))

    def do(self, choice: Any) -> None:
        outcome = self.after(choice)
        self._step, self._batch, self._values = outcome.step, outcome.batch, dict(outcome.values)
        self._stopped = bool(choice.stop)

    def _reading(self, step: int, batch: int, values: dict[str, float]) -> Reading:
        return Reading(
            step=step,
            progress=0.0 if self._ends == "never" else min(step / self._steps, 1.0),
            total_steps=self._steps if self._ends == "by steps" else None,
            values=dict(values),
            batch=batch,
            replays=self._replays,
            remembers=self._remembers,
        )

    def _news(self, choice: Any) -> dict[str, float]:
        values, step = dict(self._values), self._step + 1
        back = any(move.verb == "restore" for move in choice.moves)
        if back and not (choice.probing or values["probing"]):
            values["restores"] += 1
        values |= self._measured(step, probing=choice.probing) | dict(choice.told)
        values["skipped_steps"] += self._broken
        return values

    def _measured(self, step: int, *, probing: bool = False) -> dict[str, float]:
        """What the loop says of a step, and, where it is no trial, the monitors."""
        loss, norm = (2.0 + math.cos(step / 6) if step < 30 else 1.0), 1.0
        trend = -0.01 * math.sin(step / 6)
        if self._broken:
            loss = norm = trend = _BROKEN[step % 3]
        said = {"loss": loss, "gradient_norm": norm, "gradient_alignment": math.sin(step)}
        said["probing"] = float(probing)
        if step == 0:
            said |= {"skipped_steps": 0.0, "restores": 0.0}
        if probing:
            return said
        return said | {
            "loss_smooth": loss,
            "loss_trend": trend,
            "broken_steps": 0.0,
            "validation_loss": loss,
            "validations": float(step // _VALIDATE_EVERY),
            "step_seconds": 0.01,
            "examples_per_second": 6400.0,
            "update_examples": 64.0,
            "noise_scale_examples": 64.0 * (1.5 + step / 8),
        }
