"""The network for small colour pictures."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.airbench import Airbench


def _signature(channels: int = 3, size: int = 32) -> Signature:
    field = Field(
        name="image",
        shape=(channels, size, size),
        dtype="uint8",
        mean=(120.0,) * channels,
        scale=(60.0,) * channels,
    )
    return Signature(kind="image", inputs=(field,), outputs=10)


@pytest.mark.parametrize(("size", "groups"), [(4, 1), (16, 2), (32, 3), (96, 3)])
def test_there_are_as_many_groups_as_leave_a_picture(size, groups):
    assert len(Airbench(_signature(size=size), width=4).groups) == groups


def test_answers_with_a_mirror_are_the_same_for_a_picture_and_its_mirror_image():
    pixels = torch.rand(4, 3, 32, 32) * 255
    network = Airbench(_signature(), width=4, views=2).eval()
    assert torch.allclose(network(pixels), network(pixels.flip(3)), atol=1e-4)
    plain = Airbench(_signature(), width=4).eval()
    assert not torch.allclose(plain(pixels), plain(pixels.flip(3)), atol=1e-4)


def test_six_views_are_of_pictures_moved_by_a_pixel():
    network = Airbench(_signature(), width=4, views=6).eval()
    seen = []
    network.stem.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    pixels = torch.rand(2, 3, 32, 32)
    network(pixels)
    plain = seen[0]
    assert len(seen) == 6
    assert all(each.shape == plain.shape for each in seen)
    assert torch.equal(seen[2][:, :, 1:, 1:], plain[:, :, :-1, :-1])
    assert torch.equal(seen[4][:, :, :-1, :-1], plain[:, :, 1:, 1:])


def test_in_training_each_picture_is_looked_at_once():
    torch.manual_seed(0)
    mirrored = Airbench(_signature(), width=4, views=6).train()
    torch.manual_seed(0)
    plain = Airbench(_signature(), width=4).train()
    pixels = torch.rand(4, 3, 32, 32) * 255
    assert torch.equal(mirrored(pixels), plain(pixels))


def test_convolutions_begin_as_the_identity():
    network = Airbench(_signature(), width=32)
    picture = torch.rand(1, 32, 5, 5)
    assert torch.allclose(network.groups[0].second(picture), picture)


@pytest.mark.parametrize("settings", [{"width": 0}, {"depth": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match="at least 1"):
        Airbench(_signature(), **settings)


def test_a_number_of_views_that_nobody_knows_is_refused():
    with pytest.raises(SettingError, match=r"views must be one of \(1, 2, 6\), got 3"):
        Airbench(_signature(), views=3)
