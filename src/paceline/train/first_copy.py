"""The first copy of a tensor, which is slower than the ones over it."""

from __future__ import annotations

import contextlib
import mmap

import torch
from torch import Tensor

LARGE_BYTES = 2**21


def first_copy(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy on a device; a large one in huge pages, which are handed out several times as fast.

    >>> first_copy(torch.ones(2), torch.device("cpu"))
    tensor([1., 1.])
    """
    large = device.type == "cpu" and tensor.nbytes >= LARGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE")
    if not large or not tensor.is_contiguous() or tensor.layout is not torch.strided:
        return tensor.to(device, copy=True)
    place = mmap.mmap(-1, tensor.nbytes)
    with contextlib.suppress(OSError):
        place.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(place, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)
