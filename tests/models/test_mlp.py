"""The plain network takes any arrays and refuses settings that make no network."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.mlp import MLP


def _signature(*fields: Field) -> Signature:
    return Signature(kind="tensors", inputs=fields, outputs=2)


def _numbers(mean: float = 0.0, scale: float = 1.0) -> Field:
    return Field(name="x", shape=(2,), dtype="float32", mean=(mean,) * 2, scale=(scale,) * 2)


def test_without_hidden_layers_it_is_a_line_over_standardised_inputs():
    network = MLP(_signature(_numbers(mean=3.0, scale=2.0)), depth=0)
    layer = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
    inputs = torch.randn(5, 2)
    assert torch.allclose(network(inputs), layer((inputs - 3) / 2))


def test_whole_numbers_and_single_values_are_inputs_too():
    whole = Field(name="whole", shape=(3,), dtype="int64")
    single = Field(name="single", shape=(), dtype="float32")
    assert MLP(_signature(whole), width=4)(torch.arange(6).view(2, 3)).shape == (2, 2)
    assert MLP(_signature(single), width=4)(torch.ones(2)).shape == (2, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 0}, "width must be at least 1 and depth at least 0, got 0 and 2"),
        ({"depth": -1}, "width must be at least 1 and depth at least 0, got 256 and -1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and under 1, got 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_range(given, words):
    with pytest.raises(SettingError, match=words):
        MLP(_signature(_numbers()), **given)
