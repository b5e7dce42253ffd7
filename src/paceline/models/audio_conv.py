"""A small residual convolutional network over the spectrum of a sound."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.data.base.spectra import FLOOR, filter_bank, waves, window_of
from paceline.models.base import Model
from paceline.models.base.stages import Stage, convolution

_BLOCK = 8


@final
class AudioConv(Model):
    """Convolutions with batch norm over a log-mel spectrum that is computed inside.

    The spectrum has a window of 25 ms every 10 ms, each band standardised by batch norm. In
    training whole blocks of bands and of moments are left out (after Park et al. 2019,
    SpecAugment, section 2, on a fixed grid). A stem halves the picture; then come stages of
    2×2 max pooling, a convolution and a residual pair of them. The head takes the mean and
    the maximum over the picture.

    Args:
        signature: With one ``waveform`` field, float32 [samples], whose ``bins`` are the edges
            of the bands in hertz, the last of them half the sample rate.
        width: Channels of the stem, at least 1.
        depth: Stages, at least 1.
        masked: Share of the blocks of bands, and of moments, left out in training: 0 to
            under 1.
        dropout: Share of the head's inputs dropped in training, 0 to under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 24,
        depth: int = 3,
        masked: float = 0.1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise SettingError(
                f"audio_conv: width and depth must be at least 1, got {width} and {depth}"
            )
        for name, share in (("masked", masked), ("dropout", dropout)):
            if not 0 <= share < 1:
                raise SettingError(
                    f"audio_conv: {name} must be at least 0 and under 1, got {share:g}"
                )
        edges = signature.inputs[0].bins[0]
        self.spectrum = _LogMel(edges)
        self.standard = nn.BatchNorm1d(len(edges) - 2)
        self.masks = _Masks(masked)
        sizes = [width * 2**stage for stage in range(depth + 1)]
        self.stem = nn.Sequential(convolution(1, width, stride=2), convolution(width, width))
        self.stages = nn.Sequential(
            *(Stage(before, after, pool_first=True) for before, after in pairwise(sizes))
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * sizes[-1], signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        loud = self.masks(self.standard(self.spectrum(inputs[0])))
        hidden = self.stages(self.stem(loud[:, None]))
        pooled = torch.cat([hidden.mean((2, 3)), hidden.amax((2, 3))], 1)
        output: Tensor = self.head(self.dropout(pooled))
        return output


class _LogMel(nn.Module):
    """Waveforms [n, samples] as the logarithm of power by band [n, bands, frames]."""

    def __init__(self, edges: tuple[float, ...]) -> None:
        super().__init__()
        self.window, self.hop, transform = window_of(round(2 * edges[-1]))
        products = torch.from_numpy(waves(self.window, transform))[:, None]
        bank = torch.from_numpy(filter_bank(edges, transform // 2 + 1))[..., None]
        # Both follow from the signature, and need not be saved.
        self.register_buffer("products", products, persistent=False)
        self.register_buffer("bank", bank, persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            sound = waveforms.to(self.products.dtype)
            sound = sound / (sound.abs().amax(1, keepdim=True) + 1e-3)
            missing = max(0, self.window - sound.shape[1])
            sound = functional.pad(sound, (self.window // 2, self.window // 2 + missing))
            parts = functional.conv1d(sound[:, None], self.products, stride=self.hop)
            cosines, sines = parts.chunk(2, 1)
            power = functional.conv1d(cosines.square() + sines.square(), self.bank)
            loud: Tensor = (power + FLOOR).log()
            return loud

    products: Tensor
    bank: Tensor


class _Masks(nn.Module):
    """Leaves out blocks of bands and of moments in training."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.chance = nn.Dropout(share)

    def forward(self, loud: Tensor) -> Tensor:
        if not self.training or not self.chance.p:
            return loud
        count, bands, frames = loud.shape
        return (
            loud
            * self._kept(loud, count, bands)[:, :, None]
            * self._kept(loud, count, frames)[:, None]
        )

    def _kept(self, loud: Tensor, count: int, length: int) -> Tensor:
        """Ones and zeros [count, length], in blocks: a dropout's mask without its scale."""
        blocks = -(-length // _BLOCK)
        mask = (self.chance(loud.new_ones(count, blocks)) > 0).to(loud.dtype)
        kept: Tensor = mask.repeat_interleave(_BLOCK, 1)[:, :length]
        return kept
