"""Texts as numbers: a trained subword tokenizer, or that of a network that was trained before."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, final

import numpy as np

from paceline.core.extras import need

Array = np.ndarray[Any, Any]
PAD, UNKNOWN, START = "<pad>", "<unk>", "<s>"
_WORD, _BYTE_WORD, _INSIDE = "▁", "Ġ", "##"
_ALPHABET = 1_000
_TOGETHER = 4_096


def tokenizers() -> Any:
    """The package ``tokenizers``, without threads of its own, which do not survive a fork."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return need("tokenizers", extra="text", purpose="cutting texts into tokens")


@final
@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A tokenizer with the longest text that it gives.

    Attributes:
        text: The tokenizer as the JSON of the package ``tokenizers``.
        length: Tokens of a text at most, the special ones included; longer ones are cut.
        padding: The tokenizer's own number for padding. It changes places with 0 in what
            ``encode`` gives, so that 0 is padding everywhere.

    >>> tokens = Tokens.learn(["good film", "bad film", "good good"], size=50, length=8)
    >>> tokens.encode(["good film"]).tolist(), tokens.lengths(["good film"]).tolist()
    ([[2, 16, 20, 0, 0, 0, 0, 0]], [3])
    """

    text: str
    length: int
    padding: int = 0

    @classmethod
    def learn(cls, texts: Sequence[str], *, size: int, length: int) -> Self:
        """Byte-pair encoding of words in lower case (Sennrich et al. 2016).

        Args:
            texts: To learn from.
            size: Of the vocabulary at most.
            length: Tokens of a text at most.
        """
        package = tokenizers()
        made = package.Tokenizer(package.models.BPE(unk_token=UNKNOWN))
        made.normalizer = package.normalizers.Sequence(
            [package.normalizers.NFKC(), package.normalizers.Lowercase()]
        )
        made.pre_tokenizer = package.pre_tokenizers.Sequence(
            [
                package.pre_tokenizers.WhitespaceSplit(),
                package.pre_tokenizers.Punctuation(),
                package.pre_tokenizers.Metaspace(prepend_scheme="always"),
            ]
        )
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=[PAD, UNKNOWN, START],
            limit_alphabet=_ALPHABET,
            show_progress=False,
        )
        made.train_from_iterator(texts, trainer)
        made.post_processor = package.processors.TemplateProcessing(
            single=f"{START} $A", special_tokens=[(START, made.token_to_id(START))]
        )
        return cls(text=made.to_str(), length=length)

    @cached_property
    def tokenizer(self) -> Any:
        """The package's own object; it neither cuts nor pads."""
        made = tokenizers().Tokenizer.from_str(self.text)
        made.no_truncation()
        made.no_padding()
        return made

    @cached_property
    def _cutting(self) -> Any:
        made = tokenizers().Tokenizer.from_str(self.text)
        made.enable_truncation(self.length)
        made.no_padding()
        return made

    @property
    def size(self) -> int:
        """How many tokens there are."""
        highest: int = max(self.tokenizer.get_vocab().values())
        return highest + 1

    def encode(self, texts: Sequence[str]) -> Array:
        """Tokens of texts, int64 [n, length], 0 behind the last."""
        rows = np.full((len(texts), self.length), self.padding, dtype=np.int64)
        for start in range(0, len(texts), _TOGETHER):
            found = self._cutting.encode_batch(list(texts[start : start + _TOGETHER]))
            for row, each in enumerate(found, start):
                ids = each.ids[: self.length]
                rows[row, : len(ids)] = ids
        return self._swapped(rows)

    def lengths(self, texts: Sequence[str]) -> Array:
        """Tokens of each text before it is cut, int64 [n]."""
        counts = [
            len(each.ids)
            for start in range(0, len(texts), _TOGETHER)
            for each in self.tokenizer.encode_batch(list(texts[start : start + _TOGETHER]))
        ]
        return np.array(counts, dtype=np.int64)

    def to_length(self, length: int) -> Self:
        """The same with another length."""
        return type(self)(text=self.text, length=length, padding=self.padding)

    @cached_property
    def begins(self) -> Array:
        """Which tokens begin a word: bool [size]; by the mark that the tokenizer uses."""
        words = [""] * self.size
        for word, number in self.tokenizer.get_vocab().items():
            words[number] = word
        if any(word.startswith(_INSIDE) for word in words):
            found = [not word.startswith(_INSIDE) for word in words]
        elif any(word.startswith((_WORD, _BYTE_WORD)) for word in words):
            found = [word.startswith((_WORD, _BYTE_WORD)) for word in words]
        else:
            found = [True] * len(words)
        return self._swapped_rows(np.array(found))

    @cached_property
    def special(self) -> Array:
        """Which tokens stand for no part of a text: bool [size]."""
        found = np.zeros(self.size, dtype=bool)
        for number, added in self.tokenizer.get_added_tokens_decoder().items():
            found[number] = added.special
        found[self.padding] = True
        return self._swapped_rows(found)

    @cached_property
    def unknown(self) -> int:
        """The number that stands for what is hidden: the mask where there is one."""
        for name in ("[MASK]", "<mask>", UNKNOWN, "[UNK]"):
            number = self.tokenizer.token_to_id(name)
            if number is not None:
                return int(self._swapped(np.array([number]))[0])
        return 0

    def _swapped(self, rows: Array) -> Array:
        if self.padding == 0:
            return rows
        found: Array = np.where(rows == self.padding, 0, np.where(rows == 0, self.padding, rows))
        return found

    def _swapped_rows(self, table: Array) -> Array:
        table[[0, self.padding]] = table[[self.padding, 0]]
        return table

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"text": self.text, "length": self.length, "padding": self.padding}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Back from what ``to_json`` gave."""
        return cls(**state)


def without_words(
    rows: Any, begins: Any, special: Any, unknown: int, share: float, generator: Any
) -> Any:
    """Hides whole words at random.

    Args:
        rows: Tokens, int64 [n, length], 0 is padding.
        begins: Which tokens begin a word, bool [size].
        special: Which are never hidden, bool [size].
        unknown: Stands where a token was.
        share: Of the words, 0 to under 1.
        generator: Chance comes from it alone.
    """
    import torch

    word = begins[rows].long().cumsum(1)
    drawn = torch.rand(rows.shape, generator=generator, device=rows.device)
    hidden = drawn.gather(1, word.clamp_max(rows.shape[1] - 1)) < share
    return torch.where(hidden & ~special[rows], unknown, rows)
