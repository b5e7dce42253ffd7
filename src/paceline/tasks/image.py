"""Pictures: which class is it, or what number does it show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, SettingError
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, LazyImages
from paceline.tasks.base import Encoded, Goal, Task, goal_from_json
from paceline.tasks.base.pictures import flipped, jittered

_SAMPLE = 2000


@final
class Image(Task):
    """Images of one size, grey or in colour.

    Training pictures are moved, turned and scaled a little at random, by batches on the
    device; those in colour are mirrored too, since letters and digits are rarely in
    colour and rarely survive a mirror.

    Args:
        shape: (channels, height, width) of every image.
        mean: Of each channel over the training pixels, 0 to 255.
        scale: Standard deviation of each channel.
        shift: Largest move as a share of the size, 0 to 0.5.
        turn: Largest rotation in degrees, 0 to 180.
        zoom: Largest change of size as a share, 0 to 0.5.
        flip: Mirror left and right at random; left out, only pictures in colour.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    default_model: ClassVar[str] = "conv"

    def __init__(
        self,
        goal: Goal,
        shape: tuple[int, int, int],
        mean: tuple[float, ...],
        scale: tuple[float, ...],
        *,
        shift: float = 0.08,
        turn: float = 8.0,
        zoom: float = 0.08,
        flip: bool | None = None,
    ) -> None:
        for name, value, top in (("shift", shift, 0.5), ("turn", turn, 180), ("zoom", zoom, 0.5)):
            if not 0 <= value <= top:
                raise SettingError(f"image: {name} must lie between 0 and {top:g}, got {value:g}")
        self.goal, self.shape = goal, tuple(shape)
        self.mean, self.scale = tuple(mean), tuple(scale)
        self.shift, self.turn, self.zoom = shift, turn, zoom
        self.flip = self.shape[0] == 3 if flip is None else flip

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Image:
        rows = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(np.int64)
        pixels = train.take(rows).inputs
        pixels = (pixels.load() if isinstance(pixels, LazyImages) else pixels).astype(np.float64)
        mean, scale = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
        return cls(
            goal,
            tuple(int(size) for size in pixels.shape[1:]),  # type: ignore[arg-type] # three of them
            tuple(float(value) for value in mean),
            tuple(float(max(value, 1.0)) for value in scale),
            **settings,
        )

    def encode(self, examples: Examples) -> Encoded:
        images = examples.inputs
        found = images.shape if isinstance(images, LazyImages) else images.shape[1:]
        if tuple(found) != self.shape:
            raise DataError(
                f"images must be {_size(self.shape)} as in training, these are {_size(found)}"
            )
        inputs = images if isinstance(images, LazyImages) else torch.from_numpy(images)
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=(inputs,), targets=targets)

    def signature(self) -> Signature:
        field = Field(
            name="image", shape=self.shape, dtype="uint8", mean=self.mean, scale=self.scale
        )
        return Signature(kind="image", inputs=(field,), outputs=self.goal.outputs)

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        images = examples.inputs
        pixels = images.load() if isinstance(images, LazyImages) else images
        flat: np.ndarray[Any, Any] = pixels.reshape(len(pixels), math.prod(self.shape))
        return flat.astype(np.float32)

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        images = inputs[0].float()
        if self.shift or self.turn or self.zoom:
            images = jittered(images, generator, shift=self.shift, turn=self.turn, zoom=self.zoom)
        if self.flip:
            images = flipped(images, generator)
        return (images, *inputs[1:])

    def defaults(self, examples: int) -> dict[str, Any]:
        return {
            "batch_size": int(min(128, max(8, 2 ** round(np.log2(max(examples, 16) / 16))))),
            "epochs": float(np.clip(8e5 / max(examples, 1), 12, 60)),
            "optimizer": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.02},
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.to_json(),
            "shape": list(self.shape),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "augmentation": {
                "shift": self.shift,
                "turn": self.turn,
                "zoom": self.zoom,
                "flip": self.flip,
            },
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Image:
        return cls(
            goal_from_json(state["goal"]),
            tuple(state["shape"]),
            tuple(state["mean"]),
            tuple(state["scale"]),
            **state["augmentation"],
        )


def _size(shape: Any) -> str:
    channels, height, width = shape
    return f"{channels} × {height} × {width} (channels × height × width)"
