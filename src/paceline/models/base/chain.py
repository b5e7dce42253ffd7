"""What networks for a chain of tags share: how a word is spelt, and the chain's potentials."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# Potentials beyond a sentence: far lower than any that a word can have.
NO_WORD = -1e6
_LOW = -1e4


def embedding(count: int, width: int) -> nn.Embedding:
    """Vectors of variance 1 / width, that of 0 zero (He et al. 2015, uniform)."""
    table = nn.Embedding(count, width, padding_idx=0)
    bound = (3.0 / width) ** 0.5
    with torch.no_grad():
        table.weight.uniform_(-bound, bound)
        table.weight[0] = 0
    return table


class Spelling(nn.Module):
    """The strongest answers of filters over the characters of each word.

    Args:
        count: Of characters.
        width: Of a character's vector.
        filters: How many, each over three characters.
    """

    def __init__(self, count: int, width: int, filters: int) -> None:
        super().__init__()
        self.characters = embedding(count, width)
        self.filters = nn.Conv1d(width, filters, 3, padding=1)

    def forward(self, characters: Tensor, held: Tensor) -> Tensor:
        """[n, length, filters] of int [n, length, characters] where there are words."""
        spelt = self.filters.weight.new_zeros(*held.shape, self.filters.out_channels)
        rows = held.nonzero(as_tuple=True)
        if not len(rows[0]):
            return spelt
        letters = characters[rows].long()
        letters = letters[:, : max(1, int((letters != 0).any(0).sum()))]
        answers = self.filters(self.characters(letters).transpose(1, 2))
        answers = answers.masked_fill((letters == 0)[:, None], _LOW)
        best = functional.relu(answers.amax(2))
        return spelt.to(best.dtype).index_put(rows, best)


class Chain(nn.Module):
    """Scores of tags from the states of words, and what follows what.

    With e as a linear function of a state, T as the learnt transitions, b and f for the
    beginning and the end:

        p[t, j, k] = e[t, k] + (b[k] if t = 0 else T[j, k]) + (f[k] if t is the last word)

    Args:
        width: Of a state.
        tags: How many.
    """

    def __init__(self, width: int, tags: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, tags)
        self.follow = nn.Parameter(torch.zeros(tags, tags))
        self.begin = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))

    def forward(self, hidden: Tensor, held: Tensor, full: int) -> Tensor:
        """Potentials float [n, full, tags, tags], ``NO_WORD`` where there is no word.

        Args:
            hidden: States [n, length, width].
            held: Where there are words, bool [n, length].
            full: Words that the answer has room for, at least ``length``.
        """
        scores = self.scores(hidden).float()
        last = held & ~functional.pad(held[:, 1:], (0, 1))
        scores = scores + last[:, :, None] * self.end
        first = scores[:, :1, None] + self.begin.expand(len(self.begin), -1)
        rest = scores[:, 1:, None] + self.follow
        potentials = torch.cat([first, rest], 1)
        potentials = potentials.masked_fill(~held[:, :, None, None], NO_WORD)
        missing = full - held.shape[1]
        return functional.pad(potentials, (0, 0, 0, 0, 0, missing), value=NO_WORD)


def dropped(dropout: nn.Dropout1d, hidden: Tensor) -> Tensor:
    """The same of every word of a sentence (Gal & Ghahramani 2016): [n, length, width]."""
    kept: Tensor = dropout(hidden.transpose(1, 2))
    return kept.transpose(1, 2)
