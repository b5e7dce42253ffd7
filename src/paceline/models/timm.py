"""Networks for pictures from the package timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from paceline.core.errors import DataError, SettingError
from paceline.core.extras import need
from paceline.core.signature import Signature
from paceline.models.base import Headed

_PLAIN = "resnet18"
_KINDS = ("frozen", "all")


@final
class Timm(Headed):
    """A network of timm with a head of its own.

    The backbone in the signature is ``timm:name``, or ``timm:name@file.safetensors`` with
    weights that were trained before; without one it is a ResNet-18. The weights come from the
    file as long as it is there; a saved run brings its own. Nothing is ever downloaded.

    Args:
        signature: With one ``image`` field, uint8 or float [channels, height, width].
        tune: ``frozen`` trains the head alone, ``all`` everything.
        dropout: Share of the head's inputs that is dropped in training, 0 to under 1.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, signature: Signature, *, tune: str = "all", dropout: float = 0.0) -> None:
        super().__init__()
        if tune not in _KINDS:
            raise SettingError(f"timm: tune must be {' or '.join(_KINDS)}, got {tune!r}")
        if not 0 <= dropout < 1:
            raise SettingError(f"timm: dropout must be at least 0 and under 1, got {dropout:g}")
        image = signature.inputs[0]
        name, _, file = signature.backbone.removeprefix("timm:").partition("@")
        self.network = _built(name or _PLAIN, image.shape, file)
        self.network.requires_grad_(tune == "all")
        self.frozen, self.trained_before = tune == "frozen", bool(file)
        channels = image.shape[0]
        self.register_buffer("mean", torch.tensor(image.mean).view(1, channels, 1, 1))
        self.register_buffer("scale", torch.tensor(image.scale).view(1, channels, 1, 1))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(self.network.num_features), signature.outputs)

    def train(self, mode: bool = True) -> Timm:
        """As usual, but what is frozen learns no statistics."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def features(self, *inputs: Tensor) -> Tensor:
        pixels = (inputs[0].to(self.mean.dtype) - self.mean) / self.scale
        found: Tensor = self.network(pixels)
        return found

    def forward(self, *inputs: Tensor) -> Tensor:
        output: Tensor = self.head(self.dropout(self.features(*inputs)))
        return output

    mean: Tensor
    scale: Tensor


def _built(name: str, shape: tuple[int, ...], file: str) -> Any:
    library = need("timm", extra="timm", purpose="a backbone of timm")
    try:
        network = library.create_model(name, pretrained=False, num_classes=0, in_chans=shape[0])
    except RuntimeError as error:
        raise SettingError(f"timm has no network {name!r}: {str(error).splitlines()[0]}") from None
    if file and Path(file).is_file():
        _fill(network, file)
    return network


def _fill(network: nn.Module, file: str) -> None:
    """Puts in the weights of a file; those of its head stay out."""
    own = network.state_dict()
    found = {name: value for name, value in load_file(file).items() if name in own}
    if set(found) != set(own):
        missing = sorted(set(own) - set(found))[0]
        raise DataError(f"{file} does not fit the network: it has no {missing}")
    try:
        network.load_state_dict(found)
    except RuntimeError as error:
        raise DataError(f"{file} does not fit the network: {str(error).splitlines()[-1]}") from None
