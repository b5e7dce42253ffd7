"""Arrays and tensors that are in memory already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.named_arrays import corpus_of, inputs_of

_WHERE = "the arrays"


@final
class Arrays(Source):
    """``(x, y)``, or a mapping with ``x_train``, ``y_train``, ``x_test`` and so on.

    ``x`` is a NumPy array, a torch tensor, a pandas table, or a tuple of arrays for a model
    with several inputs. To be predicted, ``x`` stands alone.

    >>> Arrays.recognises((np.zeros((3, 2)), np.zeros(3))), Arrays.recognises("digits")
    (True, False)
    """

    promise = "Python arrays (x, y) or a mapping with x and y"

    @staticmethod
    def recognises(place: Any) -> bool:
        if isinstance(place, tuple):
            return len(place) == 2
        return isinstance(place, (Mapping, np.ndarray)) or _is_tensor(place)

    def read(self, place: Any, opening: Opening) -> Corpus:
        if isinstance(place, tuple) and len(place) == 2:
            place = {"x": place[0], "y": place[1]}
        if not isinstance(place, Mapping):
            raise DataError("inputs alone cannot be learnt from; give (x, y)")
        return corpus_of(_plain(place), name="arrays", where=_WHERE, facts={})

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        given = place if isinstance(place, Mapping) else {"x": place}
        return inputs_of(_plain(given), _WHERE)


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.startswith("torch") and hasattr(value, "detach")


def _is_table(value: Any) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "columns")


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(name): _one(name, value)
        for name, value in given.items()
        if not (value is None or np.isscalar(value))
    }


def _one(name: str, value: Any) -> Any:
    if _is_table(value):
        table = value.reset_index(drop=True)
        return table.set_axis([str(column) for column in table.columns], axis=1)
    if isinstance(value, tuple):
        return tuple(_one(name, part) for part in value)
    if _is_tensor(value):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"{_WHERE}: {name} is ragged; its rows must be of one length") from None
    return _checked(name, array)


def _checked(name: str, array: Any) -> Any:
    if array.ndim == 0:
        raise DataError(f"{_WHERE}: {name} is a single value; its first axis must be the example")
    if array.dtype.kind == "O" and array.ndim > 1:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"{_WHERE}: {name} mixes numbers with other things; give a pandas table"
            ) from None
    if array.dtype.kind not in "biufUSO":
        raise DataError(f"{_WHERE}: {name} is of type {array.dtype}; numbers are needed")
    return array
