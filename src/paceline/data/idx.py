"""MNIST's own format: a folder with images and labels as gzipped arrays of bytes."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.folders import short_name, visible
from paceline.data.base.memory import refuse_too_large

_NAME = re.compile(r"(train|t10k|test)-(images|labels)[.-]idx[13]-ubyte(\.gz)?", re.IGNORECASE)
_UNSIGNED_BYTE = 8


@final
class Idx(Source):
    """A folder with ``train-images-idx3-ubyte`` and its companions, gzipped or not.

    ``t10k-…`` is the test part. One file of images can be predicted.

    Reference:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "File
        formats".
    """

    promise = "a folder in MNIST's idx format (train-images-idx3-ubyte.gz …)"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return False
        if place.is_dir():
            return any(_NAME.fullmatch(entry.name) for entry in visible(place))
        return bool(_NAME.fullmatch(place.name)) and "images" in place.name.lower()

    def read(self, place: Any, opening: Opening) -> Corpus:
        if not place.is_dir():
            raise DataError(f"{place} has images but no labels; name the folder {place.parent}")
        train = _part(place, ("train",))
        if train is None:
            raise DataError(f"{place} has no training images; train-images-idx3-ubyte is missing")
        test = _part(place, ("t10k", "test"))
        parts = [train] if test is None else [train, test]
        return Corpus(
            name=short_name(place),
            kind="image",
            train=train,
            test=test,
            fingerprint=fingerprint("idx", *([part.inputs, part.targets] for part in parts)),
            facts={
                "shape": list(train.inputs.shape[1:]),
                "examples": len(train),
                "test_examples": 0 if test is None else len(test),
            },
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        if not place.is_dir():
            return Examples(inputs=_images(place), targets=None)
        found = _part(place, ("t10k", "test")) or _part(place, ("train",))
        if found is None:
            raise DataError(f"{place} has labels but no images")
        return found


def _part(folder: Path, words: tuple[str, ...]) -> Examples | None:
    files: dict[str, Path] = {}
    for entry in visible(folder):
        match = _NAME.fullmatch(entry.name)
        if match and match[1].lower() in words:
            files.setdefault(match[2].lower(), entry)
    if "images" not in files:
        return None
    if "labels" not in files:
        raise DataError(f"{files['images']} has no labels beside it; {words[0]}-labels is missing")
    images, labels = _images(files["images"]), _array(files["labels"], axes=1)
    if len(images) != len(labels):
        raise DataError(
            f"{files['images']} has {len(images)} images, but {files['labels'].name} has"
            f" {len(labels)} labels"
        )
    return Examples(inputs=images, targets=labels.astype(np.int64))


def _images(path: Path) -> Any:
    return _array(path, axes=3)[:, None]


def _array(path: Path, *, axes: int) -> Any:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            shape = _shape(path, file.read(4 + 4 * axes), axes)
            size = math.prod(shape)
            refuse_too_large(str(path), size)
            # One byte more than was announced shows that there is more.
            content = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}; get it again") from None
    if len(content) != size:
        more = "more" if len(content) > size else f"only {len(content)}"
        raise DataError(f"{path} announces {size} bytes of {list(shape)} but holds {more}")
    return np.frombuffer(content, np.uint8).reshape(shape).copy()


def _shape(path: Path, head: bytes, axes: int) -> tuple[int, ...]:
    if len(head) < 4 + 4 * axes:
        raise DataError(f"{path} ends within its first {4 + 4 * axes} bytes; get it again")
    magic, *shape = struct.unpack(f">{1 + axes}I", head)
    if magic != _UNSIGNED_BYTE << 8 | axes:
        raise DataError(
            f"{path} begins with {magic:#010x} where {_UNSIGNED_BYTE << 8 | axes:#010x} is needed"
            f" (bytes in {axes} axes)"
        )
    if 0 in shape:
        raise DataError(f"{path} is empty: it announces the shape {shape}")
    return tuple(shape)
