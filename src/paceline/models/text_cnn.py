"""Convolutions over words, beside a linear model of words and pairs."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.sequence import largest_of, mean_of, trimmed


@final
class TextCNN(Model):
    """Convolutions of several widths over embedded tokens, the maximum of each over the text.

    The head also takes the mean of the embeddings. Beside all that stands a linear model of
    single tokens and of pairs, hashed into buckets, which on a few thousand texts is hard to
    beat: ``outputs + gain · Σ (w[token] + w[pair]) / √length``.

    Args:
        signature: With one field of tokens, int64 [length], 0 is padding.
        width: Numbers that a token is embedded in, at least 1.
        channels: Convolutions of each size, at least 1.
        sizes: Tokens that a convolution sees, each at least 1.
        dropout: Share of embeddings, of the head's inputs, and of tokens and pairs in the
            linear model that is dropped in training, 0 to under 1.
        buckets: Of the linear model, 0 for none; left out, 131,072, or fewer where there are
            many outputs.

    Reference:
        Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014; Cheng et
        al., Wide & Deep Learning, 2016; Joulin et al., Bag of Tricks for Efficient Text
        Classification, EACL 2017, for hashed pairs.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 64,
        channels: int = 32,
        sizes: tuple[int, ...] = (2, 3, 4),
        dropout: float = 0.5,
        buckets: int | None = None,
    ) -> None:
        super().__init__()
        _check(width, channels, sizes, dropout, buckets)
        tokens, outputs = signature.inputs[0].cardinalities[0], signature.outputs
        self.embedding = nn.Embedding(tokens, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=_SPREAD)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, channels, size, padding=size // 2) for size in sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width + channels * len(sizes), outputs)
        self.buckets = min(_BUCKETS, max(1, _ENTRIES // outputs)) if buckets is None else buckets
        if self.buckets:
            self.wide = nn.Embedding(self.buckets, outputs)
            nn.init.zeros_(self.wide.weight)

    def forward(self, *inputs: Tensor) -> Tensor:
        tokens = trimmed(inputs[0])
        present = tokens != 0
        states = self.dropout(self.embedding(tokens))
        channels_first = states.transpose(1, 2)
        pooled = [mean_of(states, present)]
        for convolution in self.convolutions:
            found = convolution(channels_first)[:, :, : tokens.shape[1]].relu()
            pooled.append(largest_of(found.transpose(1, 2), present))
        output: Tensor = self.head(self.dropout(torch.cat(pooled, 1)))
        return output + self._linear(tokens, present) if self.buckets else output

    def _linear(self, tokens: Tensor, present: Tensor) -> Tensor:
        before = functional.pad(tokens, (1, 0))[:, :-1]
        single = tokens * _FACTORS[0] % self.buckets
        pair = (tokens * _FACTORS[1] + before * _FACTORS[2]) % self.buckets
        total = torch.zeros(len(tokens), self.wide.embedding_dim, device=tokens.device)
        for places in (single, pair):
            kept = self.dropout(present.float()).unsqueeze(-1)
            total = total + (self.wide(places) * kept).sum(1)
        return _GAIN * total / present.sum(1, keepdim=True).clamp_min(1).sqrt()


_SPREAD = 0.1
_GAIN = 2.0
_BUCKETS, _ENTRIES = 2**17, 2**23
_FACTORS = (7_919, 1_000_003, 92_821)


def _check(
    width: int, channels: int, sizes: tuple[int, ...], dropout: float, buckets: int | None
) -> None:
    if width < 1 or channels < 1:
        raise SettingError(
            f"text_cnn: width and channels must be at least 1, got {width} and {channels}"
        )
    if not sizes or min(sizes) < 1:
        raise SettingError(f"text_cnn: sizes must be numbers of 1 or more, got {sizes}")
    if not 0 <= dropout < 1:
        raise SettingError(f"text_cnn: dropout must be at least 0 and under 1, got {dropout:g}")
    if buckets is not None and buckets < 0:
        raise SettingError(f"text_cnn: buckets must be 0 or more, got {buckets}")
