"""Waveforms brought to one length, and random changes to batches of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError


def fitted(waveforms: Any, length: int) -> np.ndarray[Any, Any]:
    """Waveforms of one length: silence after short ones, the middle of long ones.

    Args:
        waveforms: Of each example, float [samples].
        length: At least 1.

    Returns:
        float32 [n, length].

    >>> fitted([np.ones(2), np.arange(5.0)], 3).tolist()
    [[1.0, 1.0, 0.0], [1.0, 2.0, 3.0]]
    """
    rows = np.zeros((len(waveforms), length), np.float32)
    for at, waveform in enumerate(waveforms):
        if getattr(waveform, "ndim", 0) != 1:
            raise DataError(f"sound {at + 1} is no waveform [samples], but {type(waveform)}")
        start = max(0, (len(waveform) - length) // 2)
        cut = waveform[start : start + length]
        rows[at, : len(cut)] = cut
    return rows


def varied(
    waveforms: Tensor,
    generator: torch.Generator,
    *,
    shift: float,
    speed: float,
    gain: float,
    noise: float,
) -> Tensor:
    """Lets each waveform begin later, changes its speed and loudness, and adds noise, at random.

    Args:
        waveforms: float [n, samples].
        generator: On their device; the same state gives the same result.
        shift: Latest start in samples, with silence before it.
        speed: Largest change of the speed, and of the pitch with it, as a share.
        gain: Largest change in decibels.
        noise: Largest root mean square of white noise as a share of the waveform's own.

    Returns:
        float [n, samples].
    """
    count, samples = waveforms.shape
    device = waveforms.device
    draw = torch.rand(count, 4, device=device, generator=generator)
    if shift or speed:
        pace = 1 + speed * (2 * draw[:, :1] - 1)
        at = torch.arange(samples, device=device)
        waveforms = _read_at(waveforms, (at - shift * draw[:, 1:2]) * pace)
    if noise:
        own = waveforms.square().mean(1, keepdim=True).sqrt()
        white = torch.randn(waveforms.shape, device=device, generator=generator)
        waveforms = waveforms + white * own * (noise * draw[:, 2:3].square())
    return waveforms * 10 ** ((2 * draw[:, 3:] - 1) * gain / 20)


def _read_at(waveforms: Tensor, at: Tensor) -> Tensor:
    """Waveforms between their samples, by straight lines; zero outside.

    Args:
        waveforms: float [n, samples].
        at: float [n, samples], where to read, in samples.
    """
    last = waveforms.shape[1] - 1
    low = at.floor()
    part = at - low
    first = low.long()
    inside = (first >= 0) & (first < last)
    first = first.clamp(0, max(last - 1, 0))
    left = waveforms.gather(1, first)
    right = waveforms.gather(1, (first + 1).clamp_max(last))
    return (left + (right - left) * part) * inside
