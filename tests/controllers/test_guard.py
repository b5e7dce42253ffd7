from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from paceline.controllers.guard import Guard
from paceline.core.errors import SettingError
from paceline.core.readings import Reading, Steer

NAN, INF = float("nan"), float("inf")
BROKEN = (NAN, INF)


@dataclass
class Road:
    """A slow, obvious engine: one number walks down a bowl, with noise on its loss.

    The loss is ``scale * (mean of (x - target)²) + offset + noise``; a step that is not
    finite is not applied.
    """

    guard: Guard
    rate: float = 0.05
    total: int | None = 400
    noise: float = 0.02
    scale: float = 1.0
    offset: float = 0.0
    x: float = 3.0
    spoilt: bool = False
    target: float = 0.0
    remembers: bool = True
    states: dict[str, tuple[float, bool]] = field(default_factory=dict)
    step: int = 0
    values: dict[str, float] = field(default_factory=dict)
    steers: list[Steer] = field(default_factory=list)
    revived: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(0)
        self.values.setdefault("skipped_steps", 0.0)
        self.values.setdefault("restores", 0.0)
        self.values.setdefault("probing", 0.0)

    def reading(self) -> Reading:
        progress = 0.0 if self.total is None else min(self.step / self.total, 1.0)
        return Reading(
            step=self.step,
            progress=progress,
            total_steps=self.total,
            values=dict(self.values),
            remembers=self.remembers,
        )

    def go(self, steps: int = 1, **broken: Any) -> Steer:
        for _ in range(steps):
            steer = self.one(**broken)
        return steer

    def one(
        self,
        loss: float | None = None,
        *,
        norm: float = 1.0,
        probing: bool = False,
        scaler: bool = False,
    ) -> Steer:
        before = self.reading()
        seen = self.guard.observe(before)
        steer = self.guard.decide(seen)
        for move in steer.moves:
            self._move(move.verb, move.name)
        self.values |= steer.told
        away = self.x - self.target
        true = self.scale * away**2 + self.offset + self.scale * self.chance.gauss(0, self.noise)
        loss = true if loss is None else loss
        finite = math.isfinite(loss) and math.isfinite(norm) and not self.spoilt
        if finite and not scaler:
            self.x -= self.rate * steer.factor * 2 * away
        else:
            self.values["skipped_steps"] += 1
            self.values["scaler_skips"] = self.values.get("scaler_skips", 0.0) + scaler
        self.step += 1
        self.values |= {"loss": loss, "gradient_norm": norm, "probing": float(probing)}
        self.guard.learn(seen, steer, self.reading())
        self.steers.append(steer)
        return steer

    def _move(self, verb: str, name: str) -> None:
        match verb:
            case "keep":
                self.states[name] = (self.x, self.spoilt)
            case "restore":
                self.x, self.spoilt = self.states[name]
                self.values["restores"] += 1
            case "mend":
                self.spoilt = self.states[name][1]
            case "forget":
                self.states.pop(name, None)
            case "revive":
                self.revived += 1

    @property
    def verbs(self) -> list[str]:
        return [move.verb for steer in self.steers for move in steer.moves]


def road(**given: Any) -> Road:
    settings = given.pop("settings", {})
    return Road(Guard(0.1, **settings), **given)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("offset", [-100.0, 0.0])
def test_a_calm_run_is_left_alone_whatever_the_unit_of_its_loss(scale, offset):
    calm = road(scale=scale, offset=offset * scale)
    calm.go(400)
    assert set(calm.verbs) == {"keep"}
    assert {steer.factor for steer in calm.steers} == {1.0}
    assert {steer.reason for steer in calm.steers} == {"watches the loss"}
    assert 20 <= len(calm.verbs) <= 42


def test_the_first_state_is_kept_before_the_first_step():
    first = road().one()
    assert [move.verb for move in first.moves] == ["keep"]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_loss_that_is_lost_is_brought_back_and_the_rate_lowered(scale):
    spoilt = road(scale=scale)
    spoilt.go(200)
    spoilt.x = 40.0
    spoilt.go(8)
    assert spoilt.verbs.count("restore") == 1
    assert abs(spoilt.x) < 1
    spoilt.go(5)
    assert spoilt.steers[-1].factor == pytest.approx(0.4)
    assert "the loss rose from" in spoilt.steers[-1].reason
    assert "0.4 of what was set" in spoilt.steers[-1].reason


def test_while_the_good_state_is_judged_the_run_stands_nearly_still():
    spoilt = road()
    spoilt.go(200)
    spoilt.x = 40.0
    while spoilt.one().factor == 1.0:
        pass
    assert [spoilt.one().factor for _ in range(5)] == pytest.approx([0.004] * 3 + [0.4] * 2)


