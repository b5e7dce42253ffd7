"""An update steps on what was decided, or changes nothing at all."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from paceline.core.errors import AgentsLost
from paceline.core.readings import Steer
from paceline.data.base.batches import Numbers
from paceline.train.update import Updater


class Pull:
    """Work whose gradient is the number of the batch, and which can lose its agents."""

    pieces, may_fail, interval, varies = 1, True, 1, False

    def __init__(self, parameter):
        self.parameter, self.fails, self.drawn = parameter, False, []

    def gradient(self, draw, count, scaler, *, trial):
        numbers = [draw()[0] for _ in range(count)]
        if self.fails:
            raise AgentsLost("nobody is left")
        self.drawn.append(numbers)
        self.parameter.grad = torch.full_like(self.parameter, float(sum(numbers)) / count)
        return 1.0

    def state_dict(self):
        return {"drawn": [list(each) for each in self.drawn]}

    def load_state_dict(self, state):
        self.drawn = state["drawn"]


def made(accumulate=1):
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    updater = Updater(
        work=Pull(parameter),
        optimizer=optimizer,
        feed=Numbers(examples=100, batch_size=10),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        accumulate=accumulate,
        clip=None,
    )
    return updater, parameter


def test_it_steps_at_the_rate_and_on_the_batch_that_were_decided():
    updater, parameter = made()
    updater.update(Steer(learning_rate=0.5))
    updater.update(Steer())
    updater.update(Steer(factor=2.0))
    assert updater.work.drawn == [[0], [1], [2]]
    assert parameter.item() == pytest.approx(-(0.5 * 1 + 1.0 * 2))


def test_a_larger_batch_is_more_of_them_and_counts_for_more():
    updater, _ = made()
    assert (updater.examples, updater.is_even) == (10, True)
    updater.update(Steer(batch_size=30))
    assert updater.work.drawn == [[0, 1, 2]]
    assert (updater.examples, updater.spent, updater.is_even) == (30, 3.0, False)


def test_local_steps_count_each():
    updater, _ = made()
    updater.work.interval = 4
    updater.update(Steer())
    assert (updater.examples, updater.spent, updater.is_even) == (40, 4.0, True)
    updater.work.varies = True
    assert not updater.is_even


@pytest.mark.parametrize("accumulate", [1, 3])
def test_agents_that_are_lost_leave_everything_as_it_was(accumulate):
    updater, parameter = made(accumulate)
    updater.update(Steer())
    before, weights = copy.deepcopy(updater.state_dict()), parameter.clone()
    updater.work.fails = True
    with pytest.raises(AgentsLost):
        updater.update(Steer())
    after = updater.state_dict()
    assert after["replay"] == before["replay"] and after["spent"] == before["spent"]
    assert torch.equal(parameter, weights)
    updater.work.fails = False
    updater.update(Steer())
    assert updater.work.drawn[1] == list(range(accumulate, 2 * accumulate))


def test_a_saved_one_goes_on_with_the_next_batch():
    updater, _ = made(2)
    updater.update(Steer())
    other, _ = made(2)
    other.load_state_dict(copy.deepcopy(updater.state_dict()))
    other.update(Steer())
    assert other.work.drawn == [[0, 1], [2, 3]]
    assert other.spent == 2.0
