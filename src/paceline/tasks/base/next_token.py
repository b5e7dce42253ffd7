"""The next token of a text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.tasks.base.goal import Goal, Labels
from paceline.tasks.base.vocabulary import PADDING, Vocabulary, refuse_other_than_texts

NOTHING = -100


@final
class NextToken(Goal):
    """The token that comes next, at each place of a window; cross-entropy in nats a token.

    Args:
        context: Tokens in a window, at least 2.
        tokens: ``characters`` or ``bpe``; left out, characters where there are few.
        size: How many pieces of words, with ``bpe``.
        stride: Tokens from the beginning of a training window to that of the next; left out,
            half a window, and a whole one in a long text.
        vocabulary: What was learnt; None before.

    >>> goal = NextToken(context=4, vocabulary=Vocabulary("ab"))
    >>> inputs, targets = goal.windows(np.array(["abab"], dtype=object))
    >>> inputs.tolist(), targets.tolist()
    ([[2, 3, 2, 0]], [[3, 2, 3, -100]])
    """

    name = "language"
    primary = "cross_entropy"
    higher_is_better = False

    def __init__(
        self,
        *,
        context: int = 128,
        tokens: str | None = None,
        size: int | None = None,
        stride: int | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        for name, value, least in (("context", context, 2), ("stride", stride, 1)):
            wrong = not isinstance(value, int) or isinstance(value, bool) or value < least
            if value is not None and wrong:
                raise SettingError(f"{name} must be a whole number, at least {least}, got {value}")
        self.context, self.stride = context, stride
        self._tokens, self._size = tokens, size
        self.text = ""
        if vocabulary is not None:
            self._take(vocabulary)

    def learn(self, text: str) -> None:
        """Learns the vocabulary from the training text, unless it has one."""
        if not hasattr(self, "vocabulary"):
            self.text = text
            self._take(Vocabulary.learn(text, tokens=self._tokens, size=self._size))

    def _take(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.outputs = vocabulary, len(vocabulary)
        self._lengths = torch.from_numpy(vocabulary.lengths())

    def windows(self, texts: Labels) -> tuple[Tensor, Tensor]:
        """Windows that cover some texts, and the tokens that come next.

        A text of up to ``context`` + 1 tokens is one window, a longer one several, in which
        each of its tokens is to be foretold once.

        Returns:
            int64 [windows, context] with 0 where a text is over, and the same with -100.
        """
        refuse_other_than_texts(texts)
        pieces = [
            piece for ids in self.vocabulary.encode_all(texts.tolist()) for piece in self._cut(ids)
        ]
        inputs = np.full((len(pieces), self.context), PADDING, dtype=np.int64)
        targets = np.full((len(pieces), self.context), NOTHING, dtype=np.int64)
        for row, piece in enumerate(pieces):
            inputs[row, : len(piece) - 1] = piece[:-1]
            targets[row, : len(piece) - 1] = piece[1:]
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def _cut(self, ids: Any) -> Iterator[Any]:
        if len(ids) < 2:
            yield np.array([PADDING])
        for start in range(0, len(ids) - 1, self.context):
            yield ids[start : start + self.context + 1]

    def endings(self, texts: Labels) -> Tensor:
        """The last tokens of each text, int64 [n, context]; 0 behind those of a short one."""
        refuse_other_than_texts(texts)
        inputs = np.full((len(texts), self.context), PADDING, dtype=np.int64)
        for row, ids in enumerate(self.vocabulary.encode_all(texts.tolist())):
            last = ids[-self.context :]
            inputs[row, : len(last)] = last
        return torch.from_numpy(inputs)

    def encode(self, targets: Labels) -> Tensor:
        return self.windows(targets)[1]

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(
            output.flatten(0, 1), target.reshape(-1), ignore_index=NOTHING
        )

    def judged(self, output: Any, target: Tensor) -> Tensor:
        """The loss at each place in nats, float32 [n, length]; 0 where nothing counts."""
        return functional.cross_entropy(
            output.float().transpose(1, 2), target, ignore_index=NOTHING, reduction="none"
        )

    def answer(self, output: Tensor) -> Tensor:
        """Probabilities [n, tokens] of what comes after each text."""
        return output[:, -1].double().softmax(-1)

    def metrics(self, answer: Tensor, target: Tensor) -> dict[str, float]:
        counts = target != NOTHING
        nats = answer.double()[counts].sum().item()
        characters = int(self._lengths[target[counts]].sum())
        each = nats / max(int(counts.sum()), 1)
        return {
            "cross_entropy": each,
            "bits_per_character": nats / math.log(2) / max(characters, 1),
            "perplexity": math.exp(min(each, 700.0)),
            "loss": each,
        }

    def says(self, answer: Tensor) -> dict[str, list[Any]]:
        return {
            "prediction": self.decode(answer).tolist(),
            "probability": answer.amax(-1).double().tolist(),
        }

    def decode(self, answer: Tensor) -> Labels:
        """The likeliest next token of each text."""
        likely = [self.vocabulary.decode([each]) for each in answer.argmax(-1).tolist()]
        return np.array([*likely, None], dtype=object)[:-1]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "context": self.context,
            "vocabulary": self.vocabulary.to_json(),
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> NextToken:
        """Back from what ``to_json`` gave."""
        vocabulary = Vocabulary.from_json(state["vocabulary"])
        return NextToken(context=state["context"], vocabulary=vocabulary)
