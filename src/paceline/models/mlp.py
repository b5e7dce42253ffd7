"""A plain fully connected network."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model, Standardised


@final
class MLP(Model):
    """Linear layers with ReLU between them, over all inputs laid end to end.

    Args:
        signature: Of pictures or tensors; every field is standardised by its mean and
            scale and flattened.
        width: Units of each hidden layer, at least 1.
        depth: Hidden layers, 0 or more.
        dropout: Share of hidden units dropped in training, 0 to under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image", "tensors")

    def __init__(
        self, signature: Signature, *, width: int = 256, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if width < 1 or depth < 0:
            raise SettingError(
                f"mlp: width must be at least 1 and depth at least 0, got {width} and {depth}"
            )
        if not 0 <= dropout < 1:
            raise SettingError(f"mlp: dropout must be at least 0 and under 1, got {dropout:g}")
        entries = sum(int(torch.Size(field.shape).numel()) for field in signature.inputs)
        sizes = [entries, *[width] * depth]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        layers.append(nn.Linear(sizes[-1], signature.outputs))
        self.network = Standardised(_Joined(nn.Sequential(*layers)), signature)

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.network(*inputs)
        return output


class _Joined(nn.Module):
    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        flat = [part.reshape(len(part), -1).float() for part in inputs]
        output: Tensor = self.network(torch.cat(flat, 1))
        return output
