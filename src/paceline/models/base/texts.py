"""What language models share."""

from __future__ import annotations

import torch
from torch import Tensor


def at_last_token(hidden: Tensor, tokens: Tensor) -> Tensor:
    """States in which those behind the end of a text are replaced by the text's last one.

    Args:
        hidden: Float [n, length, width].
        tokens: int64 [n, length], 0 behind the end.

    >>> hidden = torch.tensor([[[1.0], [2.0], [3.0]]])
    >>> at_last_token(hidden, torch.tensor([[5, 7, 0]])).flatten().tolist()
    [1.0, 2.0, 2.0]
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)
    last = torch.where(tokens != 0, places, 0).amax(1, keepdim=True)
    at = torch.minimum(places, last)[..., None].expand_as(hidden)
    return hidden.gather(1, at)
