"""Texts that are in memory already."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from paceline.core.errors import DataError
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.fingerprint import fingerprint
from paceline.data.base.named_arrays import as_labels

_WHERE = "the list of texts"


@final
class Texts(Source):
    """A list of texts to predict, or of records with a text and a label to learn from.

    >>> Texts.recognises(["a good film"]), Texts.recognises([{"text": "a good film", "label": 1}])
    (True, True)
    >>> Texts.recognises("a good film"), Texts.recognises([["a", "film"]])
    (False, False)
    """

    promise = "a Python list of texts, or of {'text': …, 'label': …}"

    @staticmethod
    def recognises(place: Any) -> bool:
        if not isinstance(place, list) or not place:
            return False
        return isinstance(place[0], str) or _is_record(place[0])

    def read(self, place: Any, opening: Opening) -> Corpus:
        examples = _examples(place)
        if examples.targets is None:
            raise DataError(f"{_WHERE} has no labels to learn; give {{'text': …, 'label': …}}")
        return Corpus(
            name="texts",
            kind="text",
            train=examples,
            fingerprint=fingerprint("texts", examples.inputs, examples.targets),
            facts={"examples": len(examples)},
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        return _examples(place)


def _is_record(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("text"), str)


def _examples(place: list[Any]) -> Examples:
    """Texts, and labels where every entry has one."""
    records = _is_record(place[0])
    for at, entry in enumerate(place):
        if not (_is_record(entry) if records else isinstance(entry, str)):
            wanted = "a record with a text" if records else "a text"
            raise DataError(
                f"{_WHERE}: entry {at + 1} is a {type(entry).__name__}, where {wanted} is"
                " needed as before"
            )
    texts = [entry["text"] if records else entry for entry in place]
    inputs = np.array([*texts, None], dtype=object)[:-1]
    labelled = [records and "label" in entry for entry in place]
    if not any(labelled):
        return Examples(inputs=inputs, targets=None)
    if not all(labelled):
        raise DataError(f"{_WHERE}: entry {labelled.index(False) + 1} has no label; others have")
    labels = np.array([*(entry["label"] for entry in place), None], dtype=object)[:-1]
    return Examples(inputs=inputs, targets=as_labels(labels, len(texts), _WHERE))
