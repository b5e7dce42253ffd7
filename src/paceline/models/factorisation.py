"""Users and items as vectors: biased matrix factorisation."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model

_SPREAD = 0.1


@final
class Factorisation(Model):
    """``b_u + b_i + p_u · q_i``, several times over; the answers are averaged.

    Biases and vectors of code 0, the unknown, are zero, so that a pair of which one was never
    seen is answered by the other's bias. The factorisations begin at different vectors and
    learn together; their average errs less than each does.

    Args:
        signature: With the ``ratings`` fields ``user`` and ``item``; others are not used.
        width: Of the vectors, at least 1.
        members: Factorisations, at least 1.
        dropout: Share of the products of the vectors' entries that is dropped in training,
            0 to under 1.

    Reference:
        Koren, Bell and Volinsky 2009, equation 4.
    """

    kinds: ClassVar[tuple[str, ...]] = ("ratings",)

    def __init__(
        self, signature: Signature, *, width: int = 16, members: int = 8, dropout: float = 0.3
    ) -> None:
        super().__init__()
        if width < 1 or members < 1:
            raise SettingError(
                f"factorisation: width and members must be at least 1, got {width} and {members}"
            )
        if not 0 <= dropout < 1:
            raise SettingError(
                f"factorisation: dropout must be at least 0 and under 1, got {dropout:g}"
            )
        self._members, self._width = members, width
        users, items = (_count(signature, name) for name in ("user", "item"))
        self.user_bias, self.item_bias = nn.Embedding(users, members), nn.Embedding(items, members)
        self.users = nn.Embedding(users, members * width)
        self.items = nn.Embedding(items, members * width)
        self.dropout = nn.Dropout(dropout)
        for bias in (self.user_bias, self.item_bias):
            nn.init.zeros_(bias.weight)
        for vectors in (self.users, self.items):
            nn.init.normal_(vectors.weight, std=_SPREAD)

    def forward(self, *inputs: Tensor) -> Tensor:
        user, item = inputs[:2]
        knows_user, knows_item = ((each > 0).to(torch.float32) for each in (user, item))
        products = self.users(user) * self.items(item) * (knows_user * knows_item)[:, None]
        products = self.dropout(products.view(-1, self._members, self._width))
        biases = self.user_bias(user) * knows_user[:, None]
        biases = biases + self.item_bias(item) * knows_item[:, None]
        rating = biases + products.sum(-1)
        known = (knows_user + 2 * knows_item)[:, None].expand_as(rating)
        return torch.stack([rating, known], -1)


def _count(signature: Signature, name: str) -> int:
    """How many codes the field of this name has."""
    return next(field.cardinalities[0] for field in signature.inputs if field.name == name)
