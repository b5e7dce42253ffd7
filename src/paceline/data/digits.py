"""Scikit-learn's handwritten digits, which come with it: 1797 images of 8 by 8 pixels."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from paceline.core.extras import need
from paceline.data.base import Corpus, Examples, Opening, Source
from paceline.data.base.fingerprint import fingerprint

# Pixels count up to 16 dark points; 16 times 15 stays within a byte.
_SCALE = 15


@final
class Digits(Source):
    """The word ``digits``; needs no file and no network.

    >>> Digits.recognises("digits"), Digits.recognises("digit")
    (True, False)

    Reference:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository,
        1998; its test part.
    """

    promise = "the word digits (handwritten digits that come with scikit-learn)"

    @staticmethod
    def recognises(place: Any) -> bool:
        return isinstance(place, str) and place == "digits"

    def read(self, place: Any, opening: Opening) -> Corpus:
        examples = self.read_inputs(place, opening)
        return Corpus(
            name="digits",
            kind="image",
            train=examples,
            fingerprint=fingerprint("digits", examples.inputs, examples.targets),
            facts={"shape": [1, 8, 8], "examples": len(examples)},
        )

    def read_inputs(self, place: Any, opening: Opening) -> Examples:
        datasets = need("sklearn.datasets", extra="sklearn", purpose="reading digits")
        pixels, labels = datasets.load_digits(return_X_y=True)
        images = np.rint(pixels * _SCALE).astype(np.uint8).reshape(-1, 1, 8, 8)
        return Examples(inputs=images, targets=labels.astype(np.int64))
