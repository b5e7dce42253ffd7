"""One network for each kind of input, joined before the head."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core import catalog
from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model

_ENCODERS = {"image": "conv", "audio": "audio_conv", "text": "text_cnn", "table": "mlp"}


@final
class Fusion(Model):
    """Encodes each part of a signature by a network of its kind, and joins what comes out.

    ``output = head(dropout(gelu(norm(concat(encoder_i(inputs_i))))))``

    Args:
        signature: With ``parts``, of the kinds image, audio, text and table.
        width: Numbers that each part is encoded in, at least 1.
        dropout: Share of the head's inputs that is dropped in training, 0 to under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("mixed",)

    def __init__(self, signature: Signature, *, width: int = 96, dropout: float = 0.2) -> None:
        super().__init__()
        if width < 1:
            raise SettingError(f"fusion: width must be at least 1, got {width}")
        if not 0 <= dropout < 1:
            raise SettingError(f"fusion: dropout must be at least 0 and under 1, got {dropout:g}")
        self._counts = [len(part.inputs) for part in signature.parts]
        self.encoders = nn.ModuleList(
            catalog.find("models", _ENCODERS[part.kind])(replace(part, outputs=width))
            for part in signature.parts
        )
        joined = width * len(signature.parts)
        self.head = nn.Sequential(
            nn.LayerNorm(joined),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(joined, signature.outputs),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        given = iter(inputs)
        encoded = [
            encoder(*(next(given) for _ in range(count)))
            for encoder, count in zip(self.encoders, self._counts, strict=True)
        ]
        output: Tensor = self.head(torch.cat(encoded, -1))
        return output
