"""A step is taken on what is finite, measured where it is asked, and counted as what it was."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from paceline.train.stepping import Stepper


def made(**options: object) -> tuple[nn.Linear, torch.optim.Optimizer, Stepper]:
    torch.manual_seed(0)
    layer = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(torch.ones(3, 4)).square().mean().backward()
    return layer, optimizer, Stepper(optimizer, **{"align": False, **options})  # type: ignore[arg-type]


def flat(layer: nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in layer.parameters()])


def test_the_motion_is_the_distance_that_the_weights_went() -> None:
    layer, _, stepper = made()
    before = flat(layer)
    update = stepper.step(1.0, measure=True)
    assert update.motion[0] == pytest.approx(before.norm().item())
    assert update.motion[1] == pytest.approx((flat(layer) - before).norm().item(), rel=1e-5)
    assert update.motion[1] == pytest.approx(0.5 * update.gradient_norm, rel=1e-5)


def test_weights_of_zero_have_a_size_too() -> None:
    layer, _, stepper = made()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    assert stepper.step(1.0, measure=True).motion[0] == pytest.approx(1e-3 * math.sqrt(10))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_skips_the_step(loss: float) -> None:
    layer, _, stepper = made()
    before = flat(layer)
    assert stepper.step(loss).skipped
    assert torch.equal(flat(layer), before)


def test_a_gradient_that_is_not_finite_skips_the_step() -> None:
    layer, _, stepper = made()
    before = flat(layer)
    layer.weight.grad[0, 0] = math.inf  # type: ignore[index]
    assert stepper.step(1.0).skipped
    assert torch.equal(flat(layer), before)


def test_where_it_does_not_guard_it_steps_all_the_same() -> None:
    layer, _, stepper = made()
    before = flat(layer)
    assert not stepper.step(math.nan, guards=False).skipped
    assert not torch.equal(flat(layer), before)


def test_clipping_bounds_the_step() -> None:
    _, _, stepper = made(clip=0.01)
    update = stepper.step(1.0, measure=True)
    assert update.gradient_norm > 0.01
    assert update.motion[1] == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_a_scaler_that_overflows_skips_and_says_so() -> None:
    layer, optimizer, stepper = made()
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    optimizer.zero_grad()
    scaler.scale(layer(torch.ones(3, 4)).square().mean()).backward()
    layer.weight.grad[0, 0] = math.inf  # type: ignore[index]
    update = stepper.step(1.0, scaler)
    assert update.scaler_skipped and not update.skipped
    assert scaler.get_scale() == 2.0


def test_the_norm_is_that_of_the_gradient_and_not_of_the_scaled_one() -> None:
    layer, optimizer, stepper = made()
    plain = stepper.step(1.0).gradient_norm
    layer, optimizer, stepper = made()
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    optimizer.zero_grad()
    scaler.scale(layer(torch.ones(3, 4)).square().mean()).backward()
    assert stepper.step(1.0, scaler).gradient_norm == pytest.approx(plain, rel=1e-5)


def test_alignment_is_read_before_an_optimizer_writes_over_the_gradient() -> None:
    class Overwriting(torch.optim.SGD):
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            super().step()
            for group in self.param_groups:
                for each in group["params"]:
                    each.grad.mul_(-1)

    weight = torch.ones(3, requires_grad=True)
    stepper = Stepper(Overwriting([weight], lr=1e-3), align=True)
    for expected in (math.nan, 1.0):
        weight.grad = torch.ones(3)
        cosine = stepper.step(1.0).alignment[0]
        assert cosine == pytest.approx(expected, nan_ok=True)
