"""Several processes that train one model (``torch.distributed``)."""

from __future__ import annotations

import torch
from torch import Tensor


def has_team() -> bool:
    """Whether several processes train one model."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def everywhere(loss: Tensor) -> float:
    """The loss; where several processes train one model, its mean over all of them."""
    if not has_team():
        return float(loss.item())
    value = loss.detach().double().reshape(()).clone()
    torch.distributed.all_reduce(value)
    return float(value) / torch.distributed.get_world_size()
