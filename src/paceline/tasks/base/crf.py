"""A linear chain over tags, in one tensor of potentials.

``potentials[n, t, j, k]`` is the score of tag j at position t - 1 followed by tag k at t; at
position 0 the row j = 0 alone is read. A sentence's score is their sum along its tags, and
its probability the softmax of that over all sequences of tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

IGNORED = -100
_NO_WORD = -1e5
_FORBIDDEN = -1e4


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """Which tags may begin, follow one another, and end: 0 where they may, else very low.

    Attributes:
        begin: Float [tags].
        follow: Float [tags, tags], from the row to the column.
        end: Float [tags].
    """

    begin: Tensor
    follow: Tensor
    end: Tensor

    @staticmethod
    def of(begin: Tensor, follow: Tensor, end: Tensor) -> Rules:
        """From what is allowed: bool [tags], [tags, tags], [tags]."""
        return Rules(*(torch.where(each, 0.0, _FORBIDDEN) for each in (begin, follow, end)))

    def to(self, like: Tensor) -> Rules:
        """On the device and of the type of another tensor."""
        return Rules(*(each.to(like) for each in (self.begin, self.follow, self.end)))


def holds_word(potentials: Tensor) -> Tensor:
    """Where there is a word: bool [n, length]. Beyond a sentence all potentials are below -1e5."""
    return potentials[:, :, 0, 0] > _NO_WORD


def negative_log_likelihood(potentials: Tensor, tags: Tensor, rules: Rules) -> Tensor:
    """Of each sentence in nats, over the sequences that the rules allow: [n].

    log Z - s(y), with log Z from the recursion a_t[k] = log Σ_j exp(a_{t-1}[j] + p_t[j, k]).

    Args:
        potentials: Float [n, length, tags, tags].
        tags: int64 [n, length], ``IGNORED`` beyond the sentence.
        rules: What is allowed.

    >>> free = Rules.of(*(torch.ones(s, dtype=torch.bool) for s in ((2,), (2, 2), (2,))))
    >>> negative_log_likelihood(torch.zeros(1, 3, 2, 2), torch.tensor([[0, 1, -100]]), free)
    tensor([1.3863])

    Reference:
        Lafferty, McCallum & Pereira, Conditional Random Fields, ICML 2001.
    """
    counted = tags != IGNORED
    length = int(counted.any(0).sum())
    if length == 0:
        return potentials.sum((1, 2, 3)) * 0.0
    rules = rules.to(potentials)
    potentials, tags, counted = potentials[:, :length], tags[:, :length], counted[:, :length]
    return _log_total(potentials, counted, rules) - _score(potentials, tags, counted, rules)


def _score(potentials: Tensor, tags: Tensor, counted: Tensor, rules: Rules) -> Tensor:
    size = potentials.shape[-1]
    now = tags.clamp_min(0)
    before = torch.cat([torch.zeros_like(now[:, :1]), now[:, :-1]], 1)
    steps = potentials.flatten(2).gather(2, (before * size + now)[:, :, None])[:, :, 0]
    ruled = rules.follow[before, now]
    ruled = torch.cat([rules.begin[now[:, :1]], ruled[:, 1:]], 1)
    last = now.gather(1, (counted.sum(1, keepdim=True) - 1).clamp_min(0))
    end = rules.end[last[:, 0]] * counted[:, 0]
    return ((steps + ruled) * counted).sum(1) + end


def _log_total(potentials: Tensor, counted: Tensor, rules: Rules) -> Tensor:
    total = potentials[:, 0, 0] + rules.begin
    followed = potentials + rules.follow
    full = counted.all(0).tolist()
    for at in range(1, potentials.shape[1]):
        new = (total[:, :, None] + followed[:, at]).logsumexp(1)
        total = new if full[at] else torch.where(counted[:, at, None], new, total)
    return (total + rules.end).logsumexp(1) * counted[:, 0]


def best_tags(potentials: Tensor, rules: Rules) -> Tensor:
    """The likeliest allowed tags of each sentence: int64 [n, length], ``IGNORED`` beyond it.

    Reference:
        Viterbi, Error Bounds for Convolutional Codes, 1967; Forney, The Viterbi Algorithm, 1973.
    """
    held = holds_word(potentials)
    rows, length, size = potentials.shape[:3]
    found = torch.full((rows, length), IGNORED, dtype=torch.int64, device=potentials.device)
    longest = int(held.any(0).sum())
    if longest == 0:
        return found
    rules = rules.to(potentials)
    score = potentials[:, 0, 0] + rules.begin
    came_from = []
    stay = torch.arange(size, device=potentials.device).expand(rows, size)
    for at in range(1, longest):
        best = (score[:, :, None] + potentials[:, at] + rules.follow).max(1)
        inside = held[:, at, None]
        score = torch.where(inside, best.values, score)
        came_from.append(torch.where(inside, best.indices, stay))
    tag = (score + rules.end).argmax(1)
    for at in range(longest - 1, -1, -1):
        found[:, at] = torch.where(held[:, at], tag, IGNORED)
        if at:
            tag = came_from[at - 1].gather(1, tag[:, None])[:, 0]
    return found
