"""Norms and alignments are those of one long vector; what is not finite is seen at once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paceline.train.gradients import Alignment, Motion, Norms, global_norm
from paceline.train.rates import Rates


def parameters(seed: int) -> list[torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    found = [torch.zeros(3, 2, requires_grad=True), torch.zeros(4, requires_grad=True)]
    for each in found:
        each.grad = torch.randn(each.shape, generator=chance)
    return found


def flat(found: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([each.grad.flatten() for each in found])  # type: ignore[union-attr]


@given(st.integers(0, 999), st.integers(0, 999))
def test_norm_and_alignment_are_those_of_one_long_vector(first: int, second: int) -> None:
    own = parameters(first)
    alignment = Alignment(own)
    assert all(map(math.isnan, alignment.read(float(global_norm(own)))))
    before = flat(own).clone()
    for each, other in zip(own, parameters(second), strict=True):
        each.grad = other.grad
    norm = float(global_norm(own))
    cosine, product = alignment.read(norm)
    now = flat(own)
    assert norm == pytest.approx(now.norm().item(), rel=1e-5)
    assert product == pytest.approx((now @ before).item(), rel=1e-4, abs=1e-4)
    expected = torch.cosine_similarity(now, before, dim=0).item()
    assert cosine == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_without_gradients_the_norm_is_zero() -> None:
    assert global_norm([torch.zeros(2)]).item() == 0.0


def test_sparse_gradients_count() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    (table(torch.tensor([1, 1])) * 2).sum().backward()
    assert global_norm(table.parameters()).item() == pytest.approx(math.sqrt(32))


def test_between_measurements_a_small_gradient_that_is_not_finite_is_seen() -> None:
    own = parameters(0)
    norms = Norms(own, every=8)
    first = norms.read()
    own[1].grad *= 3  # type: ignore[operator]
    assert norms.read() == first
    own[1].grad[0] = math.nan  # type: ignore[index]
    assert not math.isfinite(norms.read())
    own[1].grad[0] = 0.0  # type: ignore[index]
    assert math.isfinite(norms.read())


def test_rates_follow_a_scheduler_of_the_users_own_exactly() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rates = Rates(optimizer)
    for ours, theirs in [(0.5, 0.3), (0.4, 0.2), (0.3, 0.1)]:
        rates.set(ours)
        optimizer.param_groups[0]["lr"] = theirs
        assert rates.follow() == theirs
        assert rates.now == theirs
    assert rates.follow() is None


def test_groups_that_are_added_later_keep_their_ratio() -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    rates = Rates(optimizer)
    rates.set(0.2)
    optimizer.add_param_group({"params": [torch.zeros(1, requires_grad=True)], "lr": 0.1})
    rates.set(0.4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.2]


def test_in_calm_steps_the_norm_is_the_last_one_and_a_broken_gradient_is_not_passed_by() -> None:
    own = parameters(0)
    norms = Norms(own, every=8)
    assert norms.pass_by() is None  # nothing was measured yet
    first = norms.read()
    assert [norms.pass_by() for _ in range(7)] == [first] * 7
    assert norms.pass_by() is None  # due
    assert norms.read() == pytest.approx(first)
    for broken in (math.nan, math.inf):
        own[0].grad[1, 1] = broken  # type: ignore[index]
        assert norms.pass_by() is None
        assert math.isnan(norms.read())
    own[0].grad[1, 1] = 0.5  # type: ignore[index]
    assert norms.pass_by() == pytest.approx(first)


def test_looking_for_broken_gradients_leaves_them_bit_for_bit() -> None:
    own = parameters(3)
    own[1].grad[0], own[1].grad[1] = -0.0, 3e-42  # type: ignore[index]
    norms = Norms(own, every=8)
    norms.read()
    before = [each.grad.clone() for each in own]  # type: ignore[union-attr]
    assert norms.pass_by() is not None
    for each, kept in zip(own, before, strict=True):
        assert torch.equal(each.grad.view(torch.int32), kept.view(torch.int32))  # type: ignore[union-attr]


def test_gradients_of_other_kinds_are_never_passed_by() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    half = torch.zeros(3, dtype=torch.bfloat16, requires_grad=True)
    half.grad = torch.ones_like(half)
    for found in (list(table.parameters()), [half]):
        table(torch.tensor([1])).sum().backward()
        norms = Norms(found, every=8)
        norms.read()
        assert norms.pass_by() is None
        assert norms.read() > 0


def test_after_the_first_steps_the_norm_is_measured_less_often() -> None:
    own = parameters(0)
    norms, measured = Norms(own, every=8), []
    for step in range(300):
        own[0].grad += 1  # type: ignore[operator]
        before = norms.state_dict()["last"]
        if norms.read() != before:
            measured.append(step)
    assert measured[:9] == [0, 8, 16, 24, 32, 40, 48, 56, 64]
    assert measured[9:] == [96, 128, 160, 192, 224, 256, 288]


def test_a_norm_of_zero_is_measured_at_every_step() -> None:
    own = parameters(0)
    norms = Norms(own, every=8)
    for each in own:
        each.grad.zero_()  # type: ignore[union-attr]
    assert norms.read() == 0.0
    own[0].grad += 1  # type: ignore[operator]
    assert norms.read() > 0


def test_the_motion_of_a_large_tensor_is_read_off_some_of_its_rows() -> None:
    torch.manual_seed(0)
    weight = torch.randn(1024, 1024, requires_grad=True)
    motion = Motion([weight])
    motion.begin()
    change = 1e-2 * torch.randn(1024, 1024)
    norm = weight.norm().item()
    with torch.no_grad():
        weight += change
    size, moved = motion.end()
    assert size == pytest.approx(norm, rel=0.02)
    assert moved == pytest.approx(change.norm().item(), rel=0.02)
