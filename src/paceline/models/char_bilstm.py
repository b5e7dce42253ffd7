"""Words and their characters through a bidirectional LSTM, for a linear chain over tags."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.core.signature import Signature
from paceline.models.base import Model
from paceline.models.base.chain import Chain, Spelling, dropped, embedding


@final
class CharBilstm(Model):
    """A word's vector, the strongest answers of filters over its characters, and context.

    Each word is embedding ⊕ max over convolutions of its characters ⊕ embedding of its shape.
    An LSTM reads them in both directions, and a linear layer scores each tag (Ma & Hovy 2016,
    Lample et al. 2016); what comes out are the potentials of a chain, see ``Chain``.
    Dropout is the same for all words of a sentence (Gal & Ghahramani 2016).

    Args:
        signature: With int fields ``words`` [length], ``characters`` [length, characters] and
            ``shapes`` [length], 0 where there is none.
        word_width: Of a word's own vector, at least 1.
        character_width: Of a character's vector, at least 1.
        filters: Over characters, at least 1.
        width: Of the LSTM in each direction, at least 1.
        depth: Layers of LSTM, at least 1.
        dropout: Share of a word's inputs and of the LSTM's outputs dropped in training, 0 to
            under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tagging",)

    def __init__(
        self,
        signature: Signature,
        *,
        word_width: int = 100,
        character_width: int = 30,
        filters: int = 50,
        width: int = 128,
        depth: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        sizes = {
            "word_width": word_width,
            "character_width": character_width,
            "filters": filters,
            "width": width,
            "depth": depth,
        }
        _check(sizes, dropout)
        counts = [field.cardinalities[0] for field in signature.inputs]
        self.words = embedding(counts[0], word_width)
        self.spelling = Spelling(counts[1], character_width, filters)
        self.shapes = embedding(counts[2], _SHAPE_WIDTH)
        inputs = word_width + filters + _SHAPE_WIDTH
        before = [inputs] + [2 * width] * (depth - 1)
        self.forwards = nn.ModuleList(nn.LSTM(each, width, batch_first=True) for each in before)
        self.backwards = nn.ModuleList(nn.LSTM(each, width, batch_first=True) for each in before)
        self.dropout = nn.Dropout1d(dropout)
        self.chain = Chain(2 * width, signature.outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        words, characters, shapes = inputs[:3]
        held = words != 0
        length = max(1, int(held.any(0).sum()))
        full = words.shape[1]
        words, held = words[:, :length], held[:, :length]
        spelt = self.spelling(characters[:, :length], held)
        hidden = torch.cat([self.words(words), spelt, self.shapes(shapes[:, :length])], 2)
        hidden = dropped(self.dropout, hidden)
        pieces = _alike(held.sum(1))
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            both = [_both_ways(forwards, backwards, hidden[rows], held[rows]) for rows in pieces]
            whole = torch.cat(both)[torch.cat(pieces).argsort()]
            hidden = dropped(self.dropout, whole)
        potentials: Tensor = self.chain(hidden, held, full)
        return potentials


_SHAPE_WIDTH, _WORDS_TOGETHER = 10, 256


def _alike(lengths: Tensor) -> list[Tensor]:
    """Rows in pieces of like length, so that little is wasted on padding."""
    pieces = max(1, min(int(lengths.sum()) // _WORDS_TOGETHER, len(lengths)))
    return list(lengths.argsort(stable=True).chunk(pieces))


def _both_ways(forwards: nn.Module, backwards: nn.Module, hidden: Tensor, held: Tensor) -> Tensor:
    """What was read from the left ⊕ from the right: [n, length, 2 width]."""
    length = max(1, int(held.any(0).sum()))
    missing = held.shape[1] - length
    hidden, held = hidden[:, :length], held[:, :length]
    back = _turned(held)
    there, _ = forwards(hidden)
    again, _ = backwards(_gathered(hidden, back))
    both = torch.cat([there, _gathered(again, back)], 2)
    return functional.pad(both, (0, 0, 0, missing))


def _turned(held: Tensor) -> Tensor:
    """Positions that turn each sentence round and leave what lies beyond it: int64 [n, length]."""
    count = held.sum(1, keepdim=True)
    places = torch.arange(held.shape[1], device=held.device).expand(held.shape)
    return torch.where(held, count - 1 - places, places)


def _gathered(hidden: Tensor, places: Tensor) -> Tensor:
    return hidden.gather(1, places[:, :, None].expand(-1, -1, hidden.shape[2]))


def _check(sizes: dict[str, int], dropout: float) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise SettingError(f"char_bilstm: {name} must be at least 1, got {size}")
    if not 0 <= dropout < 1:
        raise SettingError(f"char_bilstm: dropout must be at least 0 and under 1, got {dropout:g}")
