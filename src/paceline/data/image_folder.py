"""Folders of images: one folder for each class, with or without parts of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.class_folders import (
    Labelled,
    by_part,
    corpus_of,
    holds,
    refuse_classes,
    refuse_group,
    to_predict,
)
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.picture_files import common_shape, read_headers, read_pictures
from paceline.data.base.pictures import Header, is_image


@final
class ImageFolder(Source):
    """One folder of images for each class, or ``train`` and ``test`` folders with these.

    Images of different sizes are brought to the median size, the longer side at most 96
    pixels; images that all have one size of at most 256 pixels stay as they are. What fits
    in a quarter of the free memory is decoded once, and the rest when it is needed.
    """

    promise = "a folder with one folder of images per class (jpg png bmp gif webp tiff)"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, Path):
            return False
        return holds(place, is_image) if place.is_dir() else is_image(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        if not place.is_dir():
            raise DataError(f"{place} is one image; training needs a folder of them per class")
        refuse_group(opening.group, place)
        notes: list[str] = []
        files = by_part(place, is_image, notes)
        refuse_classes(files, place, "images", notes)
        headers = _headers([one for part in files.values() for one in part], opening, notes)
        files = {part: [f for f in some if f.path in headers] for part, some in files.items()}
        shape = opening.image_shape or common_shape(list(headers.values()), place, notes)
        parts = {part: _examples(some, shape, opening, notes) for part, some in files.items()}
        return corpus_of(
            place,
            "image",
            parts,
            fingerprint=_fingerprint(place, files, headers, shape),
            notes=notes,
            shape=list(shape),
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        files, notes = to_predict(place, is_image), list[str]()
        headers = _headers(files, opening, notes)
        files = [one for one in files if one.path in headers]
        shape = opening.image_shape or common_shape(list(headers.values()), place, notes)
        examples = _examples(files, shape, opening, notes)
        for note in notes:
            opening.progress.warn(note)
        return examples


def _headers(files: list[Labelled], opening: Opening, notes: list[str]) -> dict[Path, Header]:
    paths = [one.path for one in files]
    return read_headers(paths, opening.progress, notes, skip_bad=opening.skip_bad)


def _examples(
    files: list[Labelled], shape: tuple[int, int, int], opening: Opening, notes: list[str]
) -> Examples:
    kept, inputs = read_pictures(
        [one.path for one in files], shape, opening.progress, notes, skip_bad=opening.skip_bad
    )
    labels = [files[row].label for row in kept]
    targets = None if None in labels else np.array([*labels, None], dtype=object)[:-1]
    return Examples(inputs=inputs, targets=targets)


def _fingerprint(
    place: Path, files: dict[str, list[Labelled]], headers: dict[Path, Header], shape: Any
) -> str:
    """Of names, sizes and beginnings: the same whether images are decoded now or later."""
    rows = [
        f"{part} {one.path.relative_to(place).as_posix()} {headers[one.path].file_bytes}"
        f" {headers[one.path].digest}"
        for part, some in files.items()
        for one in some
    ]
    return fingerprint("image_folder", shape, rows)
