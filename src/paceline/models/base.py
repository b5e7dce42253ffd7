"""What a network promises."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Model(nn.Module):
    """A network for some kinds of input.

    The constructor takes the ``Signature`` and the network's own settings by keyword.
    ``forward`` takes the signature's inputs in order, as the data have them (images in
    0…255, columns in their own units), and gives float [batch, outputs], or
    [batch, members, outputs] where one network holds several that are averaged after
    the softmax.

    Class attributes:
        kinds: The kinds of signature it can be built from.
    """

    kinds: ClassVar[tuple[str, ...]]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Gives the outputs of a batch."""
        raise NotImplementedError
