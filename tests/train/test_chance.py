"""What is dropped depends on the seed and the batch, not on who works on a share of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paceline.train.chance import WholeBatch, begin_batch, drops

LAYERS = {
    "elements": (lambda p: nn.Dropout(p), (8, 3)),
    "in place": (lambda p: nn.Dropout(p, inplace=True), (8, 3)),
    "channels of 1": (lambda p: nn.Dropout1d(p), (8, 3, 5)),
    "channels of 2": (lambda p: nn.Dropout2d(p), (8, 3, 4, 2)),
    "channels of 3": (lambda p: nn.Dropout3d(p), (8, 3, 2, 2, 2)),
}


def drawn(layer, inputs, first, count, seed=5, number=9):
    begin_batch(seed, number)
    with WholeBatch(first=first, count=count, total=len(inputs)):
        return layer(inputs[first : first + count].clone())


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_shares_are_rows_of_the_whole_and_the_whole_is_torchs_own(name, p):
    make, shape = LAYERS[name]
    layer, inputs = make(p), torch.randn(shape)
    begin_batch(5, 9)
    plain = layer(inputs.clone())
    assert torch.allclose(drawn(layer, inputs, 0, 8), plain)
    parts = [drawn(layer, inputs, first, count) for first, count in ((0, 1), (1, 4), (5, 3))]
    assert torch.equal(torch.cat(parts), drawn(layer, inputs, 0, 8))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_it_holds_for_several_layers_and_heads(counts, heads):
    total = sum(counts)
    layer = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.2))
    inputs = torch.ones(total * heads, 4)
    starts = [sum(counts[:at]) for at in range(len(counts))]

    def share(first, count):
        begin_batch(1, 2)
        with WholeBatch(first=first, count=count, total=total):
            return layer(inputs[first * heads : (first + count) * heads])

    parts = [share(first, count) for first, count in zip(starts, counts, strict=True)]
    assert torch.equal(torch.cat(parts), share(0, total))


def test_batches_and_seeds_draw_differently():
    layer, inputs = nn.Dropout(0.5), torch.ones(8, 16)
    first = drawn(layer, inputs, 0, 8)
    assert not torch.equal(first, drawn(layer, inputs, 0, 8, number=10))
    assert not torch.equal(first, drawn(layer, inputs, 0, 8, seed=6))
    assert torch.equal(first, drawn(layer, inputs, 0, 8))


def test_what_has_no_example_as_its_first_axis_keeps_its_own_chance():
    begin_batch(0, 0)
    with WholeBatch(first=0, count=4, total=8):
        output = nn.functional.dropout(torch.ones(7, 100), 0.5)
    assert 0.3 < (output == 0).float().mean() < 0.7


def test_nothing_is_dropped_that_does_not_train():
    layer = nn.Dropout(0.5).eval()
    assert torch.equal(drawn(layer, torch.ones(4, 4), 0, 4), torch.ones(4, 4))


def test_gradients_flow_through_what_is_kept():
    inputs = torch.ones(4, 4, requires_grad=True)
    begin_batch(0, 0)
    with WholeBatch(first=0, count=4, total=4):
        nn.functional.dropout(inputs, 0.5).sum().backward()
    assert set(inputs.grad.flatten().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Linear(1, 1), False),
        (nn.Sequential(nn.Linear(1, 1), nn.Dropout2d(0.1)), True),
        (nn.LSTM(1, 1, num_layers=2, dropout=0.5), True),
        (nn.LSTM(1, 1), False),
        (nn.TransformerEncoderLayer(4, 2, 4), True),
    ],
)
def test_layers_that_drop_are_known(model, expected):
    assert drops(model) is expected
