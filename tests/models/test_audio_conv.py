"""The network for sounds sees a spectrum, and leaves out blocks of it in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.data.base.spectra import band_edges, log_mel
from paceline.models.audio_conv import AudioConv


def _signature(samples: int = 2000, bands: int = 20, rate: int = 8000) -> Signature:
    field = Field(
        name="waveform",
        shape=(samples,),
        dtype="float32",
        mean=(0.0,),
        scale=(0.1,),
        bins=(band_edges(bands, rate),),
    )
    return Signature(kind="audio", inputs=(field,), outputs=3)


def test_its_spectrum_is_that_of_the_plain_twin():
    time = np.arange(4000) / 8000
    sound = np.sin(2 * np.pi * 1000 * time) + 0.1 * np.sin(2 * np.pi * 3000 * time)
    sound = (sound / np.abs(sound).max()).astype(np.float32) * (1 - 1e-3)
    network = AudioConv(_signature(4000))
    inside = network.spectrum(torch.from_numpy(sound)[None])[0].T.numpy()
    padded = np.pad(sound / (np.abs(sound).max() + 1e-3), (100, 100))
    outside = log_mel(padded, 8000, band_edges(20, 8000))
    np.testing.assert_allclose(inside, outside, atol=2e-3)


def test_loud_and_soft_sounds_look_the_same():
    sound = torch.from_numpy(np.sin(np.arange(2000) * 0.5)).float()[None]
    network = AudioConv(_signature()).eval()
    soft = network.spectrum(sound * 0.5)
    assert torch.allclose(network.spectrum(sound), soft, atol=0.02, rtol=0.01)


def test_silence_and_sounds_shorter_than_a_window_are_answered():
    network = AudioConv(_signature(50)).eval()
    assert network(torch.zeros(2, 50)).isfinite().all()


def test_whole_blocks_are_left_out_in_training_only():
    network = AudioConv(_signature(), masked=0.5)
    torch.manual_seed(0)
    loud = torch.ones(4, 20, 33)
    masked = network.masks(loud)
    kept = masked[:, :, 0].sum(1), masked[:, 0].sum(1)
    assert not torch.equal(masked, loud)
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    blocks = masked[:, :8, :8]
    assert all(each.min() == each.max() for each in blocks)
    assert kept[0].shape == kept[1].shape
    assert torch.equal(network.eval().masks(loud), loud)


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"depth": 0}, {"masked": 1.0}, {"dropout": -0.1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        AudioConv(_signature(), **settings)


def test_only_what_is_learnt_is_saved():
    assert not [name for name in AudioConv(_signature()).state_dict() if "products" in name]
