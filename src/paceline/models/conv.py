"""A small residual convolutional network."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.stages import Stage, convolution


@final
class Conv(Model):
    """Convolutions with batch norm; each stage halves the picture, doubles the width.

    A stem, then ``depth`` stages of convolution, 2×2 max pooling and, in every stage, a
    residual pair of convolutions (He et al. 2016, figure 5 left). The head takes the mean
    and the maximum over the picture. Pixels of 0…255 are standardised by channel inside.

    Args:
        signature: With one ``image`` field, uint8 or float [channels, height, width].
        width: Channels of the stem, at least 1.
        depth: Stages, at least 1; left out, as many as leave a picture of 3×3 or more.
        dropout: Share of the head's inputs that is dropped in training, 0 to under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 32,
        depth: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        image = signature.inputs[0]
        channels, height, width_pixels = image.shape
        deepest = max(1, int(math.log2(max(min(height, width_pixels), 6) / 3)))
        depth = min(deepest, 4) if depth is None else depth
        _check(width=width, depth=depth, dropout=dropout)
        self.register_buffer("mean", torch.tensor(image.mean).view(1, channels, 1, 1))
        self.register_buffer("scale", torch.tensor(image.scale).view(1, channels, 1, 1))
        self.stem = convolution(channels, width)
        sizes = [width * 2**stage for stage in range(depth + 1)]
        self.stages = nn.Sequential(*(Stage(before, after) for before, after in pairwise(sizes)))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * sizes[-1], signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        pixels = (inputs[0].to(self.mean.dtype) - self.mean) / self.scale
        hidden = self.stages(self.stem(pixels))
        pooled = torch.cat([hidden.mean((2, 3)), hidden.amax((2, 3))], 1)
        output: Tensor = self.head(self.dropout(pooled))
        return output

    mean: Tensor
    scale: Tensor


def _check(*, width: int, depth: int, dropout: float) -> None:
    if width < 1:
        raise SettingError(f"conv: width must be at least 1, got {width}")
    if depth < 1:
        raise SettingError(f"conv: depth must be at least 1, got {depth}")
    if not 0 <= dropout < 1:
        raise SettingError(f"conv: dropout must be at least 0 and under 1, got {dropout:g}")