def test_changed_data_are_told_and_the_rate_is_put_back():
    changed = road()
    changed.go(200)
    changed.target = 5.0
    changed.go(20)
    last = changed.steers[-1]
    assert last.told["shifts"] == 1.0
    assert last.told["shifted_at"] == pytest.approx(0.53, abs=0.04)
    assert last.factor == 1.0
    assert "the data changed" in last.reason
    changed.go(180)
    assert abs(changed.x - 5.0) < 0.2
    assert changed.steers[-1].told["shifts"] == 1.0


def test_a_good_state_that_was_spoilt_unseen_is_not_taken_for_changed_data():
    spoilt = road()
    spoilt.go(205)
    memory = spoilt.guard._memory
    assert memory.older_at >= 0
    for name in {"good", "good too"} - {memory.keep[1]}:
        spoilt.states[name] = (30.0, False)  # as if it had been kept after the fault
    spoilt.x = 30.0
    spoilt.go(30)
    assert abs(spoilt.x) < 1
    assert spoilt.values.get("shifts", 0.0) == 0.0
    assert "back to the one before it" in spoilt.guard.decide(spoilt.reading()).reason


def test_a_good_state_that_is_not_finite_gives_way_to_the_one_before_it():
    spoilt = road()
    spoilt.go(205)
    first = spoilt.guard._memory.restore[1]
    spoilt.go(9, loss=NAN)
    assert spoilt.guard._memory.restore[1] != first
    assert "was not finite either" in spoilt.steers[-1].reason or spoilt.one().reason


def test_a_change_that_passes_is_passed_over():
    disturbed = road()
    disturbed.go(200)
    before = disturbed.x
    disturbed.target = 5.0
    disturbed.go(45)
    assert abs(disturbed.x - 5.0) < 1
    disturbed.target = 0.0
    disturbed.go(3)
    disturbed.rate = 0.001  # too low to come back in time by itself
    disturbed.go(60)
    assert abs(disturbed.x - before) < 0.1
    assert "the change has passed" in disturbed.steers[-1].reason
    assert set(disturbed.states) == {"good", "good too"}


def test_a_change_that_lasts_is_looked_back_over_a_few_times_only():
    changed = road(total=4000)
    changed.go(300)
    changed.target, changed.rate = 5.0, 1e-4
    changed.go(2000)
    at = [n for n, steer in enumerate(changed.steers) if ("keep", "present") in steer.moves]
    assert [later - at[0] for later in at] == [0, 16, 48, 112, 240, 496]
    assert changed.steers[at[0] + 4].moves[0] == ("restore", "present")
    assert set(changed.states) == {"good", "good too"}


def test_a_rate_that_is_far_too_high_is_not_taken_for_changed_data():
    wild = road(rate=1.3, total=2000)
    wild.go(500)
    assert wild.values.get("shifts", 0.0) == 0.0
    assert wild.steers[-1].factor < 1.0
    assert abs(wild.x) < 1.0


def test_one_wild_loss_among_good_ones_is_forgiven():
    calm = road()
    calm.go(150)
    calm.one(50.0)
    calm.go(30)
    assert "restore" not in calm.verbs


@pytest.mark.parametrize("broken", BROKEN)
def test_a_single_step_that_is_not_finite_is_mended_and_nothing_else(broken):
    hurt = road()
    hurt.go(100)
    hurt.one(broken)
    hurt.spoilt = True
    assert [move.verb for move in hurt.one().moves] == ["mend"]
    assert not hurt.spoilt
    hurt.go(50)
    assert hurt.steers[-1].factor == 1.0


@pytest.mark.parametrize("how", [{"loss": NAN}, {"loss": INF}, {"norm": INF}, {"norm": NAN}])
def test_a_streak_that_is_not_finite_is_rolled_back_with_a_lower_rate(how):
    hurt = road()
    hurt.go(100)
    hurt.go(3, **how)
    steer = hurt.one()
    assert [move.verb for move in steer.moves] == ["restore"]
    assert "3 steps in a row were not finite" in steer.reason
    assert hurt.go(20).factor == pytest.approx(0.4)


def test_a_streak_is_counted_from_the_losses_where_nobody_counts_skipped_steps():
    guard = Guard(0.1)
    for step in range(4):
        heard = Reading(step=step, progress=0.0, values={"loss": NAN})
        steer = guard.decide(heard)
        guard.learn(heard, steer, heard)
    assert [move.verb for move in steer.moves] == ["restore"]


