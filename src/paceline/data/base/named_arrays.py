"""What arrays are: pictures, a table or plain tensors; and which are inputs, which targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from paceline.core.errors import DataError
from paceline.core.extras import need
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.source import Corpus, Examples

Array = np.ndarray[Any, Any]
_INPUTS = ("x", "X", "images", "data", "inputs")
_TARGETS = ("y", "Y", "labels", "targets")
_PARTS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
_CHANNELS = (1, 3, 4)
# Below this, numbers with fractions are taken for measurements and not for pixels.
_BRIGHT = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How an array becomes inputs; the same for every part of a corpus.

    Attributes:
        kind: ``image``, ``table`` or ``tensors``.
        channels_last: Whether pictures have their channels on the last axis.
        factor: What pixels are multiplied by to reach 0 to 255.
    """

    kind: str
    channels_last: bool = False
    factor: float = 1.0


def reading_of(x: Array) -> Reading:
    """What an array looks like.

    >>> reading_of(np.zeros((5, 8, 8, 3), np.uint8))
    Reading(kind='image', channels_last=True, factor=1.0)
    >>> reading_of(np.zeros((5, 8))).kind
    'table'
    """
    if x.ndim <= 2:
        return Reading(kind="table")
    factor = _pixel_factor(x)
    if factor is None or x.ndim > 4:
        return Reading(kind="tensors")
    if x.ndim == 3 or x.shape[1] in _CHANNELS:
        return Reading(kind="image", factor=factor)
    if x.shape[-1] in _CHANNELS:
        return Reading(kind="image", channels_last=True, factor=factor)
    return Reading(kind="tensors")


def _pixel_factor(x: Array) -> float | None:
    if x.dtype == np.uint8:
        return 1.0
    if x.dtype == bool:
        return 255.0
    if x.size == 0 or not np.isfinite(x).all() or x.min() < 0 or x.max() > 255:
        return None
    if x.dtype.kind in "iu":
        return 1.0
    if x.max() <= 1:
        return 255.0
    return 1.0 if x.max() > _BRIGHT or bool((x == np.rint(x)).all()) else None


def as_inputs(x: Array, reading: Reading) -> Any:
    """An array in the form that ``Examples.inputs`` has for its kind."""
    if reading.kind == "table":
        pandas = need("pandas", extra="tables", purpose="a table of numbers")
        columns = x.reshape(len(x), -1)
        return pandas.DataFrame(columns, columns=[f"x{i}" for i in range(columns.shape[1])])
    if reading.kind == "tensors":
        return (x,)
    if x.ndim == 3:
        x = x[:, None]
    elif reading.channels_last:
        x = np.moveaxis(x, -1, 1)
    if x.dtype != np.uint8:
        x = np.rint(np.clip(x * reading.factor, 0, 255)).astype(np.uint8)
    return np.ascontiguousarray(x)


