"""Random changes to batches of pictures, on their device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def jittered(
    images: Tensor, generator: torch.Generator, *, shift: float, turn: float, zoom: float
) -> Tensor:
    """Moves, turns and scales each picture by its own random amount.

    Args:
        images: float [n, channels, height, width].
        generator: On the pictures' device; the same state gives the same result.
        shift: Largest move as a share of the size.
        turn: Largest rotation in degrees.
        zoom: Largest change of size as a share.

    Returns:
        float [n, channels, height, width], the edge pixels continued outwards.
    """
    count, height, width = len(images), *images.shape[2:]
    draw = torch.rand(count, 4, device=images.device, generator=generator) * 2 - 1
    angle, size = draw[:, 0] * math.radians(turn), 1 + draw[:, 1] * zoom
    cos, sin, ratio = angle.cos() * size, angle.sin() * size, height / width
    rows = torch.stack(
        [cos, -sin * ratio, draw[:, 2] * 2 * shift, sin / ratio, cos, draw[:, 3] * 2 * shift], 1
    )
    grid = functional.affine_grid(rows.view(count, 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors half of the pictures left and right, chosen at random."""
    coin = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator) < 0.5
    return torch.where(coin, images.flip(3), images)