def test_without_a_memory_only_the_rate_is_lowered():
    hurt = road(remembers=False)
    hurt.go(50)
    hurt.go(4, loss=NAN)
    assert hurt.verbs == []
    assert hurt.steers[-1].factor == pytest.approx(0.4)
    assert "back to" not in hurt.steers[-1].reason


def test_a_scaler_that_finds_its_scale_is_left_alone():
    scaled = road()
    scaled.go(15, scaler=True)
    assert set(scaled.verbs) <= {"keep", "mend"}
    assert scaled.steers[-1].factor == 1.0
    scaled.go(50)
    scaled.go(4, norm=INF)
    assert "restore" in scaled.verbs


def test_a_run_that_stays_broken_is_given_up_with_what_was_tried():
    lost = road(total=None)
    lost.go(50)
    for _ in range(2000):
        steer = lost.one(NAN)
        if steer.stop:
            break
    assert steer.stop
    assert steer.reason.startswith("gave up: ")
    assert "5 roll-backs" in steer.reason
    assert lost.verbs.count("restore") == 5
    assert lost.one(1.0).stop


def test_where_the_good_state_is_broken_too_the_rate_is_not_blamed():
    lost = road()
    lost.go(50)
    lost.go(40, loss=NAN)
    assert lost.steers[-1].factor == 1.0
    assert "the good state is not finite either" in lost.steers[-1].reason


def test_each_failed_roll_back_waits_twice_as_long():
    lost = road(total=None)
    lost.go(50)
    lost.go(250, loss=NAN)
    at = [n for n, steer in enumerate(lost.steers) if any(m.verb == "restore" for m in steer.moves)]
    waits = [later - before for before, later in pairwise(at)]
    assert waits == [6, 12, 24, 48]


def test_failures_are_forgotten_after_finite_steps():
    hurt = road(total=None)
    for _ in range(12):
        hurt.go(40)
        hurt.go(4, loss=NAN)
    assert not hurt.steers[-1].stop
    assert hurt.verbs.count("restore") == 12


def test_finite_spikes_are_undone_a_dozen_times_and_then_no_more():
    wild = road(total=4000, settings={"fires": 3})
    for _ in range(8):
        wild.go(150)
        wild.x = 60.0
        wild.go(10)
    assert wild.verbs.count("restore") == 3
    assert "3 roll-backs did not settle the loss" in wild.steers[-1].reason


def test_from_the_fourth_roll_back_on_the_rate_falls_twice_as_far():
    wild = road(total=4000)
    seen = []
    for _ in range(5):
        wild.go(150)
        wild.x = 60.0
        wild.go(20)
        seen.append(wild.steers[-1].factor)
    assert seen == pytest.approx([0.4, 0.16, 0.064, 0.0128, 0.00256])


def test_trials_are_not_heard_and_a_good_state_is_kept_after_them():
    tried = road()
    tried.go(60)
    state = tried.guard.state_dict() | {"probed": True, "asked": [], "looking": None}
    tried.go(20, loss=1e9, probing=True)
    learnt = tried.guard.state_dict()
    for name in learnt.keys() - {"kept_at", "kept_loss", "older_at", "older_loss", "slot"}:
        assert learnt[name] == state[name], name
    tried.go(1)
    assert [move.verb for move in tried.one().moves] == ["keep"]


def test_trials_that_are_not_finite_are_not_counted():
    tried = road()
    tried.go(60)
    tried.go(20, loss=NAN, probing=True)
    tried.go(30)
    assert "restore" not in tried.verbs and "mend" not in tried.verbs


def test_a_state_that_another_controller_put_in_place_is_kept_and_measured_anew():
    other = road()
    other.go(100)
    other.x, other.values["restores"] = 3.0, other.values["restores"] + 1
    other.one()
    assert [move.verb for move in other.one().moves] == ["keep"]
    assert other.guard.state_dict()["watch"]["seen"] == 2


def test_dead_layers_are_brought_back_early_and_the_others_told():
    dead = road(values={"dead_layers": 0.0}, rate=0.0)
    dead.go(3)
    dead.values["dead_layers"] = 2.0
    dead.go(1)
    steer = dead.one()
    assert [move.verb for move in steer.moves] == ["revive"]
    assert steer.factor == 1.0
    assert steer.told["shifts"] == 1.0
    assert "2 layers get no gradient" in steer.reason
    dead.values["dead_layers"] = 0.0
    assert [move.verb for move in dead.one().moves] == ["keep"]


def test_layers_that_die_again_lower_the_rate_and_a_few_revivals_are_all():
    dead = road(values={"dead_layers": 2.0}, rate=0.0)
    dead.go(79)
    assert dead.revived == 3
    assert dead.steers[-1].factor == pytest.approx(0.16)


