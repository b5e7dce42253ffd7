"""What every optimizer promises."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

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

_RATE = 0.01
_BROKEN = (-0.1, float("nan"), float("inf"), float("-inf"))
_STEPS = 12


def is_made_with_parameters_and_a_learning_rate_alone(part: Part) -> None:
    made = part(_weights(), _RATE)
    rates = [group["lr"] for group in made.param_groups]
    expect(rates == [_RATE], f"made with a learning rate of {_RATE}, its groups have {rates}")


def has_named_settings_with_types_and_defaults(part: Part) -> None:
    expect_named_settings(part, 2)


def refuses_unknown_settings(part: Part) -> None:
    expect_unknown_refused(part, _weights(), _RATE)


def refuses_settings_that_are_out_of_all_range(part: Part) -> None:
    expect_unreal_refused(part, _weights(), _RATE)


def refuses_learning_rates_that_are_negative_or_not_finite(part: Part) -> None:
    for rate in _BROKEN:
        what = f"a learning rate of {rate}"
        expect_refusal(partial(part, _weights(), rate), SettingError, what)


def lowers_a_quadratic_in_one_step(part: Part) -> None:
    weights = _weights()
    before = _loss(weights).item()
    for _ in _run(part(weights, 1e-3), weights, 1):
        pass
    after = _loss(weights).item()
    expect(after < before, f"a step at a rate of 0.001 took the loss from {before} to {after}")


def comes_near_the_minimum_of_a_quadratic(part: Part) -> None:
    weights = _weights()
    before = _loss(weights).item()
    for _ in _run(part(weights, _RATE), weights, 400):
        pass
    after = _loss(weights).item()
    expect(
        math.isfinite(after) and after < 0.5 * before,
        f"400 steps at a rate of {_RATE} took the loss from {before:g} to {after:g}",
    )


def leaves_everything_as_it_is_at_a_rate_of_zero(part: Part) -> None:
    weights = _weights()
    before = _copied(weights)
    for _ in _run(part(weights, 0.0), weights, 2):
        pass
    expect(same(before, _copied(weights)), "steps at a rate of 0 changed the parameters")


def leaves_a_parameter_without_a_gradient_alone(part: Part) -> None:
    used, idle = _weights()
    before = _copied([idle])
    optimizer = part([used, idle], _RATE)
    for _ in range(3):
        optimizer.zero_grad()
        torch.autograd.backward(used.square().sum())
        optimizer.step()
    expect(same(before, _copied([idle])), "a parameter that had no gradient was changed")
    optimizer.zero_grad()
    optimizer.step()


def leaves_gradients_as_they_are(part: Part) -> None:
    weights = _weights()
    optimizer = part(weights, _RATE)
    torch.autograd.backward(_loss(weights))
    before = [_gradient(each).clone() for each in weights]
    optimizer.step()
    expect(same(before, [_gradient(each) for each in weights]), "a step changed the gradients")


def gives_each_group_its_own_learning_rate(part: Part) -> None:
    moved, still = _weights()
    groups = [{"params": [moved]}, {"params": [still], "lr": 0.0}]
    before = _copied([moved, still])
    for _ in _run(part(groups, _RATE), [moved, still], 2):
        pass
    after = _copied([moved, still])
    expect(not same(before[0], after[0]), "a group that has no rate of its own did not move")
    expect(same(before[1], after[1]), "a group with a rate of 0 moved")


def follows_a_learning_rate_that_is_changed(part: Part) -> None:
    low, high = (_first_move(part, rate) for rate in (1e-4, 1e-2))
    expect(high > 3 * low, f"the rate was raised 100 times, and the step from {low:g} to {high:g}")


def steps_alike_for_the_same_gradients(part: Part) -> None:
    found = []
    for seed in (1, 2):
        weights = _weights()
        with chance(seed):
            for _ in _run(part(weights, _RATE), weights, _STEPS):
                pass
        found.append(_copied(weights))
    expect(same(*found), "two runs over the same gradients differ")


def steps_alike_whether_or_not_tensors_go_together(part: Part) -> None:
    found = []
    for foreach in (False, True):
        weights = _weights()
        optimizer = part(weights, _RATE)
        for group in optimizer.param_groups:
            group["foreach"] = foreach
        for _ in _run(optimizer, weights, _STEPS):
            pass
        found.append(torch.cat([each.detach().flatten() for each in weights]))
    expect(
        torch.allclose(found[0], found[1], rtol=1e-5, atol=1e-7),
        f"with foreach and without it the parameters differ: {found[0]}, {found[1]}",
    )


def keeps_tensors_with_their_parameters_and_plain_numbers_in_groups(part: Part) -> None:
    weights = _weights()
    optimizer = part(weights, _RATE)
    for _ in _run(optimizer, weights, 2):
        pass
    strangers = [key for key in optimizer.state if not isinstance(key, Tensor)]
    expect(not strangers, f"the state has keys that are no parameters: {strangers}")
    for group in optimizer.param_groups:
        settings = {name: value for name, value in group.items() if name != "params"}
        through_json(settings, f"{part.__name__}'s groups")


def goes_on_identically_from_its_state(part: Part) -> None:
    for begin in (0, 1, _STEPS):
        weights = _weights()
        optimizer = part(weights, _RATE)
        for _ in _run(optimizer, weights, begin):
            pass
        twins = [nn.Parameter(each.detach().clone()) for each in weights]
        twin = part(twins, 10 * _RATE)
        twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        pairs = zip(
            _run(optimizer, weights, _STEPS, begin=begin),
            _run(twin, twins, _STEPS, begin=begin),
            strict=True,
        )
        for step, (expected, found) in enumerate(pairs):
            expect(
                same(expected, found),
                f"{step + 1} steps after a resume at step {begin} the parameters differ",
            )


def _weights() -> list[nn.Parameter]:
    """A matrix and a vector that are far from the minimum of ``_loss``."""
    matrix = torch.tensor([[1.0, -2.0, 0.5], [3.0, 1.5, -1.0]])
    return [nn.Parameter(matrix), nn.Parameter(torch.tensor([2.0, -1.0]))]


def _loss(weights: list[nn.Parameter], step: int = 0) -> Tensor:
    """A quadratic whose curvature differs between parameters, and a little between steps."""
    shaken = 1 + 0.1 * math.sin(step)
    return torch.stack(
        [(at + shaken) * each.square().sum() for at, each in enumerate(weights)]
    ).sum()


def _run(
    optimizer: Any, weights: list[nn.Parameter], steps: int, *, begin: int = 0
) -> Iterator[list[Tensor]]:
    """Steps down the quadratic; gives the parameters after each step."""
    for step in range(begin, begin + steps):
        optimizer.zero_grad()
        torch.autograd.backward(_loss(weights, step))
        optimizer.step()
        yield _copied(weights)


def _first_move(part: Part, rate: float) -> float:
    weights = _weights()
    before = _copied(weights)
    optimizer = part(weights, _RATE)
    for group in optimizer.param_groups:
        group["lr"] = rate
    after = next(_run(optimizer, weights, 1))
    return max((one - other).abs().max().item() for one, other in zip(before, after, strict=True))


def _copied(weights: list[nn.Parameter]) -> list[Tensor]:
    return [each.detach().clone() for each in weights]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
