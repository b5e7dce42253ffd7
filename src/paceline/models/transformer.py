"""A small transformer encoder."""

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
class Transformer(Model):
    """Self-attention over embedded tokens, layer norm first; mean and maximum over the text.

    Args:
        signature: With one field of tokens, int64 [length], 0 is padding.
        width: Numbers that a token is embedded in; ``heads`` must divide it.
        depth: Layers, at least 1.
        heads: Of the attention, at least 1.
        dropout: Share of embeddings, of what each layer adds and of the head's inputs that is
            dropped in training, 0 to under 1.

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017; Xiong et al., On Layer
        Normalization in the Transformer Architecture, ICML 2020, for the place of the norm.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        _check(width, depth, heads, dropout)
        field = signature.inputs[0]
        self.embedding = nn.Embedding(field.cardinalities[0], width, padding_idx=0)
        self.position = nn.Embedding(field.shape[0], width)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=_SPREAD)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        tokens = trimmed(inputs[0])
        present = tokens != 0
        at = torch.arange(tokens.shape[1], device=tokens.device)
        states = self.dropout(self.embedding(tokens) + self.position(at))
        for layer in self.layers:
            states = layer(states, present)
        states = self.norm(states)
        pooled = torch.cat([mean_of(states, present), largest_of(states, present)], 1)
        output: Tensor = self.head(self.dropout(pooled))
        return output


_SPREAD = 0.1


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.looks = nn.Linear(width, 3 * width)
        self.gathers = nn.Linear(width, width)
        self.widens = nn.Linear(width, 4 * width)
        self.narrows = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, present: Tensor) -> Tensor:
        states = states + self.dropout(self.gathers(self._attention(self.before(states), present)))
        inner = functional.gelu(self.widens(self.between(states)))
        added: Tensor = states + self.dropout(self.narrows(inner))
        return added

    def _attention(self, states: Tensor, present: Tensor) -> Tensor:
        rows, length, width = states.shape
        shape = (rows, length, 3, self.heads, width // self.heads)
        query, key, value = self.looks(states).view(shape).permute(2, 0, 3, 1, 4)
        # A text of nothing but padding looks at itself, so that no row is without any.
        seen = present | ~present.any(1, keepdim=True)
        given = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=seen[:, None, None, :]
        )
        return given.transpose(1, 2).reshape(rows, length, width)


def _check(width: int, depth: int, heads: int, dropout: float) -> None:
    if width < 1 or depth < 1 or heads < 1:
        raise SettingError(
            "transformer: width, depth and heads must be at least 1, got"
            f" {width}, {depth} and {heads}"
        )
    if width % heads:
        raise SettingError(f"transformer: {heads} heads do not divide a width of {width}")
    if not 0 <= dropout < 1:
        raise SettingError(f"transformer: dropout must be at least 0 and under 1, got {dropout:g}")
