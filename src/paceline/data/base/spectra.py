"""How much of each pitch a sound holds, moment by moment, on the scale that ears have."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FLOOR = 1e-7


def mel_of(hertz: float) -> float:
    """A frequency on the mel scale.

    ``mel = 2595 · log10(1 + hertz / 700)``

    Reference:
        Young et al., The HTK Book (version 3.4), equation 5.13.

    >>> round(mel_of(1000.0), 2)
    999.99
    """
    return 2595 * math.log10(1 + hertz / 700)


def hertz_of(mel: float) -> float:
    """A mel back in hertz.

    >>> round(hertz_of(mel_of(440.0)), 6)
    440.0
    """
    return 700 * (10 ** (mel / 2595) - 1)


def band_edges(bands: int, rate: int) -> tuple[float, ...]:
    """Edges of bands that are equally wide in mel, up to half the sample rate.

    Args:
        bands: At least 1.
        rate: Samples a second, over 0.

    Returns:
        bands + 2 frequencies in hertz; band k rises from edge k to k + 1 and falls to k + 2.

    >>> [round(edge) for edge in band_edges(2, 8000)]
    [0, 621, 1791, 4000]
    """
    top = mel_of(rate / 2)
    edges = [hertz_of(top * at / (bands + 1)) for at in range(bands + 1)]
    return (*edges, rate / 2)


def filter_bank(edges: tuple[float, ...], bins: int) -> Array:
    """Triangles over the bins of a spectrum that reaches from 0 to the last edge.

    Args:
        edges: Increasing, in hertz, as ``band_edges`` gives them.
        bins: Of the spectrum, at least 2.

    Returns:
        float32 [bands, bins]; each row has the sum 1, so that a band tells the mean power
        in it. A band between two bins takes the nearest.

    >>> filter_bank((0.0, 1.0, 2.0, 6.0), 7).round(1).tolist()[0]
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    >>> (10 * filter_bank((0.0, 1.0, 2.0, 6.0), 7)[1]).round().tolist()
    [0.0, 0.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    """
    at = np.linspace(0.0, edges[-1], bins)
    rows = []
    for (low, middle), (_, high) in pairwise(pairwise(edges)):
        row = np.minimum((at - low) / (middle - low), (high - at) / (high - middle)).clip(0)
        if not row.any():
            row[np.abs(at - middle).argmin()] = 1.0
        rows.append(row / row.sum())
    bank: Array = np.stack(rows).astype(np.float32)
    return bank


def window_of(rate: int) -> tuple[int, int, int]:
    """Samples in a window of 25 ms, from one to the next (10 ms), and in its transform.

    The transform is of at least twice the window, so that low bands fall between no bins.

    >>> window_of(8000)
    (200, 80, 512)
    """
    window, hop = max(2, round(0.025 * rate)), max(1, round(0.010 * rate))
    return window, hop, 2 ** math.ceil(math.log2(2 * window))


def waves(window: int, transform: int) -> Array:
    """Cosines and sines under a Hann window, whose products with a frame are its spectrum.

    A sine of amplitude a has the power a² / 4 in its bin, whatever the window's length.

    Args:
        window: Samples in a frame.
        transform: Samples in the transform, at least as many.

    Returns:
        float32 [2 · (transform / 2 + 1), window], the cosines first.
    """
    time = np.arange(window)
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * (time + 0.5) / window)
    turn = 2 * np.pi * np.arange(transform // 2 + 1)[:, None] * time / transform
    both = np.concatenate([np.cos(turn), np.sin(turn)]) * (shape / shape.sum())
    products: Array = both.astype(np.float32)
    return products


def log_mel(samples: Array, rate: int, edges: tuple[float, ...]) -> Array:
    """The logarithm of the mean power of each band in each frame.

    Args:
        samples: float [n].
        rate: Samples a second.
        edges: Of the bands, see ``band_edges``.

    Returns:
        float32 [frames, bands]; at least one frame.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    >>> edges = band_edges(20, 8000)
    >>> loudest = log_mel(tone, 8000, edges).mean(0).argmax()
    >>> bool(edges[loudest] < 1000 < edges[loudest + 2])
    True
    """
    window, hop, transform = window_of(rate)
    padded = np.pad(samples.astype(np.float32), (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    parts = frames @ waves(window, transform).T
    bins = transform // 2 + 1
    power = parts[:, :bins] ** 2 + parts[:, bins:] ** 2
    found: Array = np.log(power @ filter_bank(edges, bins).T + FLOOR)
    return found
