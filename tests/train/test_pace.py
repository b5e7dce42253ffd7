"""The controllers of one optimizer are asked in order, merged, obeyed, and told what came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paceline.controllers.base import Controller
from paceline.core.readings import Glimpse, Move, Reading, Steer
from paceline.train.layers import Layers
from paceline.train.memory import Memory
from paceline.train.pace import Pace, merged
from paceline.train.stepping import Update


class Fixed(Controller):
    """Says what it is told to say, and remembers what it heard."""

    def __init__(self, *steers: Steer) -> None:
        super().__init__(1.0)
        self.steers, self.heard = list(steers), list[Reading]()

    def decide(self, seen: Reading) -> Steer:
        return self.steers[min(seen.step, len(self.steers) - 1)]

    def learn(self, seen: Reading, choice: Steer, outcome: Reading) -> None:
        self.heard.append(outcome)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def made(setter: Controller, *beside: Controller) -> tuple[Pace, nn.Linear, list[str]]:
    layer, told = nn.Linear(1, 1), list[str]()
    memory = Memory([layer], torch.optim.SGD(layer.parameters()))
    tell = lambda source, reading, steer: told.append(f"{source}: {steer.reason}")  # noqa: E731
    return Pace(setter, beside, [], memory, Layers([layer]), tell), layer, told


def glimpse(step: int, loss: float = 1.0) -> Glimpse:
    return Glimpse(
        step=step, loss=loss, examples=1, elapsed_seconds=0.0, gradient_norm=1.0, learning_rate=0.1
    )


steers = st.builds(
    Steer,
    factor=st.floats(0.1, 10),
    stop=st.booleans(),
    moves=st.lists(st.builds(Move, st.just("keep"), st.sampled_from("ab")), max_size=2).map(tuple),
)


@given(st.floats(1e-6, 10), st.lists(steers, max_size=3))
def test_the_rate_is_the_setters_times_everybody_elses_factor(rate, beside) -> None:
    steer = merged([Steer(learning_rate=rate), *beside])
    assert steer.learning_rate == pytest.approx(rate * math.prod(each.factor for each in beside))
    assert steer.stop == any(each.stop for each in beside)
    assert steer.moves == tuple(move for each in beside for move in each.moves)


def test_whoever_stops_gives_the_reason() -> None:
    steer = merged([Steer(reason="linear"), Steer(stop=True, reason="hopeless")])
    assert steer.reason == "hopeless"


def test_moves_of_those_beside_come_first() -> None:
    setter = Steer(moves=(Move("keep", "start"),), probing=True)
    steer = merged([setter, Steer(moves=(Move("restore", "good"),))])
    assert [move.name for move in steer.moves] == ["good", "start"]


def test_states_are_kept_and_restored_when_it_decides() -> None:
    setter = Fixed(
        Steer(moves=(Move("keep", "here"),)), Steer(), Steer(moves=(Move("restore", "here"),))
    )
    pace, layer, _ = made(setter)
    first = layer.weight.item()
    for step in range(3):
        pace.decide(Reading(step=step, progress=0.0))
        if step < 2:
            nn.init.constant_(layer.weight, 5.0)
    assert layer.weight.item() == first


def test_restores_outside_of_trials_are_counted() -> None:
    trial = Steer(moves=(Move("restore", "a"),), probing=True)
    back = Steer(moves=(Move("restore", "a"),))
    pace, _, _ = made(Fixed(trial, back, back, Steer()))
    counts = []
    for step in range(4):
        pace.decide(Reading(step=step, progress=0.0))
        pace.read(glimpse(step + 1), Update(loss=1.0, gradient_norm=1.0))
        counts.append(pace.values.get("restores", 0.0))
    assert counts == [0.0, 0.0, 1.0, 1.0]


def test_a_reason_is_told_once_until_it_changes() -> None:
    pace, _, told = made(Fixed(Steer(reason="a"), Steer(reason="a"), Steer(reason="b")))
    for step in range(3):
        pace.decide(Reading(step=step, progress=0.0))
    assert told == ["Fixed: a", "Fixed: b"]


def test_facts_that_are_told_stand_in_the_next_readings() -> None:
    pace, _, _ = made(Fixed(Steer(told={"shifts": 2.0}), Steer()))
    pace.decide(Reading(step=0, progress=0.0))
    pace.decide(Reading(step=1, progress=0.0))
    assert pace.values["shifts"] == 2.0


def test_monitors_do_not_read_trials() -> None:
    class Monitor:
        reads = 0

        def read(self, glimpse: Glimpse) -> dict[str, float]:
            self.reads += 1
            return {}

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Any) -> None:
            pass

    monitor = Monitor()
    pace, _, _ = made(Fixed(Steer(probing=True), Steer()))
    pace._monitors = [monitor]  # type: ignore[list-item] # of the same shape
    for step in range(2):
        pace.decide(Reading(step=step, progress=0.0))
        pace.read(glimpse(step + 1), Update(loss=1.0, gradient_norm=1.0))
    assert monitor.reads == 1


def test_skipped_steps_are_counted() -> None:
    pace, _, _ = made(Fixed(Steer()))
    for step, skipped in enumerate([True, False, True]):
        pace.decide(Reading(step=step, progress=0.0))
        pace.read(glimpse(step + 1), Update(loss=1.0, gradient_norm=1.0, skipped=skipped))
    assert pace.values["skipped_steps"] == 2.0


def test_recalling_does_nothing_and_tells_nothing() -> None:
    pace, layer, told = made(Fixed(Steer(moves=(Move("restore", "x"),), reason="a")))
    pace._memory.keep("x")
    nn.init.constant_(layer.weight, 7.0)
    pace.recall(Reading(step=0, progress=0.0))
    assert layer.weight.item() == 7.0
    assert told == []
    assert pace.steer.reason == "a"


def test_one_that_only_watches_changes_nothing() -> None:
    pace, layer, told = made(
        Fixed(Steer(learning_rate=1.0, moves=(Move("restore", "x"),), reason="a"))
    )
    pace._memory.keep("x")
    nn.init.constant_(layer.weight, 7.0)
    pace.acts = False
    assert pace.decide(Reading(step=0, progress=0.0)) == Steer()
    assert layer.weight.item() == 7.0
    assert told == ["Fixed: a"]


def test_layers_are_looked_at_every_ten_steps_at_first_and_then_more_rarely() -> None:
    class Looks:
        at: list[int] = []  # noqa: RUF012 # of this test alone
        sizes: list[int] = []  # noqa: RUF012

        def dead(self) -> list[str]:
            self.at.append(step)
            return []

        def exploding(self) -> list[str]:
            self.sizes.append(step)
            return []

    pace, _, _ = made(Fixed(Steer()))
    pace._layers = looks = Looks()  # type: ignore[assignment] # all that it calls
    for step in range(1, 801):
        pace.decide(Reading(step=step - 1, progress=0.0))
        pace.read(glimpse(step), Update(loss=1.0, gradient_norm=1.0))
    often = [3, 6, 9, 12, *range(20, 201, 10), 250, 300, 350, 400, 600, 800]
    assert looks.at == often
    assert looks.sizes == [3, 6, 9, 12, 50, 100, 150, 200, 250, 300, 350, 400, 600, 800]
