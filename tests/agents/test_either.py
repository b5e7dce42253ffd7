"""Two rules in one optimizer: a gradient is stepped on, a change is taken over."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from paceline.agents.either import Either
from paceline.agents.outer import Outer


def both(make, **settings):
    parameters = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.ones(3))]
    unit = [None]
    return Either(make(parameters), lambda: unit[0], **settings), parameters, unit


def give(parameters, seed):
    chance = torch.Generator().manual_seed(seed)
    for each in parameters:
        each.grad = torch.randn(each.shape, generator=chance)


MAKERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_on_gradients_it_is_the_plain_one(make):
    one, parameters, _ = both(make, momentum=0.9)
    twins = [nn.Parameter(each.detach().clone()) for each in parameters]
    plain = make(twins)
    for seed in range(5):
        for optimizer, given in ((one, parameters), (plain, twins)):
            give(given, seed)
            optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(parameters, twins, strict=True))
    assert one.param_groups is one._plain.param_groups


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_on_changes_it_is_the_outer_one(make, momentum):
    one, parameters, unit = both(make, outer_rate=0.7, momentum=momentum)
    give(parameters, 0)
    one.step()  # it always begins exactly
    twins = [nn.Parameter(each.detach().clone()) for each in parameters]
    outer = Outer(twins, lr=0.1, outer_rate=0.7, momentum=momentum)
    unit[0] = 0.25
    for seed in range(1, 5):
        give(parameters, seed)
        one.step()
        for each in twins:
            each.grad = None
        give(twins, seed)
        for each in twins:
            each.grad *= 0.25
        outer.step()
    for pair in zip(parameters, twins, strict=True):
        torch.testing.assert_close(*pair)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_it_goes_on_identically_from_its_state(make):
    one, parameters, unit = both(make, momentum=0.9)
    other, copies, second = both(make, momentum=0.9)
    for seed, now in enumerate([None, 0.5, 0.5, None, 0.5]):
        unit[0] = now
        give(parameters, seed)
        one.step()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    with torch.no_grad():
        for mine, theirs in zip(copies, parameters, strict=True):
            mine.copy_(theirs)
    for seed, now in enumerate([0.5, None, 0.5], 9):
        unit[0] = second[0] = now
        for optimizer, given in ((one, parameters), (other, copies)):
            give(given, seed)
            optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(parameters, copies, strict=True))


def test_one_that_has_not_begun_is_left_for_the_plain_one_to_begin():
    one, parameters, unit = both(MAKERS["adam"], momentum=0.9)
    parameters[0].grad = torch.ones(2)
    one.step()
    unit[0] = 1.0
    give(parameters, 0)
    one.step()
    unit[0] = None
    give(parameters, 1)
    one.step()  # Adam finds its own state, or begins it
    assert set(one.state[parameters[1]]) == {"step", "exp_avg", "exp_avg_sq"}
