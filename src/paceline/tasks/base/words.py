"""Words as numbers: a vocabulary, characters, and the shape of a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

PADDING, UNKNOWN = 0, 1
_RESERVED = 2
_DIGIT = re.compile(r"\d")
_SPLIT = re.compile(r"\w+|[^\w\s]")
_SPLIT_HYPHENED = re.compile(r"\w+(?:[-'’.]\w+)*|[^\w\s]")
_INNER_HYPHEN = re.compile(r"\w-\w")
SHAPES = ("", "lower", "First", "UPPER", "miXed", "digits", "digits and letters", "signs", "U")
_LEAST_USES_OF_A_CHARACTER = 2
Rows = np.ndarray[Any, Any]


def plain(word: str) -> str:
    """A word in lower case, every digit a 0.

    >>> plain("B-27")
    'b-00'
    """
    return _DIGIT.sub("0", word.lower())


def shape(word: str) -> int:
    """Which of ``SHAPES`` a word is of, from 1.

    >>> [SHAPES[shape(word)] for word in ("of", "Ada", "BRCA", "pH", "1815", "p53", "(")]
    ['lower', 'First', 'UPPER', 'miXed', 'digits', 'digits and letters', 'signs']
    """
    letters = [each for each in word if each.isalpha()]
    digits = any(each.isdigit() for each in word)
    if digits:
        return 6 if letters else 5
    if not letters:
        return 7
    if word.islower():
        return 1
    if word.isupper():
        return 8 if len(letters) == 1 else 3
    return 2 if word[0].isupper() and word[1:].islower() else 4


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """How words become numbers, as it was learnt from the training sentences.

    Attributes:
        words: Those that have a number of their own, from 2, the most frequent first; 0 is
            no word and 1 an unknown one.
        singles: From which number on words were seen once only.
        characters: Likewise, from 2.
        most_characters: Of a word that are looked at; of longer ones the middle is left out.
        hyphened: Whether hyphens and points within a word do not cut it, where text is cut.
    """

    words: tuple[str, ...]
    singles: int
    characters: str
    most_characters: int
    hyphened: bool
    _number: dict[str, int] = field(init=False, repr=False, compare=False)
    _letter: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = {word: at for at, word in enumerate(self.words, _RESERVED)}
        letters = {letter: at for at, letter in enumerate(self.characters, _RESERVED)}
        object.__setattr__(self, "_number", numbers)
        object.__setattr__(self, "_letter", letters)

    @staticmethod
    def learn(sentences: Iterable[Sequence[str]], *, most_characters: int) -> Words:
        """From the training sentences."""
        words = [word for sentence in sentences for word in sentence]
        counts = Counter(plain(word) for word in words)
        # By number, then by name, so that the order does not hang on that of the sentences.
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        letters = Counter(letter for word in words for letter in word)
        kept = sorted(
            each for each, count in letters.items() if count >= _LEAST_USES_OF_A_CHARACTER
        )
        inner = sum(bool(_INNER_HYPHEN.search(word)) for word in words)
        return Words(
            words=tuple(ordered),
            singles=_RESERVED + sum(count > 1 for count in counts.values()),
            characters="".join(kept),
            most_characters=min(most_characters, max(map(len, words), default=1) or 1),
            hyphened=inner >= sum(word == "-" for word in words),
        )

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many numbers words, characters and shapes have, 0 and 1 counted."""
        return len(self.words) + _RESERVED, len(self.characters) + _RESERVED, len(SHAPES)

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> tuple[Rows, Rows, Rows]:
        """Words int64 [n, length], characters int16 [n, length, most_characters], shapes int64.

        Args:
            sentences: None longer than ``length``.
            length: Of the rows.
        """
        rows, most = len(sentences), self.most_characters
        words = np.zeros((rows, length), np.int64)
        letters = np.zeros((rows, length, most), np.int16)
        shapes = np.zeros((rows, length), np.int64)
        known: dict[str, tuple[int, Rows, int]] = {}
        for row, sentence in enumerate(sentences):
            for at, word in enumerate(sentence):
                if word not in known:
                    known[word] = self._one(word)
                words[row, at], letters[row, at], shapes[row, at] = known[word]
        return words, letters, shapes

    def _one(self, word: str) -> tuple[int, Rows, int]:
        most = self.most_characters
        cut = word if len(word) <= most else word[: most - most // 2] + word[-(most // 2) :]
        letters = np.zeros(most, np.int16)
        letters[: min(len(cut), most)] = [self._letter.get(each, UNKNOWN) for each in cut[:most]]
        return self._number.get(plain(word), UNKNOWN), letters, shape(word)

    def cut(self, text: str) -> list[str]:
        """The words of a text, signs apart.

        >>> Words.learn([["well-known"]], most_characters=9).cut("A well-known man.")
        ['A', 'well-known', 'man', '.']
        """
        return (_SPLIT_HYPHENED if self.hyphened else _SPLIT).findall(text)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "words": list(self.words),
            "singles": self.singles,
            "characters": self.characters,
            "most_characters": self.most_characters,
            "hyphened": self.hyphened,
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Words:
        """Back from what ``to_json`` gave."""
        return Words(**{**state, "words": tuple(state["words"])})
