"""A decoder of causal self-attention, as in GPT-2."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.texts import at_last_token


@final
class GPT(Model):
    """Pre-norm transformer blocks; the head shares the tokens' weights.

    Behind the end of a text that is shorter than the window its last output is repeated, so
    that the last place always tells what comes after a text.

    Args:
        signature: With one ``language`` field, int64 [context]; 0 is padding at the end.
        layers: Blocks, at least 1.
        heads: Of attention in a block; must divide ``width``.
        width: Of the hidden states; each head's part of it must be even for rotary positions.
        positions: ``rotary`` turns queries and keys by an angle that grows with their place;
            ``learned`` adds a vector to each token, as GPT-2 does, and learns more slowly.
        dropout: Share of the embeddings and of each block's additions that is dropped in
            training, 0 to under 1.

    Reference:
        Radford et al. 2019, section 2.3; Press and Wolf 2017 for the shared weights; Su et al.
        2021, equation 34, for the rotary positions.
    """

    kinds: ClassVar[tuple[str, ...]] = ("language",)

    def __init__(
        self,
        signature: Signature,
        *,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        positions: Literal["rotary", "learned"] = "rotary",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(layers=layers, heads=heads, width=width, dropout=dropout)
        _check_positions(positions, width // heads)
        field = signature.inputs[0]
        self.tokens = nn.Embedding(field.cardinalities[0], width)
        self.positions: nn.Parameter | None = None
        if positions == "learned":
            self.positions = nn.Parameter(torch.empty(field.shape[0], width))
        turns = _angles(field.shape[0], width // heads) if positions == "rotary" else None
        self.register_buffer("turns", turns, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self._initialise(layers)

    def forward(self, *inputs: Tensor) -> Tensor:
        tokens = inputs[0]
        hidden = self.tokens(tokens)
        if self.positions is not None:
            hidden = hidden + self.positions
        hidden = self.dropout(hidden)
        for block in self.blocks:
            hidden = block(hidden, self.turns)
        if not self.training:
            hidden = at_last_token(hidden, tokens)
        return functional.linear(self.norm(hidden), self.tokens.weight)

    turns: Tensor | None

    def _initialise(self, layers: int) -> None:
        """Normal, 0.02; what is added to the residual stream the less, the more adds to it."""
        if self.positions is not None:
            nn.init.normal_(self.positions, std=0.02)
        for name, part in self.named_modules():
            if isinstance(part, (nn.Linear, nn.Embedding)):
                added = name.endswith(("attended", "narrow"))
                nn.init.normal_(part.weight, std=0.02 / math.sqrt(2 * layers) if added else 0.02)
            if isinstance(part, nn.Linear):
                nn.init.zeros_(part.bias)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, turns: Tensor | None) -> Tensor:
        hidden = hidden + self.dropout(self.attended(self._attend(self.before(hidden), turns)))
        wide = functional.gelu(self.widen(self.between(hidden)), approximate="tanh")
        added: Tensor = hidden + self.dropout(self.narrow(wide))
        return added

    def _attend(self, hidden: Tensor, turns: Tensor | None) -> Tensor:
        rows, length, width = hidden.shape
        asked = self.asked(hidden).view(rows, length, 3, self._heads, width // self._heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        if turns is not None:
            query, key = _turned(query, turns), _turned(key, turns)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return found.transpose(1, 2).reshape(rows, length, width)


def _angles(length: int, size: int) -> Tensor:
    """Cosines and sines by place and pair of entries: float32 [2, length, size / 2]."""
    slower = 10_000.0 ** (-torch.arange(0, size, 2) / size)
    angles = torch.arange(length)[:, None] * slower
    return torch.stack([angles.cos(), angles.sin()])


def _turned(heads: Tensor, turns: Tensor) -> Tensor:
    """Queries or keys [n, heads, length, size], each pair of entries turned by its place.

    >>> _turned(torch.ones(1, 1, 2, 2), _angles(2, 2))[0, 0, 1].round(decimals=3).tolist()
    [-0.3009999990463257, 1.3819999694824219]
    """
    cosine, sine = turns.to(heads.dtype)
    first, second = heads.chunk(2, -1)
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.cat(turned, -1)


def _check(*, layers: int, heads: int, width: int, dropout: float) -> None:
    for name, value in (("layers", layers), ("heads", heads), ("width", width)):
        if value < 1:
            raise SettingError(f"gpt: {name} must be at least 1, got {value}")
    if width % heads:
        raise SettingError(f"gpt: width must be a multiple of heads, got {width} and {heads}")
    if not 0 <= dropout < 1:
        raise SettingError(f"gpt: dropout must be at least 0 and under 1, got {dropout:g}")


def _check_positions(positions: str, size: int) -> None:
    if positions not in ("rotary", "learned"):
        raise SettingError(f"gpt: positions must be rotary or learned, got {positions!r}")
    if positions == "rotary" and size % 2:
        raise SettingError(f"gpt: rotary positions need an even width of each head, got {size}")
