"""Rows of tokens: as short as they can be, and what is left of them in one row."""

from __future__ import annotations

import torch
from torch import Tensor


def trimmed(tokens: Tensor, least: int = 1) -> Tensor:
    """Tokens without the columns at the end that are padding everywhere.

    Args:
        tokens: int64 [n, length], 0 is padding.
        least: Columns that are kept anyway.

    >>> trimmed(torch.tensor([[5, 0, 0], [5, 6, 0]])).tolist()
    [[5, 0], [5, 6]]
    """
    used = (tokens != 0).any(0).nonzero()
    longest = int(used[-1]) + 1 if len(used) else 0
    return tokens[:, : max(longest, min(least, tokens.shape[1]))]


def mean_of(states: Tensor, present: Tensor) -> Tensor:
    """Mean of the states that are there; zero where none is.

    Args:
        states: [n, length, width].
        present: bool [n, length].

    >>> mean_of(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[True, True, False]])).item()
    3.0
    """
    weights = present.to(states.dtype).unsqueeze(-1)
    total = (states * weights).sum(1)
    return total / weights.sum(1).clamp_min(1)


def largest_of(states: Tensor, present: Tensor) -> Tensor:
    """Largest of the states that are there; zero where none is.

    >>> largest_of(torch.tensor([[[2.0], [9.0]]]), torch.tensor([[True, False]])).item()
    2.0
    """
    low = torch.finfo(states.dtype).min
    highest = states.masked_fill(~present.unsqueeze(-1), low).amax(1)
    return highest.masked_fill(~present.any(1, keepdim=True), 0.0)
