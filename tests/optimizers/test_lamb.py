"""LAMB against the paper's algorithm, written out slowly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from paceline.core.errors import SettingError
from paceline.jobs.assemble import build_optimizer, optimizer_names
from paceline.optimizers.lamb import LAMB


class _Paper:
    """Algorithm 2, one number after the other, in Python's own floats."""

    def __init__(self, values, lr, betas, eps, decay):
        self.x = [float(value) for value in values]
        self.lr, self.betas, self.eps, self.decay = lr, betas, eps, decay
        self.m, self.v, self.t = [0.0] * len(self.x), [0.0] * len(self.x), 0

    def step(self, gradient):
        self.t += 1
        r = []
        for at, g in enumerate(gradient):
            self.m[at] = self.betas[0] * self.m[at] + (1 - self.betas[0]) * g
            self.v[at] = self.betas[1] * self.v[at] + (1 - self.betas[1]) * g * g
            m = self.m[at] / (1 - self.betas[0] ** self.t)
            v = self.v[at] / (1 - self.betas[1] ** self.t)
            r.append(m / (math.sqrt(v) + self.eps) + self.decay * self.x[at])
        size = math.sqrt(sum(x * x for x in self.x))
        length = math.sqrt(sum(each * each for each in r))
        ratio = size / length if size and length else 1.0
        self.x = [x - self.lr * ratio * each for x, each in zip(self.x, r, strict=True)]


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize(
    ("betas", "eps", "decay"), [((0.9, 0.999), 1e-6, 0.0), ((0.5, 0.7), 1e-3, 0.1)]
)
def test_it_steps_as_the_papers_algorithm_does(foreach, betas, eps, decay):
    random = torch.Generator().manual_seed(0)
    weights = [
        nn.Parameter(torch.randn(size, generator=random, dtype=torch.float64)) for size in (3, 5)
    ]
    papers = [_Paper(each.tolist(), 0.02, betas, eps, decay) for each in weights]
    optimizer = LAMB(weights, 0.02, betas=betas, eps=eps, weight_decay=decay, foreach=foreach)
    for _ in range(25):
        for each, paper in zip(weights, papers, strict=True):
            each.grad = torch.randn(len(each), generator=random, dtype=torch.float64)
            paper.step(each.grad.tolist())
        optimizer.step()
        for each, paper in zip(weights, papers, strict=True):
            assert each.tolist() == pytest.approx(paper.x, rel=1e-12)


def test_parameters_of_different_ages_are_corrected_by_their_own():
    random = torch.Generator().manual_seed(1)
    old, young = (nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    paper = _Paper([1.0, 1.0], 0.1, (0.9, 0.999), 1e-6, 0.0)
    optimizer = LAMB([old, young], 0.1, foreach=True)
    for step in range(6):
        gradient = torch.randn(2, generator=random, dtype=torch.float64)
        old.grad = gradient.clone()
        if step >= 3:
            young.grad = gradient.clone()
            paper.step(gradient.tolist())
        optimizer.step()
    assert young.tolist() == pytest.approx(paper.x, rel=1e-12)


def test_a_layer_of_zeros_takes_adams_step():
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, -5.0])
    LAMB([weight], 0.1, eps=0.0).step()
    assert weight.tolist() == pytest.approx([-0.1, 0.1])


def test_a_gradient_of_zeros_leaves_a_layer_as_it_is():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.zeros(2)
    LAMB([weight], 0.1).step()
    assert weight.tolist() == [1.0, 1.0]


def test_a_step_changes_each_layer_by_the_same_part_of_its_size():
    for scale in (1e-3, 1.0, 1e3):
        weight = nn.Parameter(torch.tensor([0.3, -4.0, 2.0]) * scale)
        before = weight.detach().clone()
        weight.grad = torch.tensor([1.0, 7.0, -2.0]) * scale**2
        LAMB([weight], 0.01, eps=0.0).step()
        assert ((weight - before).norm() / before.norm()).item() == pytest.approx(0.01, rel=1e-5)


def test_mixed_dtypes_step_together():
    weights = [nn.Parameter(torch.ones(2, dtype=kind)) for kind in (torch.float32, torch.bfloat16)]
    optimizer = LAMB(weights, 0.1, foreach=True)
    for each in weights:
        each.grad = torch.ones_like(each)
    optimizer.step()
    assert [each.dtype for each in weights] == [torch.float32, torch.bfloat16]
    assert all(each[0].item() == pytest.approx(0.9, rel=1e-2) for each in weights)


def test_a_closure_gives_its_loss():
    weight = nn.Parameter(torch.ones(1))
    optimizer = LAMB([weight], 0.1)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 1.0
    assert weight.item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": -0.1}, "lr must be at least 0"),
        ({"lr": float("nan")}, "lr must be at least 0 and finite, got nan"),
        ({"eps": -1.0}, "eps must be at least 0"),
        ({"weight_decay": float("inf")}, "weight_decay must be at least 0 and finite"),
        ({"betas": (0.9, 1.0)}, "betas must be two numbers from 0 to under 1"),
        ({"betas": (0.9,)}, "betas must be two numbers from 0 to under 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        LAMB([nn.Parameter(torch.ones(1))], **settings)


def test_a_recipe_finds_it_beside_torchs_own():
    model = nn.Linear(2, 1)
    settings = {"lr": 0.1, "weight_decay": 0.5}
    for name in ("lamb", "paceline.optimizers.lamb:LAMB"):
        made = build_optimizer(model, settings | {"name": name})
        assert isinstance(made, LAMB)
        assert [group["weight_decay"] for group in made.param_groups] == [0.5, 0.0]
    assert {"lamb", "adam", "sgd"} <= set(optimizer_names())
    with pytest.raises(SettingError, match="did you mean 'lamb'"):
        build_optimizer(model, {"name": "lambs"})
    with pytest.raises(SettingError, match="lamb has no setting 'momentum'"):
        build_optimizer(model, {"name": "lamb", "momentum": 0.9})
    with pytest.raises(SettingError, match="lamb: lr must be at least 0"):
        build_optimizer(model, {"name": "lamb", "lr": -1.0})


def test_sparse_gradients_are_refused():
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(SettingError, match="dense gradients, got a sparse one"):
        LAMB(table.parameters(), 0.1).step()
