"""Images: what a file says of itself, its pixels, and bringing them to one shape."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch.nn import functional

from paceline.core.errors import DataError, MissingExtra
from paceline.core.extras import need
from paceline.core.progress import Progress

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Result = TypeVar("Result")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
_ORIENTATION = 0x0112
_HEAD_BYTES = 65536
_GREY_MODES = ("1", "L", "I", "F", "LA", "La")


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a file says of its image before it is decoded.

    Attributes:
        file_bytes: Size of the file.
        digest: Of the file's first 64 KB.
        height: In pixels, as the image is to be seen.
        width: In pixels, as the image is to be seen.
        grey: Whether it has no colour.
    """

    file_bytes: int
    digest: str
    height: int
    width: int
    grey: bool


def is_image(path: Path) -> bool:
    """Whether a name ends like an image's.

    >>> is_image(Path("cat.JPEG")), is_image(Path("cat.csv"))
    (True, False)
    """
    return path.suffix.lower() in SUFFIXES


def fit_image(image: Pixels, shape: tuple[int, int, int]) -> Pixels:
    """Brings uint8 images to a shape, keeping their proportions.

    Scaled to fit within, antialiased, and centred; what is left over repeats the edge.
    Colour becomes luminance (ITU-R 601) where one channel is wanted; transparency becomes
    white.

    Args:
        image: uint8 [..., channels, height, width] with 1 to 4 channels.
        shape: Wanted (channels, height, width).

    Raises:
        DataError: Its channels cannot become those that are wanted.

    >>> fit_image(np.zeros((3, 10, 20), np.uint8), (1, 8, 8)).shape
    (1, 8, 8)
    """
    channels, height, width = shape
    image = _with_channels(image, channels)
    old_height, old_width = image.shape[-2:]
    if (old_height, old_width) == (height, width):
        return np.ascontiguousarray(image)
    scale = min(height / old_height, width / old_width)
    size = [
        min(max(1, round(old_height * scale)), height),
        min(max(1, round(old_width * scale)), width),
    ]
    flat = torch.from_numpy(np.ascontiguousarray(image)).reshape(-1, *image.shape[-3:])
    # Bytes would do, but torch 2.13 fails on some that are one pixel wide.
    scaled = functional.interpolate(flat.float(), size=size, mode="bilinear", antialias=True)
    pixels = scaled.round_().clamp_(0, 255).byte().numpy()
    above, left = (height - size[0]) // 2, (width - size[1]) // 2
    below, right = height - size[0] - above, width - size[1] - left
    padded = np.pad(pixels, ((0, 0), (0, 0), (above, below), (left, right)), mode="edge")
    return padded.reshape(*image.shape[:-2], height, width)


def _with_channels(image: Pixels, wanted: int) -> Pixels:
    has = image.shape[-3]
    if has == wanted:
        return image
    if has in (2, 4) and wanted in (1, 3):
        alpha = image[..., -1:, :, :].astype(np.uint32)
        solid = image[..., :-1, :, :] * alpha + 255 * (255 - alpha)
        return _with_channels(((solid + 127) // 255).astype(np.uint8), wanted)
    if has == 1:
        return np.repeat(image, wanted, axis=-3)
    if has == 3 and wanted == 1:
        red, green, blue = (image[..., i : i + 1, :, :].astype(np.uint32) for i in range(3))
        grey = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16
        return grey.astype(np.uint8)
    raise DataError(f"an image has {has} channels where {wanted} are needed")


def read_header(path: Path) -> Header:
    """What a file says of its image.

    Raises:
        DataError: It is no image, damaged, or too large to be decoded safely.
    """
    with _opened(path) as image:
        width, height = image.size
        if image.format in ("JPEG", "MPO", "WEBP") and _turned(image) >= 5:
            width, height = height, width
        grey = image.mode in _GREY_MODES or image.mode.startswith("I;16")
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
        size = os.fstat(file.fileno()).st_size
    return Header(file_bytes=size, digest=digest, height=height, width=width, grey=grey)


def read_image(path: Path, shape: tuple[int, int, int] | None = None) -> Pixels:
    """The pixels of a file as they are to be seen: uint8 [channels, height, width].

    Raises:
        DataError: It is no image, damaged, or too large to be decoded safely.
    """
    with _opened(path) as image:
        if shape is not None:
            # A JPEG that is far too large is scaled while it is decoded, which is cheaper.
            image.draft(None, (2 * max(shape[1:]), 2 * max(shape[1:])))
        # Pillow turns a TIFF by itself while it loads it, and then forgets the note.
        image.load()
        orientation = _turned(image)
        pixels = _upright(_pixels(image), orientation)
    return pixels if shape is None else fit_image(pixels, shape)


def reader(shape: tuple[int, int, int]) -> Callable[[Path], Pixels]:
    """``read_image`` with its shape set, fit for ``LazyImages`` and for other processes."""
    return partial(read_image, shape=shape)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    library = need("PIL.Image", extra="images", purpose="reading images")
    bombs = (library.DecompressionBombError, library.DecompressionBombWarning)
    try:
        with library.open(path, formats=_FORMATS) as image:
            yield image
    except (DataError, MissingExtra):
        raise
    except bombs:
        limit = library.MAX_IMAGE_PIXELS
        raise DataError(f"{path} has more than {limit:,} pixels; make it smaller") from None
    # Decoders of damaged files raise whatever their bytes lead them into.
    except Exception as error:
        reason = "no image" if "cannot identify" in str(error) else str(error) or repr(error)
        raise DataError(f"{path} cannot be read as an image: {reason}") from None


def _turned(image: Any) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # A damaged note about the camera does not spoil the image.
    except Exception:
        return 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes how the camera was held (EXIF 2.3, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(-1, -2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[..., ::-1, :]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels)


def _pixels(image: Any) -> Pixels:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _narrowed(np.asarray(image))[None]
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if transparent:
        wanted = 1 if image.mode in ("L", "LA", "La", "1") else 3
        rgba = np.asarray(image.convert("RGBA")).transpose(2, 0, 1)
        return _with_channels(rgba, wanted)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[None]
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _narrowed(wide: Any) -> Pixels:
    """16-bit values by their upper byte, fractions from 0 to 1 by their share."""
    if wide.dtype.kind == "f":
        wide = wide * 255 if wide.size and wide.max() <= 1 else wide
        narrow = np.rint(np.nan_to_num(wide))
    else:
        narrow = wide.astype(np.int64) >> 8
    return np.asarray(np.clip(narrow, 0, 255), dtype=np.uint8)


def in_pool(
    work: Callable[[Any], Result], items: Sequence[Any], progress: Progress, what: str
) -> list[Result | DataError]:
    """Does the work for every item by threads; where it cannot be done, the error instead."""

    def tried(item: Any) -> Result | DataError:
        try:
            return work(item)
        except DataError as error:
            return error

    results: list[Result | DataError] = []
    with _quiet(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for result in pool.map(tried, items):
            results.append(result)
            if len(results) % 64 == 0 or len(results) == len(items):
                progress.advance(what, len(results) / len(items))
    return results


@contextmanager
def _quiet() -> Iterator[None]:
    """What Pillow warns of is either an error here, or nothing a person must know."""
    library = need("PIL.Image", extra="images", purpose="reading images")
    # Here and not in the threads, which would get in each other's way.
    library.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", library.DecompressionBombWarning)
        yield
