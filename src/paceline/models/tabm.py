"""TabM: many fully connected networks in one, over embedded columns."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.extras import need
from paceline.core.signature import Field, Signature
from paceline.models.base import Model

_PURPOSE = "the model tabm"


@final
class TabM(Model):
    """Members that share their weights but for a scaling of the inputs each.

    Numbers are clipped to the range seen in training, standardised and embedded;
    categories are one-hot up to ``one_hot`` codes and embedded beyond.

    Args:
        signature: Of a table: ``numeric``, ``category`` or both.
        width: Units of each hidden layer, at least 1.
        depth: Hidden layers, at least 1.
        members: Networks in one, at least 1.
        dropout: Share of hidden units dropped in training, 0 to under 1.
        embedding: Numbers that stand for one numeric column, at least 1.
        numbers: Embed numbers by pieces of straight lines between the bins' edges, or by
            sines of learnt frequencies.
        one_hot: Most codes of a category that is not embedded, 0 or more.
        category_embedding: Numbers that stand for one category beyond that, at least 1.

    Reference:
        Gorishniy, Kotelnikov, Babenko 2024, TabM (arXiv 2410.24210), section 3;
        Gorishniy, Rubachev, Babenko 2022, On Embeddings for Numerical Features, eq. 1 and 2.
    """

    kinds: ClassVar[tuple[str, ...]] = ("table",)

    def __init__(
        self,
        signature: Signature,
        *,
        width: int = 256,
        depth: int = 2,
        members: int = 16,
        dropout: float = 0.0,
        embedding: int = 16,
        numbers: Literal["piecewise", "periodic"] = "piecewise",
        one_hot: int = 64,
        category_embedding: int = 32,
    ) -> None:
        super().__init__()
        least = {"width": width, "depth": depth, "members": members, "embedding": embedding}
        for name, value in (least | {"category_embedding": category_embedding}).items():
            if value < 1:
                raise SettingError(f"tabm: {name} must be at least 1, got {value}")
        if one_hot < 0:
            raise SettingError(f"tabm: one_hot must be at least 0, got {one_hot}")
        if not 0 <= dropout < 1:
            raise SettingError(f"tabm: dropout must be at least 0 and under 1, got {dropout:g}")
        if numbers not in ("piecewise", "periodic"):
            raise SettingError(f"tabm: numbers must be piecewise or periodic, got {numbers!r}")
        tabm = need("tabm", extra="tables", purpose=_PURPOSE)
        self.embeddings = nn.ModuleList()
        sizes: list[int] = []
        for field in signature.inputs:
            part: _Numbers | _Categories
            if field.cardinalities:
                part = _Categories(field, one_hot, category_embedding)
            else:
                part = _Numbers(field, embedding, numbers)
            self.embeddings.append(part)
            sizes += part.sizes
        self.view = tabm.EnsembleView(k=members)
        self.backbone = tabm.make_tabm_backbone(
            d_in=sum(sizes),
            n_blocks=depth,
            d_block=width,
            dropout=dropout,
            k=members,
            arch_type="tabm-mini",
            start_scaling_init="normal",
            start_scaling_init_chunks=sizes,
        )
        self.output = tabm.LinearEnsemble(width, signature.outputs, k=members)

    def forward(self, *inputs: Tensor) -> Tensor:
        parts = zip(self.embeddings, inputs, strict=True)
        embedded = torch.cat([embed(part) for embed, part in parts], 1)
        output: Tensor = self.output(self.backbone(self.view(embedded)))
        return output


class _Numbers(nn.Module):
    """Numeric columns [n, columns] in their own units → [n, columns × size]."""

    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, field: Field, size: int, kind: str) -> None:
        super().__init__()
        packages = need("rtdl_num_embeddings", extra="tables", purpose=_PURPOSE)
        self.register_buffer("mean", torch.tensor(field.mean))
        self.register_buffer("scale", torch.tensor(field.scale))
        edges = _standardised(field)
        self.register_buffer("low", torch.stack([each[0] for each in edges]))
        self.register_buffer("high", torch.stack([each[-1] for each in edges]))
        self.embed: Any
        if kind == "piecewise":
            self.embed = packages.PiecewiseLinearEmbeddings(
                edges, size, activation=False, version="B"
            )
        else:
            self.embed = packages.PeriodicEmbeddings(field.shape[0], size, lite=False)
        self.sizes = [size] * field.shape[0]

    def forward(self, values: Tensor) -> Tensor:
        values = (values.float() - self.mean) / self.scale
        embedded: Tensor = self.embed(values.clamp(self.low, self.high))
        return embedded.flatten(1)


class _Categories(nn.Module):
    """Codes int64 [n, columns] → [n, sum of sizes]."""

    def __init__(self, field: Field, one_hot: int, size: int) -> None:
        super().__init__()
        self.cardinalities = field.cardinalities
        self.tables = nn.ModuleDict(
            {
                str(at): nn.Embedding(codes, size)
                for at, codes in enumerate(field.cardinalities)
                if codes > one_hot
            }
        )
        self.sizes = [
            size if str(at) in self.tables else codes
            for at, codes in enumerate(field.cardinalities)
        ]

    def forward(self, codes: Tensor) -> Tensor:
        return torch.cat([self._column(at, part) for at, part in enumerate(codes.unbind(1))], 1)

    def _column(self, at: int, codes: Tensor) -> Tensor:
        if str(at) in self.tables:
            table: Tensor = self.tables[str(at)](codes)
            return table
        return nn.functional.one_hot(codes, self.cardinalities[at]).float()


def _standardised(field: Field) -> list[Tensor]:
    """The bins' edges where the standardised values are: three or more, increasing."""
    return [
        _apart(torch.unique((torch.tensor(bins) - mean) / scale))
        for bins, mean, scale in zip(field.bins, field.mean, field.scale, strict=True)
    ]


def _apart(edges: Tensor) -> Tensor:
    # A single bin is refused with a warning, and neighbours in float32 have no middle.
    if len(edges) > 2:
        return edges
    reach = 1.0 if len(edges) == 1 else 0.0
    return torch.linspace(float(edges[0]) - reach, float(edges[-1]) + reach, 3)
