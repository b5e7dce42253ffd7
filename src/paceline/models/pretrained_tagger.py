"""A network of Transformers that was trained before, for a linear chain over tags."""

from __future__ import annotations

from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.chain import Chain, Spelling, dropped, embedding
from paceline.models.base.hf import Encoder, groups, small_bert

_SHAPE_WIDTH, _CHARACTER_WIDTH, _FILTERS = 10, 30, 50


@final
class PretrainedTagger(Model):
    """The state of each word's first token ⊕ its characters ⊕ its shape, and a chain.

    Without a backbone in the signature it is a small BERT with fresh weights whose tokens are
    the words. A word behind the last token that the backbone has room for is known by its
    spelling alone.

    Args:
        signature: With int fields ``words`` [length], ``characters`` [length, characters] and
            ``shapes`` [length]; with a backbone also ``tokens`` [pieces] and ``firsts``
            [length], where each word's first token stands, 0 where it has none.
        decay: Learning rate of each layer as a share of that of the layer above, over 0 and
            at most 1.
        slower: Learning rate of the topmost layer as a share of that of what is new, over 0
            and at most 1.
        dropout: Share of a word's inputs that is dropped in training, 0 to under 1.

    Reference:
        Devlin et al., BERT, NAACL 2019, section 5.3 (the first token stands for the word).
    """

    kinds: ClassVar[tuple[str, ...]] = ("tagging",)

    def __init__(
        self,
        signature: Signature,
        *,
        decay: float = 0.9,
        slower: float = 0.1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        for name, value in (("decay", decay), ("slower", slower)):
            if not 0 < value <= 1:
                raise SettingError(
                    f"pretrained_tagger: {name} must be over 0 and at most 1, got {value:g}"
                )
        if not 0 <= dropout < 1:
            raise SettingError(
                f"pretrained_tagger: dropout must be at least 0 and under 1, got {dropout:g}"
            )
        self.decay, self.slower = decay, slower
        counts = [field.cardinalities[0] for field in signature.inputs[:3]]
        self.encoder = Encoder(
            signature.backbone,
            fresh=small_bert(signature),
        )
        self.spelling = Spelling(counts[1], _CHARACTER_WIDTH, _FILTERS)
        self.shapes = embedding(counts[2], _SHAPE_WIDTH)
        self.dropout = nn.Dropout1d(dropout)
        width = self.encoder.width + _FILTERS + _SHAPE_WIDTH
        self.chain = Chain(width, signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        words, characters, shapes = inputs[:3]
        held = words != 0
        length, full = max(1, int(held.any(0).sum())), words.shape[1]
        held = held[:, :length]
        if len(inputs) > 3:
            states = _at(self.encoder(inputs[3]), inputs[4][:, :length])
        else:
            states = self.encoder(words[:, :length])
        spelt = self.spelling(characters[:, :length], held)
        hidden = torch.cat([states, spelt, self.shapes(shapes[:, :length])], 2)
        potentials: Tensor = self.chain(dropped(self.dropout, hidden), held, full)
        return potentials

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Groups for an optimizer, the backbone's with a smaller rate; see ``groups``."""
        found = groups(self, self.encoder, weight_decay=weight_decay, decay=self.decay)
        inside = {id(each) for each in self.encoder.parameters()}
        return [part for group in found for part in _divided(group, inside, self.slower)]


def _divided(group: dict[str, Any], inside: set[int], slower: float) -> list[dict[str, Any]]:
    """A group's parameters in the backbone, at a smaller rate, apart from the others."""
    parts = {
        slower: [each for each in group["params"] if id(each) in inside],
        1.0: [each for each in group["params"] if id(each) not in inside],
    }
    return [
        group | {"params": some, "rate": group["rate"] * share}
        for share, some in parts.items()
        if some
    ]


def _at(states: Tensor, firsts: Tensor) -> Tensor:
    """The states of some tokens [n, length, width]; zero where there is none."""
    found = states.gather(1, firsts[:, :, None].expand(-1, -1, states.shape[2]))
    return found * (firsts != 0)[:, :, None]
