"""What convolutional networks are made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Stage(nn.Module):
    """A convolution that widens, 2×2 max pooling, and a residual pair of convolutions.

    Args:
        before: Channels that come in.
        after: Channels that come out.
        pool_first: Pool before the first convolution, which takes a quarter of its time.

    Reference:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016, figure 5 left.
    """

    def __init__(self, before: int, after: int, *, pool_first: bool = False) -> None:
        super().__init__()
        self._pool_first = pool_first
        self.widen = convolution(before, after)
        self.first = convolution(after, after)
        self.second = convolution(after, after)

    def forward(self, hidden: Tensor) -> Tensor:
        """Halves the picture."""
        hidden = self.widen(halved(hidden)) if self._pool_first else halved(self.widen(hidden))
        added: Tensor = hidden + self.second(self.first(hidden))
        return added


def convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def halved(hidden: Tensor) -> Tensor:
    """2×2 max pooling, where the picture is large enough."""
    return functional.max_pool2d(hidden, 2) if min(hidden.shape[2:]) >= 2 else hidden