def test_layers_of_a_run_that_has_learnt_are_not_reset():
    learnt = road(total=2000)
    learnt.go(150)
    learnt.values["dead_layers"] = 1.0
    learnt.go(50)
    late = road(total=100, rate=0.0)
    late.go(50)
    late.values["dead_layers"] = 1.0
    late.go(20)
    assert learnt.revived == late.revived == 0


def test_a_gradient_of_exactly_zero_is_a_stall_and_is_told():
    still = road(rate=0.0)
    still.go(50)
    still.go(11, norm=0.0)
    steer = still.one()
    assert steer.told == {"stalled": 1.0}
    assert "stalled" in steer.reason
    assert still.go(2).told == {}


def test_a_gradient_that_is_as_good_as_none_for_long_is_a_stall():
    still = road(rate=0.0)
    still.go(50)
    still.go(19, norm=1e-9)
    assert still.one(norm=1e-9).told == {}
    assert still.one(norm=1e-9).told == {"stalled": 1.0}


def test_the_guard_raises_no_rate():
    flat = road(rate=1e-7, total=1000)
    flat.go(400)
    assert {steer.factor for steer in flat.steers} == {1.0}


def test_a_guard_sets_no_rate_and_ignores_its_own():
    assert road().one().learning_rate is None
    slow, fast = Road(Guard(1e-6)), Road(Guard(1e6))
    slow.go(100), fast.go(100)
    assert slow.steers == fast.steers


def test_a_guard_goes_on_alike_from_its_state_in_the_middle_of_a_judgement():
    one, other = road(), road()
    for each in (one, other):
        each.go(200)
        each.x = 40.0
        each.go(6)
    fresh = Guard(0.1)
    fresh.load_state_dict(json.loads(json.dumps(other.guard.state_dict())))
    other.guard = fresh
    one.go(100), other.go(100)
    assert one.steers == other.steers


def test_loading_a_state_leaves_the_given_one_alone():
    guard = road()
    guard.go(3)
    state = guard.guard.state_dict()
    fresh = road()
    fresh.guard.load_state_dict(state)
    fresh.go(3)
    assert len(state["watch"]["start"]) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frac": 0.0}, "frac must be over 0 and under 1, got 0"),
        ({"cut": 1.0}, "cut must be over 0 and under 1, got 1"),
        ({"deviations": -1.0}, "deviations must be at least 0, got -1"),
        ({"look": 0}, "look must be at least 1, got 0"),
        ({"fires": -1}, "fires must be at least 0, got -1"),
        ({"streak": 0}, "streak must be at least 1, got 0"),
        ({"tries": 0}, "tries must be at least 1, got 0"),
        ({"horizon": NAN}, "horizon must be at least 1, got nan"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(settings, message):
    with pytest.raises(SettingError, match=f"^{message}$"):
        Guard(0.1, **settings)


def test_a_calm_guard_hears_steps_together_and_a_busy_one_singly():
    calm = road()
    calm.go(200)
    assert 1 < max(steer.holds for steer in calm.steers) <= 16
    assert {steer.holds for steer in calm.steers[:20]} == {1}
    calm.go(1, loss=NAN)
    assert calm.one().holds == 1
    calm.go(30)
    calm.x = 40.0
    while "restore" not in [move.verb for move in calm.one().moves]:
        pass
    assert {calm.one().holds for _ in range(3)} == {1}


def test_a_calm_guard_never_waits_beyond_the_next_state_that_it_keeps():
    calm = road(total=1000)
    calm.go(500)
    kept = [n for n, steer in enumerate(calm.steers) if steer.moves]
    for at, steer in enumerate(calm.steers[kept[2] : kept[-1]], start=kept[2]):
        coming = next(n for n in kept if n > at)
        assert steer.holds == 1 or at + steer.holds <= coming


def test_large_states_are_kept_less_often():
    small, large = road(), road(values={"state_bytes": 1e9})
    small.go(400), large.go(400)
    assert small.verbs.count("keep") >= 20
    assert large.verbs.count("keep") <= 9


def test_a_guard_that_hears_together_counts_steps_as_they_were():
    one, other = road(), road()
    one.go(103), other.go(103)
    before = other.reading()
    losses = []
    for _ in range(4):
        one.one(norm=1.0)
        losses.append(one.values["loss"])
    after = replace(before, step=before.step + 4, values=one.values, earlier=tuple(losses[:3]))
    other.guard.learn(before, Steer(), after)
    assert other.guard.state_dict() == one.guard.state_dict()
