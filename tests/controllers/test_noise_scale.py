"""A batch that follows the gradient's noise scale, and a rate that follows the batch."""

from __future__ import annotations

import json

import pytest

from paceline.controllers.noise_scale import NoiseScale
from paceline.core.errors import SettingError
from paceline.core.readings import Reading


class Loop:
    """A loop with batches of 32 that grants what is asked for, or does not."""

    def __init__(self, controller, *, grants=True, adaptive=0.0):
        self.controller, self.grants = controller, grants
        self.values = {"update_examples": 32.0, "adaptive": adaptive}
        self.step, self.sizes, self.factors, self.reasons = 0, [], [], []

    def run(self, steps, **values):
        for _ in range(steps):
            self.values.update(values)
            seen = Reading(step=self.step, progress=0.0, values=dict(self.values))
            steer = self.controller.decide(seen)
            if steer.batch_size is not None and self.grants:
                self.values["update_examples"] = float(steer.batch_size)
            self.step += 1
            outcome = Reading(step=self.step, progress=0.0, values=dict(self.values))
            self.controller.learn(seen, steer, outcome)
            self.sizes.append(steer.batch_size)
            self.factors.append(steer.factor)
            if steer.reason and steer.reason not in self.reasons:
                self.reasons.append(steer.reason)
        return self


def test_the_batch_doubles_up_to_the_noise_scale_with_a_rest_between():
    loop = Loop(NoiseScale(0.1, cooldown=10)).run(100, noise_scale_examples=300.0)
    assert loop.sizes[0] is None
    assert [loop.sizes.index(size) for size in (64, 128, 256)] == [1, 11, 21]
    assert loop.sizes[-1] == 256
    assert loop.factors[-1] == 8.0


def test_the_batch_comes_down_again_but_never_under_the_first():
    loop = Loop(NoiseScale(0.1, cooldown=5)).run(60, noise_scale_examples=1000.0)
    assert loop.sizes[-1] == 512
    loop.run(60, noise_scale_examples=100.0)
    assert loop.sizes[-1] == 128
    loop.run(60, noise_scale_examples=0.5)
    assert (loop.sizes[-1], loop.factors[-1]) == (32, 1.0)


def test_a_scale_that_wobbles_changes_nothing():
    loop = Loop(NoiseScale(0.1, cooldown=1)).run(20, noise_scale_examples=128.1)
    for step in range(50):
        loop.run(1, noise_scale_examples=128.0 * (1.4 if step % 2 else 0.7))
    assert set(loop.sizes[24:]) == {128}


def test_the_batch_stays_within_its_bound():
    loop = Loop(NoiseScale(0.1, cooldown=1, most=6)).run(50, noise_scale_examples=1e9)
    assert loop.sizes[-1] == 4 * 32


@pytest.mark.parametrize(
    ("rule", "adaptive", "factor"),
    [
        ("auto", 0.0, 4.0),
        ("auto", 1.0, 2.0),
        ("linear", 1.0, 4.0),
        ("sqrt", 0.0, 2.0),
    ],
)
def test_the_rate_follows_by_the_optimizers_rule(rule, adaptive, factor):
    loop = Loop(NoiseScale(0.1, cooldown=1, rule=rule), adaptive=adaptive)
    assert loop.run(30, noise_scale_examples=200.0).factors[-1] == factor


def test_an_optimizer_of_unknown_kind_is_treated_with_care():
    loop = Loop(NoiseScale(0.1, cooldown=1))
    del loop.values["adaptive"]
    assert loop.run(30, noise_scale_examples=200.0).factors[-1] == 2.0


def test_a_loop_that_keeps_its_batch_keeps_its_rate():
    loop = Loop(NoiseScale(0.1, cooldown=1), grants=False).run(50, noise_scale_examples=1e4)
    assert set(loop.factors) == {1.0}


def test_the_first_batch_is_the_largest_of_the_first_updates():
    loop = Loop(NoiseScale(0.1, cooldown=1))
    loop.run(1, update_examples=7.0)
    loop.run(1, update_examples=32.0)
    loop.run(10, noise_scale_examples=70.0)
    assert loop.sizes[-1] == 64


def test_nothing_changes_while_another_probes():
    loop = Loop(NoiseScale(0.1, cooldown=1)).run(20, noise_scale_examples=1e4, probing=1.0)
    assert set(loop.sizes) == {None}
    loop.run(20, probing=0.0)
    assert loop.sizes[-1] == 512


def test_a_change_that_makes_the_loss_worse_is_taken_back_and_the_second_ends_it():
    loop = Loop(NoiseScale(0.1, cooldown=10))
    for _ in range(200):
        worse = loop.sizes and loop.sizes[-1] not in (None, 32)
        loop.run(1, noise_scale_examples=1e4, loss=1.0, loss_smooth=2.0 if worse else 1.0)
    assert [64 in loop.sizes, 128 in loop.sizes] == [True, False]
    assert set(loop.sizes[-100:]) == {32}
    assert loop.reasons == [
        "batch 2 times the first: nearer to the gradient's noise scale",
        "batch back to 1 times the first: the loss got worse, time 1",
        "batch back to 1 times the first: the loss got worse, time 2; no more changes",
    ]


def test_coming_down_with_the_noise_is_not_taken_for_a_step_back():
    loop = Loop(NoiseScale(0.1, cooldown=5))
    for at in range(8):
        loop.run(20, noise_scale_examples=15.0 if at % 2 else 100.0, loss=1.0, loss_smooth=1.0)
    assert loop.sizes[-1] == 32
    assert not any("back" in reason for reason in loop.reasons)
    assert loop.run(20, noise_scale_examples=1e4).sizes[-1] > 32


def test_a_loss_that_is_worse_within_its_noise_takes_nothing_back():
    loop = Loop(NoiseScale(0.1, cooldown=10))
    for step in range(200):
        size = loop.sizes[-1] if loop.sizes else None
        smooth = 1.0 if size in (None, 32) else 1.2
        noise = 0.3 if step % 2 else -0.3
        loop.run(1, noise_scale_examples=1e4, loss=smooth + noise, loss_smooth=smooth)
    assert loop.sizes[-1] == 512


def test_it_says_what_the_updates_are_made_of():
    controller = NoiseScale(0.1, cooldown=1)
    loop = Loop(controller).run(30, noise_scale_examples=200.0)
    seen = Reading(step=loop.step, progress=0.0, values=dict(loop.values))
    assert controller.decide(seen).told == {"batch_multiple": 4.0}
    silent = Reading(step=loop.step, progress=0.0)
    assert controller.decide(silent).factor == 1.0


def test_it_goes_on_the_same_after_json():
    for begin in (0, 3, 25):
        loop = Loop(NoiseScale(0.1, cooldown=10)).run(begin, noise_scale_examples=300.0)
        other = NoiseScale(0.1, cooldown=10)
        other.load_state_dict(json.loads(json.dumps(loop.controller.state_dict())))
        twin = Loop(other)
        twin.step, twin.values = loop.step, dict(loop.values)
        assert twin.run(60).sizes == loop.run(60).sizes[begin:]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rule": "cubic"}, "rule must be auto, sqrt or linear"),
        ({"share": 0.0}, "share must be over 0"),
        ({"most": 0}, "most must be at least 1"),
        ({"cooldown": 0}, "cooldown must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        NoiseScale(0.1, **settings)
