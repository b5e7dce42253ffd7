"""Batch normalisation over several shares is that over the whole batch, unequal or not."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from torch import nn

from paceline.agents.batch_norm import synchronise


class Exchange:
    """Sums what threads bring; all wait for each other."""

    def __init__(self, agents):
        self.parts, self.total = [None] * agents, None
        self.barrier = threading.Barrier(agents, action=self.add)

    def add(self):
        self.total = torch.stack(self.parts).sum(0)

    def of(self, number):
        def exchange(part):
            self.parts[number] = part
            self.barrier.wait(20)
            return self.total.clone()

        return exchange


def together(make, inputs, shares, weights=None):
    """Each share in a thread of its own: gradients of the inputs, and of the layers' sum."""
    exchange, whole = Exchange(len(shares)), make().double()
    models = [copy.deepcopy(whole) for _ in shares]
    parts = [part.clone().requires_grad_() for part in inputs.split(shares)]
    weights = weights or [1.0] * len(shares)

    def work(number):
        assert synchronise(models[number], exchange.of(number), lambda: weights[number])
        (models[number](parts[number]).sin().sum() * weights[number]).backward()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(shares))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    plain = inputs.clone().requires_grad_()
    whole(plain).sin().sum().backward()
    return whole, plain, models, torch.cat([part.grad for part in parts])


CASES = {
    "rows": (lambda: nn.BatchNorm1d(3), (12, 3)),
    "rows in time": (lambda: nn.BatchNorm1d(3), (12, 3, 5)),
    "pictures": (lambda: nn.BatchNorm2d(3, eps=0.1), (12, 3, 4, 2)),
    "volumes": (lambda: nn.BatchNorm3d(3, momentum=0.5), (12, 3, 2, 2, 2)),
    "a running mean over all": (lambda: nn.BatchNorm1d(3, momentum=None), (12, 3)),
    "nothing learnt": (lambda: nn.BatchNorm1d(3, affine=False), (12, 3)),
    "nothing tracked": (lambda: nn.BatchNorm1d(3, track_running_stats=False), (12, 3)),
    "two layers": (
        lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Tanh(), nn.BatchNorm1d(3)), (12, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shares", [(12,), (6, 6), (1, 4, 7)])
def test_shares_see_the_whole_batch_in_both_directions(name, shares):
    make, shape = CASES[name]
    inputs = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole, plain, models, grad = together(make, inputs, list(shares))
    torch.testing.assert_close(grad, plain.grad, rtol=0, atol=1e-12)
    by_layer = list(zip(*(model.parameters() for model in models), strict=True))
    for mine, theirs in zip(whole.parameters(), by_layer, strict=True):
        summed = torch.stack([each.grad for each in theirs]).sum(0)
        torch.testing.assert_close(summed, mine.grad, rtol=0, atol=1e-12)
    for model in models:  # every share tracks the same
        for mine, theirs in zip(whole.buffers(), model.buffers(), strict=True):
            torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_row_that_weighs_twice_is_as_two_rows(name):
    make, shape = CASES[name]
    inputs = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares, weights = [3, 5, 4], [2.0, 1.0, 3.0]
    _, _, models, grad = together(make, inputs, shares, weights)
    times = torch.tensor([2] * 3 + [1] * 5 + [3] * 4)
    plain = inputs.clone().requires_grad_()
    twin = make().double()
    twin(plain.repeat_interleave(times, 0)).sin().sum().backward()
    torch.testing.assert_close(grad, plain.grad, rtol=0, atol=1e-12)
    by_layer = zip(*(model.parameters() for model in models), strict=True)
    for mine, theirs in zip(twin.parameters(), by_layer, strict=True):
        summed = torch.stack([each.grad for each in theirs]).sum(0)
        torch.testing.assert_close(summed, mine.grad, rtol=0, atol=1e-12)
    for model in models[1:]:  # every share tracks the same
        for mine, theirs in zip(models[0].buffers(), model.buffers(), strict=True):
            torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-12)


def test_the_running_variance_of_unequal_weights_is_unbiased():
    chance, found = torch.Generator().manual_seed(0), 0.0
    for _ in range(300):
        inputs = torch.randn(8, 40, dtype=torch.float64, generator=chance)
        layer = lambda: nn.BatchNorm1d(40, momentum=1.0)  # noqa: E731 # two of them
        _, _, models, _ = together(layer, inputs, [2, 6], [3.0, 1.0])
        found += float(models[0].running_var.mean()) / 300
    assert found == pytest.approx(1.0, abs=0.03)


def test_half_precision_is_normalised_in_full():
    model = nn.BatchNorm1d(2)
    synchronise(model, lambda part: part)
    inputs = (torch.randn(64, 2) * 3 + 100).bfloat16().requires_grad_()
    output = model(inputs)
    output.sum().backward()
    assert output.dtype == inputs.grad.dtype == torch.bfloat16
    assert output.float().mean().abs() < 0.05


def test_it_exchanges_nothing_while_it_does_not_train():
    model = nn.BatchNorm1d(2)
    model.running_mean.fill_(3.0)

    def exchange(part):
        raise AssertionError("nobody is there")

    synchronise(model, exchange)
    assert torch.equal(model.eval()(torch.full((1, 2), 3.0)), torch.zeros(1, 2))


def test_a_wrong_shape_is_refused_as_torch_does():
    model = nn.BatchNorm2d(2)
    synchronise(model, lambda part: part)
    with pytest.raises(ValueError, match="expected 4D input"):
        model(torch.zeros(3, 2))


def test_a_model_without_such_a_layer_is_left_alone():
    model = nn.Linear(2, 2)
    assert not synchronise(model, lambda part: part)
    assert "forward" not in vars(model)
