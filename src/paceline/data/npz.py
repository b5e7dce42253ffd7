"""NumPy's archives of named arrays."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.folders import short_name
from paceline.data.base.memory import refuse_too_large
from paceline.data.base.named_arrays import corpus_of, inputs_of

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,
    # NumPy reads old headers token by token.
    tokenize.TokenError,
)


@final
class Npz(Source):
    """An ``.npz`` with ``x`` and ``y``, or ``x_train``, ``y_train``, ``x_test`` and so on.

    Bytes and values from 0 to 255 or from 0 to 1 in three or four axes are images, numbers
    in two axes a table, and all else tensors. Pickled objects are never loaded.
    """

    promise = "an .npz with the arrays x and y"

    @staticmethod
    def recognises(place: Any) -> bool:
        return isinstance(place, Path) and place.suffix.lower() == ".npz" and place.is_file()

    def read(self, place: Any, opening: Opening) -> Corpus:
        arrays = _Arrays(place)
        return corpus_of(
            arrays, name=short_name(place), where=str(place), facts={"arrays": list(arrays)}
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        return inputs_of(_Arrays(place), str(place))


class _Arrays(Mapping[str, Any]):
    """The arrays of a file by name; each is checked, then loaded, when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._sizes = {
                    member.filename.removesuffix(".npy"): member.file_size
                    for member in archive.infolist()
                }
        except zipfile.BadZipFile as error:
            raise DataError(f"{path} is damaged or no .npz: {error}") from None

    def __getitem__(self, name: str) -> Any:
        try:
            with zipfile.ZipFile(self._path) as archive:
                self._check(archive, name)
                with archive.open(f"{name}.npy") as file:
                    return np.lib.format.read_array(file, allow_pickle=False)
        except DataError:
            raise
        except _BROKEN as error:
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise DataError(f"{self._path}: the array {name} is damaged: {reason}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def _check(self, archive: zipfile.ZipFile, name: str) -> None:
        where = f"{self._path}: the array {name}"
        with archive.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            if version not in _HEADERS:
                raise DataError(f"{where} is of .npy version {version}; save plain numbers")
            shape, _, dtype = _HEADERS[version](file)
            begin = file.tell()
        if dtype.hasobject:
            raise DataError(
                f"{where} holds Python objects, which are never loaded; save numbers or text"
            )
        if dtype.kind not in "biufUS":
            raise DataError(f"{where} is of type {dtype}; numbers or text are needed")
        if not shape:
            raise DataError(f"{where} is a single value; its first axis must be the example")
        size = math.prod(shape) * dtype.itemsize
        refuse_too_large(where, size)
        if begin + size != self._sizes[name]:
            raise DataError(f"{where} announces {size} bytes but holds {self._sizes[name] - begin}")
