"""A network for the user, a network for the item, and how well the two agree."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model


@final
class TwoTowers(Model):
    """``b_u + b_i + f(user) · g(item, its columns)``.

    Each tower is an embedding and a layer with a ReLU; the item's also sees the columns that
    belong to it (genres, prices), so that it says something of an item that nobody rated.
    Code 0, the unknown, has no bias and no embedding.

    Args:
        signature: With the ``ratings`` fields ``user`` and ``item``, and perhaps ``side``.
        width: Of the embeddings and of what is compared, at least 1.
        dropout: Share of each tower's entries that is dropped in training, 0 to under 1.

    Reference:
        Yi et al. 2019, section 3, without the sampling: ratings are told, not chosen.
    """

    kinds: ClassVar[tuple[str, ...]] = ("ratings",)

    def __init__(self, signature: Signature, *, width: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        if width < 1:
            raise SettingError(f"two_towers: width must be at least 1, got {width}")
        if not 0 <= dropout < 1:
            raise SettingError(
                f"two_towers: dropout must be at least 0 and under 1, got {dropout:g}"
            )
        fields = {field.name: field for field in signature.inputs}
        users, items = (fields[name].cardinalities[0] for name in ("user", "item"))
        beside = fields["side"].shape[0] if "side" in fields else 0
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, width)
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)
        for vectors in (self.users, self.items):
            nn.init.normal_(vectors.weight, std=0.1)
        self.side_bias = nn.Linear(beside, 1, bias=False) if beside else None
        self.user_tower = _tower(width, width, dropout)
        self.item_tower = _tower(width + beside, width, dropout)

    def forward(self, *inputs: Tensor) -> Tensor:
        user, item = inputs[:2]
        knows_user, knows_item = ((each > 0).float()[:, None] for each in (user, item))
        seen = [self.items(item) * knows_item, *inputs[2:]]
        agreed = self.user_tower(self.users(user) * knows_user) * self.item_tower(
            torch.cat(seen, 1)
        )
        biases = self.user_bias(user) * knows_user + self.item_bias(item) * knows_item
        if self.side_bias is not None:
            biases = biases + self.side_bias(inputs[2])
        rating = biases[:, 0] + agreed.sum(1)
        return torch.stack([rating, (knows_user + 2 * knows_item)[:, 0].to(rating.dtype)], -1)


def _tower(before: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(before, 2 * width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
    )
