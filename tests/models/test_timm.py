"""Networks of timm, tried with a stand-in for the package."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paceline.core.errors import DataError, MissingExtra, SettingError
from paceline.core.signature import Field, Signature
from paceline.models.timm import Timm


class _Network(nn.Module):
    num_features = 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, pixels):
        return self.norm(self.convolution(pixels)).mean((2, 3))


@pytest.fixture(autouse=True)
def package(monkeypatch):
    def create_model(name, *, pretrained, num_classes, in_chans):
        assert not pretrained
        assert num_classes == 0
        if name not in ("resnet18", "small"):
            raise RuntimeError(f"Unknown model ({name})")
        return _Network(in_chans)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))


def _signature(backbone: str = "timm:small") -> Signature:
    field = Field(name="image", shape=(3, 8, 8), dtype="uint8", mean=(1.0,) * 3, scale=(2.0,) * 3)
    return Signature(kind="image", inputs=(field,), outputs=3, backbone=backbone)


def test_a_network_of_timm_gets_a_head_of_its_own():
    network = Timm(_signature())
    assert network(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).shape == (2, 3)
    assert Timm(_signature("")).head.in_features == 4


def test_weights_come_from_a_file_and_later_from_the_run(tmp_path):
    file = tmp_path / "weights.safetensors"
    trained = _Network(3)
    save_file(trained.state_dict() | {"fc.weight": torch.zeros(2)}, file)
    backbone = f"timm:small@{file}"
    network = Timm(_signature(backbone))
    assert torch.equal(network.network.convolution.weight, trained.convolution.weight)
    file.unlink()
    later = Timm(_signature(backbone))
    later.load_state_dict(network.state_dict())
    assert torch.equal(later.network.convolution.weight, trained.convolution.weight)


@pytest.mark.parametrize("change", ["less", "other"])
def test_weights_of_another_network_are_refused(tmp_path, change):
    file = tmp_path / "weights.safetensors"
    weights = _Network(3 if change == "less" else 1).state_dict()
    if change == "less":
        weights.pop("convolution.bias")
    save_file(weights, file)
    with pytest.raises(DataError, match="does not fit the network"):
        Timm(_signature(f"timm:small@{file}"))


def test_frozen_trains_the_head_alone():
    network = Timm(_signature(), tune="frozen").train()
    trained = [name for name, each in network.named_parameters() if each.requires_grad]
    assert trained == ["head.weight", "head.bias"]
    assert not network.network.training
    assert network.head.training


def test_an_unknown_network_and_settings_out_of_range_are_refused():
    with pytest.raises(SettingError, match="no network 'smal'"):
        Timm(_signature("timm:smal"))
    with pytest.raises(SettingError, match="frozen or all"):
        Timm(_signature(), tune="some")
    with pytest.raises(SettingError, match="dropout"):
        Timm(_signature(), dropout=1.0)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"paceline\[timm\]"):
        Timm(_signature())