def as_labels(y: Any, count: int, where: str) -> Array:
    """Targets as one column: int64, float64, or objects that are strings.

    Raises:
        DataError: They are not one column, not one for each example, or of no known type.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{where}: targets must be one column, got the shape {list(y.shape)}")
    if len(y) != count:
        raise DataError(f"{where}: there are {count} inputs but {len(y)} targets")
    if y.dtype.kind in "iu":
        return np.asarray(y, dtype=np.int64)
    if y.dtype.kind == "f":
        return np.asarray(y, dtype=np.float64)
    if y.dtype.kind == "O":
        return _plain_objects(y)
    if y.dtype.kind not in "bUS":
        raise DataError(f"{where}: targets must be numbers or text, got {y.dtype}")
    text = y.astype(str) if y.dtype.kind != "S" else np.char.decode(y, "utf-8", "replace")
    return text.astype(object)


def _plain_objects(y: Array) -> Array:
    values = y.tolist()
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        numbers = np.array(values)
        if numbers.dtype.kind in "if":
            return numbers.astype(np.int64 if numbers.dtype.kind == "i" else np.float64)
    missing = [value is None or value != value for value in values]
    words = [None if gone else str(value) for value, gone in zip(values, missing, strict=True)]
    return np.array([*words, None], dtype=object)[:-1]


def corpus_of(arrays: Mapping[str, Any], *, name: str, where: str, facts: dict[str, Any]) -> Corpus:
    """A corpus from arrays that are told apart by their names.

    Raises:
        DataError: Inputs or targets are missing, or do not fit one another.
    """
    found = {part: _pair(arrays, suffixes, where) for part, suffixes in _PARTS.items()}
    train = found.pop("train") or _pair(arrays, (), where)
    if train is None:
        raise DataError(f"{where} has no inputs; name them x or x_train; {_shown(arrays)}")
    return _corpus(train, found, name=name, where=where, facts=facts)


def _corpus(
    train: tuple[Any, Any], held_out: dict[str, Any], *, name: str, where: str, facts: Any
) -> Corpus:
    reading = reading_of(train[0]) if isinstance(train[0], np.ndarray) else Reading(kind="other")
    parts = {
        part: _examples(pair, reading, where)
        for part, pair in {"train": train, **held_out}.items()
        if pair is not None
    }
    kind = reading.kind if reading.kind != "other" else _kind_of(train[0])
    content = [[part, given.inputs, given.targets] for part, given in parts.items()]
    shape = list(getattr(train[0], "shape", ()))
    return Corpus(
        name=name,
        kind=kind,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        fingerprint=fingerprint(kind, *content),
        notes=_notes(train[0], reading, where),
        facts=facts | {"shape": shape, "examples": len(parts["train"])},
    )


def _kind_of(inputs: Any) -> str:
    return "tensors" if isinstance(inputs, tuple) else "table"


def _examples(pair: tuple[Any, Any], reading: Reading, where: str) -> Examples:
    x, y = pair
    inputs = as_inputs(x, reading) if isinstance(x, np.ndarray) else x
    examples = Examples(inputs=inputs, targets=None)
    return replace(examples, targets=as_labels(y, len(examples), where))


def _notes(x: Any, reading: Reading, where: str) -> tuple[str, ...]:
    if reading.kind != "image" or x.dtype == np.uint8:
        return ()
    if reading.factor != 1.0:
        return (f"{where}: values from 0 to 1 are read as pixels and brought to 0 to 255",)
    return (f"{where}: values of type {x.dtype} are read as pixels from 0 to 255",)


def _pair(arrays: Mapping[str, Any], suffixes: tuple[str, ...], where: str) -> Any:
    x, y = first_of(arrays, _INPUTS, suffixes), first_of(arrays, _TARGETS, suffixes)
    if x is None:
        return None
    if y is None:
        wanted = f"y_{suffixes[0]}" if suffixes else "y"
        raise DataError(f"{where} has no targets; name them {wanted}; {_shown(arrays)}")
    return arrays[x], arrays[y]


def _shown(arrays: Mapping[str, Any]) -> str:
    return "there are: " + (", ".join(map(str, arrays)) or "none")


def first_of(
    known: Iterable[str], words: tuple[str, ...], suffixes: tuple[str, ...] = ()
) -> str | None:
    """The first name made of one of the words, with one of the suffixes where there are any.

    >>> first_of(["a", "test_images"], ("x", "images"), ("test",))
    'test_images'
    """
    known = set(known)
    wanted = [f"{word}_{end}" for end in suffixes for word in words]
    wanted += [f"{end}_{word}" for end in suffixes for word in words]
    return next((name for name in (wanted if suffixes else words) if name in known), None)


def inputs_of(arrays: Mapping[str, Any], where: str) -> Examples:
    """Examples to predict: the test part where there is one, else what is simply named x.

    Raises:
        DataError: There are no inputs.
    """
    for suffixes in (("test",), (), ("train",)):
        name = first_of(arrays, _INPUTS, suffixes)
        if name is not None:
            x, label = arrays[name], first_of(arrays, _TARGETS, suffixes)
            inputs = as_inputs(x, reading_of(x)) if isinstance(x, np.ndarray) else x
            examples = Examples(inputs=inputs, targets=None)
            if label is None:
                return examples
            return replace(examples, targets=as_labels(arrays[label], len(examples), where))
    raise DataError(f"{where} has no inputs; name them x; {_shown(arrays)}")
