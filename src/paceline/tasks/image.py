"""Pictures: which class is it, or what number does it show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, SettingError
from paceline.core.findings import Finding
from paceline.core.progress import Silence
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, LazyImages
from paceline.data.base.picture_files import common_shape, read_headers, read_pictures
from paceline.data.base.pictures import is_image
from paceline.tasks.base import Claim, Classification, Encoded, Goal, Judged, Task, goal_from_json
from paceline.tasks.base.file_columns import converted, files_of, named_files
from paceline.tasks.base.pictures import data_uri, flipped, jittered

_SAMPLE = 2000
_WORST = 12
_LARGEST_SHOWN = 128


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
        backbone: A network of timm, as ``timm:name``, or ``timm:name@file.safetensors`` with
            weights that were trained before; empty for none.
        column: Of a table, that names the files; empty where there was no table.
        folder: What these names start from.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)
    default_model: ClassVar[str] = "conv"
    hints: ClassVar[tuple[str, ...]] = ("image",)

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
        backbone: str = "",
        column: str = "",
        folder: str = "",
    ) -> None:
        for name, value, top in (("shift", shift, 0.5), ("turn", turn, 180), ("zoom", zoom, 0.5)):
            if not 0 <= value <= top:
                raise SettingError(f"image: {name} must lie between 0 and {top:g}, got {value:g}")
        self.goal, self.shape = goal, tuple(shape)
        self.mean, self.scale = tuple(mean), tuple(scale)
        self.shift, self.turn, self.zoom = shift, turn, zoom
        self.flip = self.shape[0] == 3 if flip is None else flip
        self.backbone, self.column, self.folder = backbone, column, folder
        if backbone:
            _refuse_strange(backbone)
            vars(self)["default_model"] = "timm"

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        if corpus.kind in cls.kinds:
            return Claim(strength=0.5, reason="the data are of the kind image", corpus=corpus)
        named = named_files(corpus, hints.get("image"), is_image)
        if named is None:
            return None
        if named.corpus.train.targets is None:
            return Claim(strength=0.9, reason=named.reason, corpus=named.corpus)
        notes = list(named.remarks)
        shape: Any = None

        def read(files: list[Path], part: str) -> Any:
            nonlocal shape
            headers = read_headers(files, Silence(), notes, skip_bad=None)
            shape = shape or common_shape(list(headers.values()), corpus.name, notes)
            return read_pictures(files, shape, Silence(), notes, skip_bad=None)[1]

        made = converted(named, "image", read)
        made = replace(made, notes=tuple(notes), facts=made.facts | {"shape": list(shape)})
        return Claim(strength=0.9, reason=named.reason, corpus=made)

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Image:
        settings.pop("image", None)
        _refuse_missing(settings.get("backbone", ""))
        rows = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(np.int64)
        pixels = train.take(rows).inputs
        pixels = (pixels.load() if isinstance(pixels, LazyImages) else pixels).astype(np.float64)
        mean, scale = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
        return cls(
            goal,
            tuple(int(size) for size in pixels.shape[1:]),  # type: ignore[arg-type] # three of them
            tuple(float(value) for value in mean),
            tuple(float(max(value, 1.0)) for value in scale),
            column=str(corpus.facts.get("column", "")),
            folder=str(corpus.facts.get("folder", "")),
            **settings,
        )

    def encode(self, examples: Examples) -> Encoded:
        images = self._pixels(examples.inputs)
        found = images.shape if isinstance(images, LazyImages) else images.shape[1:]
        if tuple(found) != self.shape:
            raise DataError(
                f"images must be {_size(self.shape)} as in training, these are {_size(found)}"
            )
        inputs = images if isinstance(images, LazyImages) else torch.from_numpy(images)
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=(inputs,), targets=targets)

    def _pixels(self, inputs: Any) -> Any:
        """Pictures, read from files where a table names these."""
        if not hasattr(inputs, "columns"):
            return inputs
        if not self.column:
            raise DataError("the run was trained on pictures, not on a table that names them")
        files = files_of(inputs, self.column, self.folder)
        channels, height, across = self.shape
        shape = (channels, height, across)
        return read_pictures(files, shape, Silence(), [], skip_bad=None)[1]

    def signature(self) -> Signature:
        field = Field(
            name="image", shape=self.shape, dtype="uint8", mean=self.mean, scale=self.scale
        )
        return Signature(
            kind="image", inputs=(field,), outputs=self.goal.outputs, backbone=self.backbone
        )

    def features(self, examples: Examples) -> np.ndarray[Any, Any]:
        images = self._pixels(examples.inputs)
        pixels = images.load() if isinstance(images, LazyImages) else images
        flat: np.ndarray[Any, Any] = pixels.reshape(len(pixels), math.prod(self.shape))
        return flat.astype(np.float32)

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        more, found = super().findings(judged)
        if isinstance(self.goal, Classification):
            found = (*found, *_mistakes(self.goal, judged, self._pixels(judged.examples.inputs)))
        return more, found

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
            "backbone": self.backbone,
            "column": self.column,
            "folder": self.folder,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Image:
        return cls(
            goal_from_json(state["goal"]),
            tuple(state["shape"]),
            tuple(state["mean"]),
            tuple(state["scale"]),
            backbone=state.get("backbone", ""),
            column=state.get("column", ""),
            folder=state.get("folder", ""),
            **state["augmentation"],
        )


def _refuse_strange(backbone: str) -> None:
    if not backbone.startswith("timm:"):
        raise SettingError(
            f"image: backbone must be timm:name or timm:name@file.safetensors, got {backbone!r}"
        )


def _refuse_missing(backbone: str) -> None:
    file = backbone.partition("@")[2]
    if file and not (file.endswith(".safetensors") and Path(file).is_file()):
        raise SettingError(f"image: there are no weights {file!r}; name a .safetensors file")


def _mistakes(goal: Classification, judged: Judged, images: Any) -> tuple[Finding, ...]:
    """The test pictures that the network was surest of and wrong about."""
    sure, taken = judged.answer.max(-1)
    wrong = (taken != judged.target).nonzero()[:, 0]
    worst = wrong[sure[wrong].argsort(descending=True, stable=True)][:_WORST].tolist()
    rows = tuple(
        (
            data_uri(_small(images[row])),
            f"{goal.classes[judged.target[row]]}, taken for {goal.classes[taken[row]]},"
            f" {sure[row]:.0%}",
        )
        for row in worst
    )
    note = "Of the test pictures those that it was surest of and wrong about."
    heads = ("picture", "what it is")
    found = Finding(title="Worst mistakes", kind="pictures", columns=heads, rows=rows, note=note)
    return (found,) if rows else ()


def _small(image: Any) -> Any:
    """A picture of 1 or 3 channels, at most 128 pixels long."""
    step = -(-max(image.shape[1:]) // _LARGEST_SHOWN)
    return (image if len(image) in (1, 3) else image[:1])[:, ::step, ::step]


def _size(shape: Any) -> str:
    channels, height, width = shape
    return f"{channels} × {height} × {width} (channels × height × width)"
