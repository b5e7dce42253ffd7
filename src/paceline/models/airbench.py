"""A small convolutional network that learns from small colour pictures in few epochs."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.stages import halved

_STEM = 24


@final
class Airbench(Model):
    """Pairs of convolutions, the first of each pair before 2×2 max pooling.

    A 2×2 stem, then ``depth`` groups: convolution, max pooling, batch norm, GELU, and a
    residual convolution with batch norm and GELU. Convolutions begin as the identity as far
    as they can, so that the network is shallow at first. The head takes the maximum over the
    picture. Asked for answers, it looks at each picture and at its mirror image.

    Args:
        signature: With one ``image`` field, uint8 or float [channels, height, width].
        width: Channels of the first group, at least 1.
        depth: Groups, at least 1; the second and later ones have 2 and 4 times the width.
            Left out, as many as leave a picture of 3×3 or more, at most 3.
        mirror: Answer by the mean over a picture and its mirror image.

    Reference:
        Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024, sections 3.1 and 3.2.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 64,
        depth: int | None = None,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        image = signature.inputs[0]
        channels, height, across = image.shape
        depth = _depth(min(height, across)) if depth is None else depth
        if width < 1 or depth < 1:
            raise SettingError(
                f"airbench: width and depth must be at least 1, got {width} and {depth}"
            )
        self.mirror = mirror
        self.register_buffer("mean", torch.tensor(image.mean).view(1, channels, 1, 1))
        self.register_buffer("scale", torch.tensor(image.scale).view(1, channels, 1, 1))
        self.stem = nn.Conv2d(channels, _STEM, 2)
        sizes = [_STEM, *(width * 2 ** min(group, 2) for group in range(depth))]
        self.groups = nn.Sequential(*(_Group(before, after) for before, after in pairwise(sizes)))
        self.head = nn.Linear(sizes[-1], signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        pixels = (inputs[0].to(self.mean.dtype) - self.mean) / self.scale
        output = self._outputs(pixels)
        if self.mirror and not self.training:
            output = (output + self._outputs(pixels.flip(3))) / 2
        return output

    def _outputs(self, pixels: Tensor) -> Tensor:
        hidden = self.groups(functional.gelu(self.stem(pixels)))
        output: Tensor = self.head(hidden.amax((2, 3)))
        return output

    mean: Tensor
    scale: Tensor


class _Group(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = _convolution(before, after)
        self.second = _convolution(after, after)
        self.first_norm = nn.BatchNorm2d(after)
        self.second_norm = nn.BatchNorm2d(after)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = functional.gelu(self.first_norm(halved(self.first(hidden))))
        added: Tensor = hidden + functional.gelu(self.second_norm(self.second(hidden)))
        return added


def _convolution(before: int, after: int) -> nn.Conv2d:
    """A 3×3 convolution whose first channels pass on what comes in."""
    made = nn.Conv2d(before, after, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(made.weight[: min(before, after)])
    return made


def _depth(smallest: int) -> int:
    return min(3, max(1, int(math.log2(max(smallest - 1, 6) / 3))))
