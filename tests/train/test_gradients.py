"""Norms and alignments are those of one long vector; what is not finite is seen at once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paceline.train.gradients import Alignment, Norms, global_norm
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
