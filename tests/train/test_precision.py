"""Precision is chosen by what the device has."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.train import precision
from paceline.train.precision import choose_precision, find_device

_CPU, _CUDA, _MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_gets_bf16_only_where_it_has_instructions_for_it(monkeypatch, has):
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has)
    chosen = choose_precision("auto", _CPU)
    assert chosen.name == ("bf16" if has else "fp32")
    assert chosen.reason


@pytest.mark.parametrize("has", [True, False])
def test_a_gpu_without_bf16_units_gets_fp16(monkeypatch, has):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert choose_precision("auto", _CUDA).name == ("bf16" if has else "fp16")


def test_another_device_gets_what_is_safe():
    assert choose_precision("auto", _MPS).name == "fp32"


def test_what_is_asked_for_is_given_but_for_fp16_on_a_cpu():
    assert choose_precision("bf16", _CPU).name == "bf16"
    with pytest.raises(SettingError, match="fp16 needs a GPU"):
        choose_precision("fp16", _CPU)


def test_forward_passes_run_in_the_chosen_numbers():
    layer = torch.nn.Linear(2, 2)
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        chosen = choose_precision(name, _CPU)
        with chosen.autocast():
            assert layer(torch.ones(1, 2)).dtype == kind
        assert not chosen.scaler().is_enabled()


@pytest.mark.parametrize("wanted", ["no such device", "cuda:99"])
def test_a_device_that_is_not_here_is_refused_in_one_line(wanted):
    with pytest.raises(SettingError, match="cannot be used here") as caught:
        find_device(wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cuda", "mps", "found"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_is_found(monkeypatch, cuda, mps, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert find_device("auto").type == found
    assert find_device("cpu").type == "cpu"
