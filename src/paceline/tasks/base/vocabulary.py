"""Tokens of a text: its characters, or pieces of words that were learnt from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np

from paceline.core.errors import DataError, SettingError
from paceline.core.extras import need

Ids = np.ndarray[Any, np.dtype[np.int64]]
PADDING, UNKNOWN = 0, 1
FEW_CHARACTERS = 256
PIECES = 4096
_SPECIAL = ("<padding>", "<unknown>")
_PURPOSE = "pieces of words as tokens"


@final
class Vocabulary:
    """Numbers for the tokens of a text: 0 is padding, 1 a token that was never seen.

    Args:
        characters: In the order of their numbers; with ``pieces`` they are not used.
        pieces: A byte-level BPE (Sennrich et al. 2016) as the JSON of ``tokenizers``.

    >>> vocabulary = Vocabulary("abc")
    >>> vocabulary.encode("cab?").tolist(), vocabulary.decode([4, 2, 3])
    ([4, 2, 3, 1], 'cab')
    """

    def __init__(self, characters: str = "", *, pieces: str = "") -> None:
        self.characters, self._pieces = characters, pieces
        self._points = _points(characters)
        self._order = np.argsort(self._points, kind="stable")
        self._tokenizer = _tokenizers().Tokenizer.from_str(pieces) if pieces else None

    @classmethod
    def learn(cls, text: str, *, tokens: str | None = None, size: int | None = None) -> Vocabulary:
        """The characters of a text, or its most frequent pieces.

        Args:
            text: To learn from.
            tokens: ``characters`` or ``bpe``; left out, characters where there are few.
            size: How many pieces, at least 300.

        Raises:
            SettingError: ``tokens`` is something else, or ``size`` too small or of no use.
        """
        if tokens not in (None, "characters", "bpe"):
            raise SettingError(f"tokens must be characters or bpe, got {tokens!r}")
        if size is not None and size < 300:
            raise SettingError(f"vocabulary must be at least 300, got {size}")
        distinct = sorted(set(text))
        if tokens == "characters" and size is not None:
            raise SettingError(
                "vocabulary goes with tokens=bpe; characters are as many as there are"
            )
        few = size is None and len(distinct) <= FEW_CHARACTERS
        if tokens == "characters" or (tokens is None and few):
            return cls("".join(distinct))
        return cls(pieces=_learn_pieces(text, size or PIECES))

    def __len__(self) -> int:
        return (
            2 + len(self.characters)
            if self._tokenizer is None
            else int(self._tokenizer.get_vocab_size())
        )

    @property
    def words(self) -> str:
        """What its tokens are, for a person."""
        if self._tokenizer is None:
            return f"{len(self.characters)} characters"
        return f"{len(self) - 2} pieces of words (BPE)"

    @property
    def by_characters(self) -> bool:
        """Whether each token is a character."""
        return self._tokenizer is None

    def encode(self, text: str) -> Ids:
        """The numbers of a text's tokens."""
        if self._tokenizer is not None:
            return np.array(self._tokenizer.encode(text).ids, dtype=np.int64)
        points = _points(text)
        if not self.characters:
            return np.full(len(points), UNKNOWN, dtype=np.int64)
        sorted_points = self._points[self._order]
        at = np.searchsorted(sorted_points, points).clip(max=len(sorted_points) - 1)
        return np.where(sorted_points[at] == points, self._order[at] + 2, UNKNOWN).astype(np.int64)

    def encode_all(self, texts: Iterable[str]) -> list[Ids]:
        """The numbers of each text's tokens."""
        if self._tokenizer is None:
            return [self.encode(text) for text in texts]
        found = self._tokenizer.encode_batch(list(texts))
        return [np.array(each.ids, dtype=np.int64) for each in found]

    def word_starts(self, text: str) -> tuple[Ids, Ids]:
        """Where words begin, and where each of its tokens begins in the text.

        Returns:
            Numbers of the tokens that begin a word, and for every token its first character.
        """
        if self._tokenizer is None:
            everywhere = np.arange(len(text))
            return everywhere, everywhere
        found = self._tokenizer.encode(text)
        of = np.array([-1 if word is None else word for word in found.word_ids], dtype=np.int64)
        begins = np.flatnonzero(np.diff(of, prepend=-2) != 0)
        return begins, np.array([start for start, _ in found.offsets], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some tokens; padding is nothing."""
        if self._tokenizer is not None:
            kept = [int(each) for each in ids if each > UNKNOWN]
            return str(self._tokenizer.decode(kept))
        known = ["", "\N{REPLACEMENT CHARACTER}", *self.characters]
        return "".join(known[int(each)] for each in ids)

    def pieces(self) -> list[str]:
        """Each token's own text."""
        return [self.decode([each]) for each in range(len(self))]

    def lengths(self) -> Ids:
        """How many characters each token stands for; int64 [tokens]."""
        if self._tokenizer is None:
            return np.array([0] + [1] * (len(self) - 1))
        byte_of = {letter: byte for byte, letter in _letters().items()}
        names = [self._tokenizer.id_to_token(each) for each in range(len(self))]
        begins = [sum(byte_of.get(letter, 0) & 0xC0 != 0x80 for letter in name) for name in names]
        return np.array([0, 1, *begins[2:]])

    def unseen(self, text: str) -> list[str]:
        """The characters of a text that it has no token for, each once."""
        if self._tokenizer is not None:
            return []
        return sorted(set(text) - set(self.characters))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"characters": self.characters, "pieces": json.loads(self._pieces or "null")}

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Vocabulary:
        """Back from what ``to_json`` gave."""
        pieces = state["pieces"]
        return Vocabulary(state["characters"], pieces="" if pieces is None else json.dumps(pieces))


def refuse_other_than_texts(texts: Any) -> None:
    """Stops where inputs are no texts.

    Raises:
        DataError: They are an array of something else.
    """
    objects = isinstance(texts, np.ndarray) and texts.dtype.kind == "O"
    if not objects or not all(isinstance(each, str) for each in texts):
        kind = getattr(texts, "dtype", type(texts).__name__)
        raise DataError(f"texts are needed, got an array of {kind}")


def _points(text: str) -> Ids:
    coded = text.encode("utf-32-le", errors="surrogatepass")
    return np.frombuffer(coded, dtype="<u4").astype(np.int64)


def _tokenizers() -> Any:
    return need("tokenizers", extra="text", purpose=_PURPOSE)


def _learn_pieces(text: str, size: int) -> str:
    made = _tokenizers()
    level = made.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = made.Tokenizer(made.models.BPE())
    tokenizer.pre_tokenizer = level
    tokenizer.decoder = made.decoders.ByteLevel()
    trainer = made.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(level.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return str(tokenizer.to_str())


def _letters() -> dict[int, str]:
    """The letter that stands for each byte in byte-level BPE (as in GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    return letters | {byte: chr(256 + at) for at, byte in enumerate(rest)}
