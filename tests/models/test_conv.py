"""The convolutional network takes pictures of any size."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.conv import Conv


def _signature(*shape: int) -> Signature:
    channels = shape[0]
    field = Field(
        name="image", shape=shape, dtype="uint8", mean=(9.0,) * channels, scale=(3.0,) * channels
    )
    return Signature(kind="image", inputs=(field,), outputs=3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 40), (1, 5, 7), (4, 28, 28)])
def test_any_size_of_picture_gives_its_outputs(shape):
    network = Conv(_signature(*shape), width=2)
    assert network(torch.zeros(3, *shape, dtype=torch.uint8)).shape == (3, 3)


@pytest.mark.parametrize(("size", "stages"), [(8, 1), (28, 3), (32, 3), (96, 4)])
def test_it_is_as_deep_as_leaves_a_picture_of_three_by_three(size, stages):
    assert len(Conv(_signature(1, size, size), width=1).stages) == stages


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and under 1, got 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_with_its_range(given, words):
    with pytest.raises(SettingError, match=words):
        Conv(_signature(1, 8, 8), **given)
