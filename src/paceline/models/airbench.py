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
_VIEWS = (1, 2, 6)


@final
class Airbench(Model):
    """Pairs of convolutions, the first of each pair before 2×2 max pooling.

    A 2×2 stem, then ``depth`` groups: convolution, max pooling, batch norm, GELU, and a
    residual convolution with batch norm and GELU. Convolutions begin as the identity as far
    as they can, so that the network is shallow at first. The head takes the maximum over the
    picture. Asked for answers, it may look at each picture several times.

    Args:
        signature: With one ``image`` field, uint8 or float [channels, height, width].
        width: Channels of the first group, at least 1.
        depth: Groups, at least 1; all but the first have four times the width. Left out, as
            many as leave a picture of 3×3 or more, at most 3.
        views: What an answer is the mean of: 1, the picture; 2, it and its mirror image; 6,
            both also moved by a pixel to either corner, at half the weight.

    Reference:
        Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024, sections 3.1, 3.2, 3.5.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 64,
        depth: int | None = None,
        views: int = 1,
    ) -> None:
        super().__init__()
        image = signature.inputs[0]
        channels, height, across = image.shape
        depth = _depth(min(height, across)) if depth is None else depth
        if width < 1 or depth < 1:
            raise SettingError(
                f"airbench: width and depth must be at least 1, got {width} and {depth}"
            )
        if views not in _VIEWS:
            raise SettingError(f"airbench: views must be one of {_VIEWS}, got {views}")
        self.views = views
        self.register_buffer("mean", torch.tensor(image.mean).view(1, channels, 1, 1))
        self.register_buffer("scale", torch.tensor(image.scale).view(1, channels, 1, 1))
        self.stem = nn.Conv2d(channels, _STEM, 2)
        sizes = [_STEM, *(width * (4 if group else 1) for group in range(depth))]
        self.groups = nn.Sequential(*(_Group(before, after) for before, after in pairwise(sizes)))
        self.head = nn.Linear(sizes[-1], signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        pixels = (inputs[0].to(self.mean.dtype) - self.mean) / self.scale
        if self.training or self.views == 1:
            return self._outputs(pixels)
        still = self._both(pixels)
        if self.views == 2:
            return still
        wider = functional.pad(pixels, (1, 1, 1, 1), mode="reflect")
        moved = (self._both(wider[:, :, :-2, :-2]) + self._both(wider[:, :, 2:, 2:])) / 2
        return (still + moved) / 2

    def _both(self, pixels: Tensor) -> Tensor:
        return (self._outputs(pixels) + self._outputs(pixels.flip(3))) / 2

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
