"""What networks promise, and how any network gets standardised inputs."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from paceline.core.signature import Signature


class Model(nn.Module):
    """A network for some kinds of input.

    The constructor takes the ``Signature`` and the network's own settings by keyword.
    ``forward`` takes the signature's inputs in order, as the data have them (pixels in
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


class Headed(Model):
    """A network that is a linear head over features, which may have been trained before.

    Where they were, the head is fitted to the features as they come before anything else is
    trained, so that a head that knows nothing does not spoil them.

    Attributes:
        head: Gives the outputs.
        trained_before: Whether the features were.
    """

    head: nn.Linear
    trained_before: bool

    def features(self, *inputs: Tensor) -> Tensor:
        """What the head is given: float [batch, ``head.in_features``]."""
        raise NotImplementedError


@final
class Standardised(nn.Module):
    """A network whose inputs are brought to mean 0 and scale 1 first.

    Inputs with a mean in the signature are cast to float32 and standardised along their
    first axis after the batch's; the others are passed on as they are.
    """

    def __init__(self, network: nn.Module, signature: Signature) -> None:
        super().__init__()
        self.network = network
        self._known = [bool(field.mean) for field in signature.inputs]
        for at, field in enumerate(signature.inputs):
            if field.mean:
                view = (1, -1) + (1,) * (len(field.shape) - 1)
                self.register_buffer(f"mean_{at}", torch.tensor(field.mean).view(view))
                self.register_buffer(f"scale_{at}", torch.tensor(field.scale).view(view))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Standardises and passes on."""
        ready = [
            (part.float() - getattr(self, f"mean_{at}")) / getattr(self, f"scale_{at}")
            if known
            else part
            for at, (part, known) in enumerate(zip(inputs, self._known, strict=True))
        ]
        output: Tensor = self.network(*ready)
        return output
