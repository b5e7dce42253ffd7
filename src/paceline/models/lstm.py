"""A recurrent language model."""

from __future__ import annotations

from typing import ClassVar, Literal, final

from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.texts import at_last_token


@final
class LSTM(Model):
    """Embedded tokens, recurrent layers, and a head that shares the tokens' weights.

    Behind the end of a text that is shorter than the window its last output is repeated.

    Args:
        signature: With one ``language`` field, int64 [context]; 0 is padding at the end.
        cell: ``lstm`` or ``gru``.
        layers: Recurrent layers, at least 1.
        width: Of the tokens and of the hidden states, at least 1.
        dropout: Share of what goes into and comes out of the layers that is dropped in
            training, 0 to under 1.

    Reference:
        Hochreiter and Schmidhuber 1997; Cho et al. 2014 for the GRU.
    """

    kinds: ClassVar[tuple[str, ...]] = ("language",)

    def __init__(
        self,
        signature: Signature,
        *,
        cell: Literal["lstm", "gru"] = "lstm",
        layers: int = 2,
        width: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if cell not in ("lstm", "gru"):
            raise SettingError(f"lstm: cell must be lstm or gru, got {cell!r}")
        if layers < 1 or width < 1:
            raise SettingError(f"lstm: layers and width must be at least 1, got {layers}, {width}")
        if not 0 <= dropout < 1:
            raise SettingError(f"lstm: dropout must be at least 0 and under 1, got {dropout:g}")
        self.tokens = nn.Embedding(signature.inputs[0].cardinalities[0], width)
        nn.init.normal_(self.tokens.weight, std=0.1)
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.layers = nn.ModuleList(kind(width, width, batch_first=True) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.bias = nn.Parameter(self.tokens.weight.new_zeros(len(self.tokens.weight)))

    def forward(self, *inputs: Tensor) -> Tensor:
        hidden = self.dropout(self.tokens(inputs[0]))
        for layer in self.layers:
            hidden = self.dropout(layer(hidden)[0])
        if not self.training:
            hidden = at_last_token(hidden, inputs[0])
        return functional.linear(hidden, self.tokens.weight, self.bias)
