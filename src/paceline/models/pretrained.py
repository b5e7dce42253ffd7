"""Networks of Transformers that were trained before."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, final

from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Headed
from paceline.models.base.hf import Encoder, groups, small_bert
from paceline.models.base.sequence import mean_of


@final
class Pretrained(Headed):
    """An encoder of Transformers, the mean of its states, and a linear head.

    Lower layers know more of a text's tone and form than the last one, which was trained for
    another aim; hence the mean over all of them, too. Without a backbone in the signature it
    is a small BERT with fresh weights.

    Args:
        signature: With one field of tokens, int64 [length], 0 is padding, and a backbone.
        decay: Learning rate of each layer as a share of that of the layer above, over 0 and
            at most 1.
        dropout: Share of the head's inputs that is dropped in training, 0 to under 1.
        layers: States of the ``last`` layer, or the mean of ``all`` layers'.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        signature: Signature,
        *,
        decay: float = 0.9,
        dropout: float = 0.1,
        layers: Literal["last", "all"] = "all",
    ) -> None:
        super().__init__()
        if not 0 < decay <= 1:
            raise SettingError(f"pretrained: decay must be over 0 and at most 1, got {decay:g}")
        if not 0 <= dropout < 1:
            raise SettingError(
                f"pretrained: dropout must be at least 0 and under 1, got {dropout:g}"
            )
        if layers not in ("last", "all"):
            raise SettingError(f"pretrained: layers must be last or all, got {layers!r}")
        self.decay, self.trained_before = decay, bool(signature.backbone)
        self.encoder = Encoder(signature.backbone, fresh=small_bert(signature), layers=layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.width, signature.outputs)

    def features(self, *inputs: Tensor) -> Tensor:
        tokens = inputs[0]
        return mean_of(self.encoder(tokens), tokens != 0)

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.head(self.dropout(self.features(*inputs)))
        return output

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Groups for an optimizer; see ``groups``."""
        return groups(self, self.encoder, weight_decay=weight_decay, decay=self.decay)
