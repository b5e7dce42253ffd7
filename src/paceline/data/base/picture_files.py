"""Many images at once: one shape for all, and their pixels now or when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from paceline.core.errors import DataError
from paceline.core.progress import Progress
from paceline.data.base.memory import available_bytes
from paceline.data.base.pictures import Header, in_pool, read_header, read_image, reader
from paceline.data.base.source import LazyImages

Shape = tuple[int, int, int]
_LONGEST = 96
_LONGEST_AS_IT_IS = 256


def read_headers(
    paths: Sequence[Path], progress: Progress, notes: list[str], *, skip_bad: bool | None
) -> dict[Path, Header]:
    """What the files say of themselves; those that cannot be read are left out if wanted.

    Args:
        paths: Of images.
        progress: Told how far it has come.
        notes: Gets a line on what was left out.
        skip_bad: Leave out what cannot be read; None where a person has no such choice.

    Raises:
        DataError: A file cannot be read, and is not to be left out; or none can.
    """
    results = in_pool(read_header, paths, progress, "looking at images")
    return _good(dict(zip(paths, results, strict=True)), notes, skip_bad=skip_bad)


def common_shape(headers: Sequence[Header], where: Any, notes: list[str]) -> Shape:
    """(channels, height, width) for all: their own, or the median, at most 96 pixels long.

    Images that all have one size of at most 256 pixels stay as they are.
    """
    channels = 1 if all(header.grey for header in headers) else 3
    sizes = {(header.height, header.width) for header in headers}
    height = median(header.height for header in headers)
    width = median(header.width for header in headers)
    longest = max(height, width)
    if len(sizes) == 1 and longest <= _LONGEST_AS_IT_IS:
        return channels, int(height), int(width)
    scale = min(1.0, _LONGEST / longest)
    shape = channels, max(1, round(height * scale)), max(1, round(width * scale))
    notes.append(
        f"{where} has images of {len(sizes)} size{'s' * (len(sizes) > 1)}; all are brought to"
        f" {shape[1]} x {shape[2]} pixels (height x width), their proportions kept"
    )
    return shape


def read_pictures(
    paths: Sequence[Path],
    shape: Shape,
    progress: Progress,
    notes: list[str],
    *,
    skip_bad: bool | None,
) -> tuple[list[int], Any]:
    """Which of the files are kept, and their pixels.

    What fits in a quarter of the free memory is decoded once, as a uint8 array; the rest
    when it is needed, by a ``LazyImages``.
    """
    rows = list(range(len(paths)))
    if len(paths) * int(np.prod(shape)) <= available_bytes() / 4:
        return _decoded(paths, shape, progress, notes, skip_bad)
    if skip_bad:
        rows = _verified(paths, shape, progress, notes)
    return rows, LazyImages([paths[row] for row in rows], reader(shape), shape)


def _decoded(
    paths: Sequence[Path],
    shape: Shape,
    progress: Progress,
    notes: list[str],
    skip_bad: bool | None,
) -> tuple[list[int], Any]:
    pixels = np.empty((len(paths), *shape), np.uint8)

    def decode(row: int) -> bool:
        pixels[row] = read_image(paths[row], shape)
        return True

    results = in_pool(decode, range(len(paths)), progress, "decoding images")
    good = _good(dict(enumerate(results)), notes, skip_bad=skip_bad) if paths else {}
    rows = sorted(good)
    return rows, pixels if len(rows) == len(paths) else pixels[rows]


def _verified(
    paths: Sequence[Path], shape: Shape, progress: Progress, notes: list[str]
) -> list[int]:
    """Those that decode; a damaged one would otherwise stop the training later on."""

    def decodes(path: Path) -> bool:
        read_image(path, shape)
        return True

    results = in_pool(decodes, paths, progress, "checking images")
    return sorted(_good(dict(enumerate(results)), notes, skip_bad=True))


def _good(results: dict[Any, Any], notes: list[str], *, skip_bad: bool | None) -> dict[Any, Any]:
    """What could be read; the rest is an error, or left out where that was asked for."""
    bad = [result for result in results.values() if isinstance(result, DataError)]
    if bad and not skip_bad:
        advice = "leave them out with --skip-bad" if skip_bad is False else "take their rows out"
        raise DataError(
            f"{bad[0]}; {len(bad)} of {len(results)} images are bad; mend them, or {advice}"
        )
    if bad:
        notes.append(f"{len(bad)} of {len(results)} images were left out; the first: {bad[0]}")
    if len(bad) == len(results):
        raise DataError("none of the images can be read")
    return {key: one for key, one in results.items() if not isinstance(one, DataError)}
