"""What a multiplier promises beyond a controller; each claim is seen to catch a liar."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from paceline.controllers.base.multiplier import KEPT, Level, Multiplier, level_of, worse_by
from paceline.core.errors import SettingError
from paceline.core.readings import Move, Reading, Steer

KEEP, RESTORE, FORGET = (Move(verb, KEPT) for verb in ("keep", "restore", "forget"))


class Script(Multiplier):
    """Asks for the same factor again and again."""

    factor = 2.0

    def propose(self, seen: Reading) -> tuple[float, str]:
        return self.factor, "as told"


@dataclass
class World:
    """A training in one number: the loss is multiplied at each step, depending on the rate."""

    growth: Callable[[float], float]
    noise: float = 0.0
    remembers: bool = True
    level: float = 1.0
    kept: dict[str, float] = field(default_factory=dict)
    steers: list[Steer] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    restores: int = 0
    broken: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def drive(self, controller: Multiplier, steps: int, total: int | None = None) -> World:
        draw, values = random.Random(0), {}
        for step in range(len(self.steers), len(self.steers) + steps):
            progress = 0.0 if total is None else step / total
            heard = Reading(
                step=step,
                progress=progress,
                total_steps=total,
                values=dict(values),
                remembers=self.remembers,
            )
            steer = controller.decide(heard)
            assert steer == controller.decide(heard)
            for move in steer.moves:
                self._do(move)
            self.restores += step in self.foreign
            loss = self.level + self.noise * draw.gauss(0, 1)
            loss = math.nan if step in self.broken else loss
            assert steer.learning_rate is not None
            self.level = min(self.level * self.growth(steer.learning_rate), 1e30)
            values = {"loss": loss, "restores": float(self.restores)}
            controller.learn(heard, steer, Reading(step=step + 1, progress=progress, values=values))
            self.steers.append(steer)
            self.losses.append(loss)
        return self

    def _do(self, move: Move) -> None:
        if move.verb == "keep":
            self.kept[move.name] = self.level
        elif move.verb == "restore":
            self.level = self.kept[move.name]
            self.restores += 1
        else:
            del self.kept[move.name]

    @property
    def rates(self) -> list[float]:
        return [steer.learning_rate or 0.0 for steer in self.steers]

    def changes(self) -> list[int]:
        pairs = pairwise(self.rates)
        return [step + 1 for step, (one, other) in enumerate(pairs) if one != other]


def falling(rate: float) -> float:
    return 0.99


def over(limit: float, harm: float = 1.1) -> Callable[[float], float]:
    """Falls up to a rate, rises beyond it."""
    return lambda rate: harm if rate > limit else 0.99


def made(part: type[Script], factor: float = 2.0, rate: float = 0.1, **settings: Any) -> Script:
    controller = part(rate, **({"decay": False} | settings))
    controller.factor = factor
    return controller


# --- the claims


def acts_within_a_factor_of_five_and_the_bounds(part: type[Script]) -> None:
    for factor in (1e9, 4.0, 0.3, 1e-9, math.inf, math.nan, 0.0, -2.0):
        rates = World(falling).drive(made(part, factor), 400).rates
        for one, other in pairwise(rates):
            assert 1 / 5 - 1e-9 <= other / one <= 5 + 1e-9
        assert min(rates) >= 1e-8 and max(rates) <= 1e3


def does_nothing_while_it_cools_down(part: type[Script]) -> None:
    for pause in (1, 8, 20):
        world = World(falling).drive(made(part, 1.1, cool_down=pause), 200)
        changes = world.changes()
        assert len(changes) > 5
        gaps = {after - before for before, after in pairwise(changes)}
        assert gaps == {max(pause, 8) + 1}


def reverts_what_did_harm_after_a_window(part: type[Script]) -> None:
    world = World(over(0.15)).drive(made(part), 19)
    assert world.changes() == [9, 18]
    assert [world.rates[step] for step in (8, 9, 17, 18)] == [0.1, 0.2, 0.2, 0.1]
    assert world.steers[18].reason.startswith("reverted to 0.1: loss 1.")
    assert "expected 0.9" in world.steers[18].reason


def puts_the_training_back_with_the_rate(part: type[Script]) -> None:
    world = World(over(0.15)).drive(made(part), 19)
    assert world.steers[0].moves == world.steers[9].moves == (KEEP,)
    assert world.steers[18].moves == (RESTORE,)
    assert world.losses[18] == world.losses[9]


def puts_back_the_rate_alone_where_nothing_is_remembered(part: type[Script]) -> None:
    world = World(over(0.15), remembers=False).drive(made(part), 60)
    assert world.rates[18] == 0.1
    assert {steer.moves for steer in world.steers} == {()}


def forgives_what_is_within_the_noise(part: type[Script]) -> None:
    world = World(over(0.15, harm=1.0001), noise=0.1).drive(made(part, 1.3), 40)
    assert len(world.changes()) == 4 and world.rates[-1] == pytest.approx(0.1 * 1.3**4)


def switches_itself_off_after_three_reverts_in_a_row(part: type[Script]) -> None:
    world = World(over(0.15)).drive(made(part), 300)
    assert len(world.changes()) == 6
    last = world.changes()[-1]
    assert world.steers[last].reason.startswith("switched off after 3 reverts in a row")
    assert world.steers[last].moves == (RESTORE, FORGET) and world.kept == {}
    assert set(world.rates[last:]) == {0.1}
    assert {steer.reason for steer in world.steers[last:]} == {world.steers[last].reason}


def counts_only_reverts_in_a_row(part: type[Script]) -> None:
    controller, world = made(part), World(over(0.15))
    for factor in (2.0, 2.0, 0.9, 2.0, 2.0, 0.9, 2.0, 2.0):
        controller.factor = factor
        before = len(world.changes())
        for _ in range(30):
            world.drive(controller, len(world.changes()) == before)
        world.drive(controller, 9)
    assert not any("switched off" in steer.reason for steer in world.steers)


def begins_anew_with_a_lower_rate_where_the_given_one_is_too_high(part: type[Script]) -> None:
    world = World(over(0.05, harm=2.0)).drive(made(part, 1.0, rate=10.0), 200)
    assert world.rates[-1] == pytest.approx(10.0 / 5**4)
    assert [world.rates[step] for step in world.changes()[:2]] == [2.0, pytest.approx(0.4)]
    assert all(world.losses[step] == 1.0 for step in world.changes())
    assert world.losses[-1] < 1


def reverts_at_once_where_losses_are_not_finite(part: type[Script]) -> None:
    world = World(falling, broken={12, 13}).drive(made(part), 20)
    assert world.changes()[:2] == [9, 14] and world.rates[14] == 0.1
    assert world.steers[14].reason == "reverted to 0.1: the loss is not finite"


def shrugs_off_a_single_broken_batch(part: type[Script]) -> None:
    world = World(falling, broken={12, 30, 50}).drive(made(part), 60)
    assert world.rates == sorted(world.rates) and len(world.changes()) == 6


def takes_the_rate_back_when_someone_else_set_the_run_back(part: type[Script]) -> None:
    world = World(falling, foreign={12}).drive(made(part), 20)
    assert world.changes()[:2] == [9, 13] and world.rates[13] == 0.1
    assert world.steers[13].moves == () and "set back" in world.steers[13].reason


def falls_to_zero_over_the_budget_unless_told_not_to(part: type[Script]) -> None:
    world = World(falling).drive(made(part, 1.0, decay=True), 100, total=100)
    assert world.rates == pytest.approx([0.1 * (1 - step / 100) for step in range(100)])
    flat = World(falling).drive(made(part, 1.0), 100, total=100)
    assert set(flat.rates) == {0.1}


def goes_on_the_same_after_a_resume_at_any_step(part: type[Script]) -> None:
    for at in range(0, 60, 7):
        first, second = made(part), made(part)
        world = World(over(0.3)).drive(first, at)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        was = json.dumps(first.state_dict())
        rates = world.drive(second, 60).rates
        assert rates == World(over(0.3)).drive(made(part), at + 60).rates
        assert json.dumps(first.state_dict()) == was, "a state was shared"


CLAIMS = [
    acts_within_a_factor_of_five_and_the_bounds,
    does_nothing_while_it_cools_down,
    reverts_what_did_harm_after_a_window,
    puts_the_training_back_with_the_rate,
    puts_back_the_rate_alone_where_nothing_is_remembered,
    forgives_what_is_within_the_noise,
    switches_itself_off_after_three_reverts_in_a_row,
    counts_only_reverts_in_a_row,
    begins_anew_with_a_lower_rate_where_the_given_one_is_too_high,
    reverts_at_once_where_losses_are_not_finite,
    shrugs_off_a_single_broken_batch,
    takes_the_rate_back_when_someone_else_set_the_run_back,
    falls_to_zero_over_the_budget_unless_told_not_to,
    goes_on_the_same_after_a_resume_at_any_step,
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_multiplier(claim):
    claim(Script)


# --- liars


class Bold(Script):
    def _acting(self, seen: Reading) -> Any:
        plan = super()._acting(seen)
        return plan._replace(rate=plan.rate * 3) if self.factor > 4 else plan


class Hasty(Script):
    def __init__(self, learning_rate: float, **settings: Any) -> None:
        super().__init__(learning_rate, **(settings | {"cool_down": 1}))


class Stubborn(Script):
    def _judge(self) -> None:
        self._memory.trial = False


class Halfhearted(Script):
    def _reverting(self) -> Any:
        return super()._reverting()._replace(moves=())


class Reckless(Script):
    def _keeping(self, seen: Reading) -> Any:
        return (KEEP,)


class Nervous(Script):
    def _judge(self) -> None:
        self.tolerance = 1e-9
        super()._judge()


class Tireless(Script):
    def _go_back(self) -> None:
        super()._go_back()
        self._memory.reverts = 0
        self._memory.off = False


class Resentful(Script):
    def _judge(self) -> None:
        reverts = self._memory.reverts
        super()._judge()
        self._memory.reverts = reverts


class Trusting(Script):
    def _judge(self) -> None:
        if self._memory.earlier:
            super()._judge()
        self._memory.trial = False


class Blind(Script):
    def _condemn(self, why: str, after: Any) -> None:
        if "finite" not in why:
            super()._condemn(why, after)


class Touchy(Script):
    def _hear(self, outcome: Reading, *, fresh: bool) -> None:
        super()._hear(outcome, fresh=fresh)
        self._memory.broken *= 2


class Deaf(Script):
    def _return_of_another(self) -> None: ...


class Flat(Script):
    def decide(self, seen: Reading) -> Steer:
        self.decay = False
        return super().decide(seen)


class Forgetful(Script):
    def load_state_dict(self, state: Any) -> None:
        super().load_state_dict(state)
        self._memory.losses = []


LIARS = dict(
    zip(
        CLAIMS,
        [
            Bold,
            Hasty,
            Stubborn,
            Halfhearted,
            Reckless,
            Nervous,
            Tireless,
            Resentful,
            Trusting,
            Blind,
            Touchy,
            Deaf,
            Flat,
            Forgetful,
        ],
        strict=True,
    )
)


@pytest.mark.parametrize("claim", LIARS, ids=lambda claim: claim.__name__)
def test_a_liar_is_caught(claim):
    with pytest.raises(AssertionError):
        claim(LIARS[claim])


# --- the measure


def slow_level(losses: list[float]) -> tuple[float, float]:
    steps = [losses[at + 1] - losses[at] for at in range(len(losses) - 1)]
    around = sorted(abs(step - statistics.median(steps)) for step in steps)
    return sum(losses) / len(losses), 1.4826 * statistics.median(around) / 2**0.5


def test_a_level_is_mean_and_noise_whatever_way_the_losses_go():
    draw = random.Random(1)
    for slope in (0.0, 5.0, -5.0):
        losses = [slope * step + draw.gauss(0, 0.3) for step in range(4000)]
        level = level_of(losses)
        assert (level.mean, level.noise) == pytest.approx(slow_level(losses))
        assert level.noise == pytest.approx(0.3, rel=0.1)


def test_one_outlier_leaves_the_noise_as_it_is():
    losses = [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.1, 0.9]
    assert level_of([*losses, 1e6]).noise < 2 * level_of(losses).noise


def test_a_single_loss_has_no_noise():
    assert level_of([2.0]) == Level(2.0, 0.0, 1)


def test_worse_is_measured_in_standard_errors_of_both_sides():
    draw = random.Random(2)
    found = []
    for _ in range(500):
        before, after = ([draw.gauss(0, 1) for _ in range(100)] for _ in range(2))
        found.append(worse_by(level_of(before), level_of(after)))
    assert statistics.fmean(found) == pytest.approx(0.0, abs=0.15)
    assert statistics.stdev(found) == pytest.approx(1.0, rel=0.15)


def test_without_any_noise_a_rise_is_still_measured_and_rounding_is_not():
    assert worse_by(Level(1.0, 0.0, 8), Level(1.1, 0.0, 8)) > 1e4
    assert worse_by(Level(1.0, 0.0, 8), Level(1.0 + 1e-9, 0.0, 8)) < 0.01
    assert worse_by(Level(0.0, 0.0, 8), Level(0.0, 0.0, 8)) == 0.0


@pytest.mark.parametrize("setting", ["window", "cool_down", "tolerance"])
def test_a_setting_out_of_range_is_named(setting):
    with pytest.raises(SettingError, match=setting):
        Script(0.1, **{setting: 0})


def test_a_second_fall_after_a_revert_lowers_the_rate_that_was_brought_back():
    world = World(falling, broken={12, 13, 15, 16}).drive(made(Script), 20)
    assert [world.rates[step] for step in (13, 14, 17)] == [0.2, 0.1, pytest.approx(0.02)]


def test_a_rate_outside_the_bounds_is_brought_back_step_by_step():
    rates = World(falling).drive(made(Script, 1.0, rate=1e5), 60).rates
    assert rates[0] == 1e5 and rates[-1] == 1e3
    assert all(other >= one / 5.0001 for one, other in pairwise(rates))
