"""Words cut into the tokens of a network that was trained before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np

from paceline.tasks.base.tokens import Tokens, tokenizers

Rows = np.ndarray[Any, Any]


@final
class Subwords:
    """Finds the tokens of each sentence and where each word begins among them.

    Args:
        tokens: The network's tokenizer; its ``length`` is the most it has room for.
        most: Tokens that rows have at least.
    """

    def __init__(self, tokens: Tokens, most: int = 1) -> None:
        self.tokens, self.most = tokens, most

    @cached_property
    def _tokenizer(self) -> Any:
        made = tokenizers().Tokenizer.from_str(self.tokens.text)
        made.enable_truncation(self.tokens.length)
        made.no_padding()
        return made

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return self.tokens.size

    def encode(self, sentences: Sequence[Sequence[str]], length: int) -> tuple[Rows, Rows, int]:
        """Tokens int64 [n, pieces], first tokens int64 [n, length], and how many were cut.

        Padding is 0; a word without a token, or behind the last there is room for, has 0.

        Args:
            sentences: Lists of words.
            length: Of the second array's rows.
        """
        found = self._tokenizer.encode_batch(
            [list(each) for each in sentences], is_pretokenized=True
        )
        pieces = max([self.most, *(len(each.ids) for each in found)])
        rows = np.full((len(found), pieces), self.tokens.padding, dtype=np.int64)
        firsts = np.zeros((len(found), length), dtype=np.int64)
        for row, each in enumerate(found):
            rows[row, : len(each.ids)] = each.ids
            for at, word in reversed(list(enumerate(each.word_ids))):
                if word is not None:
                    firsts[row, word] = at
        cut = sum(bool(each.overflowing) for each in found)
        return self._swapped(rows), firsts, cut

    def _swapped(self, rows: Rows) -> Rows:
        """0 is padding everywhere, and the network's own number for it changes places with 0."""
        padding = self.tokens.padding
        if padding == 0:
            return rows
        return np.where(rows == padding, 0, np.where(rows == 0, padding, rows))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"tokens": self.tokens.to_json(), "most": self.most}

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> Subwords:
        """Back from what ``to_json`` gave."""
        return Subwords(Tokens.from_json(state["tokens"]), state["most"])
