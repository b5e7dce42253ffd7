"""Random changes to batches of pictures, on their device; and pictures for a report."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

import numpy as np
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


def data_uri(image: np.ndarray[Any, Any]) -> str:
    """A picture as a PNG within a line of text.

    Args:
        image: uint8 [channels, height, width] with 1 or 3 channels.

    Reference:
        ISO/IEC 15948:2004, Portable Network Graphics, clauses 5 and 11.

    >>> data_uri(np.zeros((1, 2, 2), np.uint8))[:30]
    'data:image/png;base64,iVBORw0K'
    """
    channels, height, width = image.shape
    rows = image.transpose(1, 2, 0).reshape(height, width * channels)
    # Each row begins with the number of its filter: 0 is none.
    content = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (head, content, b"")))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
