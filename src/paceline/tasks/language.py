"""Language: the next token of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.clock import WallClock
from paceline.core.errors import DataError, SettingError
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, Parts
from paceline.tasks.base import Encoded, Goal, Judged, Task
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.next_token import NOTHING, NextToken
from paceline.tasks.base.ngrams import NGrams

_LONG = 4_000_000
_SAMPLED, _TEXTS = 160, 3
_TEMPERATURE = 0.8
_SHOWN, _SHORTEST, _HARDEST = 100, 20, 8
_LINES_FROM = 400_000
_NGRAMS = {"unigram": 1, "bigram": 2, "trigram": 3, "5-gram": 5}
_COUNTED = 20_000_000


@final
class Language(Task):
    """Texts as windows of tokens, in each of which every token foretells the next.

    The text is divided where it stands: the beginning is learnt from, the end is the test
    part, what comes before it the validation part. Its settings ``context`` (tokens in a
    window), ``tokens`` (``characters`` or ``bpe``), ``vocabulary`` (number of pieces) and
    ``stride`` (from one training window to the next) belong to its goal, ``NextToken``.

    Args:
        goal: With the vocabulary.
    """

    kinds: ClassVar[tuple[str, ...]] = ("language",)
    default_model: ClassVar[str] = "gpt"

    def __init__(self, goal: NextToken) -> None:
        self.goal: NextToken = goal

    @classmethod
    def find_goal(cls, corpus: Corpus, wanted: str | None, settings: dict[str, Any]) -> Goal:
        if wanted is not None:
            raise SettingError(f"language has no goal but the next token, not {wanted}")
        given = {
            name: settings.pop(name) for name in ("context", "tokens", "stride") if name in settings
        }
        return NextToken(**given, size=settings.pop("vocabulary", None))

    @classmethod
    def divide(
        cls, corpus: Corpus, goal: Goal, *, seed: int, validation: float, test: float
    ) -> Parts:
        assert isinstance(goal, NextToken)
        texts, notes = _divided(corpus, validation, test)
        if len(texts["train"]) <= 2 * goal.context:
            raise DataError(
                f"{corpus.name} has {len(texts['train'])} characters to learn from, but at least"
                f" two windows of {goal.context} are needed; take more text or a smaller"
                " --set task.context"
            )
        goal.learn(texts["train"])
        stride = goal.stride or max(1, goal.context // (2 if len(texts["train"]) < _LONG else 1))
        made = {
            name: _examples(goal, text, None) for name, text in texts.items() if name != "train"
        }
        strange = {name: goal.vocabulary.unseen(text) for name, text in texts.items()}
        notes += [
            f"the {name} part has characters that are not in the training part:"
            f" {' '.join(map(repr, found[:10]))}; they count as one unknown character"
            for name, found in strange.items()
            if found
        ]
        return Parts(train=_examples(goal, texts["train"], stride), **made, notes=tuple(notes))

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        words = ("to be", "or not", "to think,", "that is", "a question\n")
        random = np.random.default_rng(0)
        texts = [" ".join(random.choice(words, size=int(5 + row % 3))) for row in range(12)]
        made = np.array([*texts, f"held {held_out}" * 9, f"out {held_out}" * 9], dtype=object)
        everything = Examples(inputs=made, targets=made)
        rest = everything.take(np.arange(12, 14))
        train = everything.take(np.arange(12))
        yield (
            Corpus(
                name="synthetic",
                kind="language",
                train=everything,
                validation=rest,
                test=rest,
                fingerprint="0",
                facts={},
            ),
            train,
        )

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Language:
        assert isinstance(goal, NextToken)
        goal.learn("\n".join(train.inputs.tolist()))
        return cls(goal)

    def encode(self, examples: Examples) -> Encoded:
        if examples.targets is None:
            return Encoded(inputs=(self.goal.endings(examples.inputs),), targets=None)
        inputs, targets = self.goal.windows(examples.inputs)
        if examples.targets is not examples.inputs:
            targets = self.goal.encode(examples.targets)
        return Encoded(inputs=(inputs,), targets=targets)

    def signature(self) -> Signature:
        tokens = Field(
            name="tokens",
            shape=(self.goal.context,),
            dtype="int64",
            cardinalities=(self.goal.outputs,),
        )
        return Signature(kind="language", inputs=(tokens,), outputs=self.goal.outputs)

    def baselines(
        self, parts: Parts, *, seed: int, progress: Progress, effort: float = 1.0
    ) -> dict[str, Baseline]:
        inputs, target = self.goal.windows(parts.test.inputs)
        rows = torch.cat([inputs[:, :1], target.clamp_min(0)], 1).numpy()
        text = self.goal.text or "\n".join(parts.train.inputs.tolist())
        most = int(_COUNTED * effort)
        note = f"counted in the first {most} of {len(text)} characters" if len(text) > most else ""
        tokens = self.goal.vocabulary.encode(text[:most])
        clock, measured = WallClock(), {}
        for done, (name, order) in enumerate(_NGRAMS.items()):
            progress.advance("baselines", done / len(_NGRAMS), name)
            began = clock.now()
            counted = NGrams(tokens, vocabulary=self.goal.outputs, order=order)
            nats = torch.from_numpy(counted.nats(rows)[:, 1:]) * (target != NOTHING)
            measured[name] = Baseline(
                metrics=self.goal.metrics(nats, target), seconds=clock.now() - began, note=note
            )
        progress.advance("baselines", 1.0)
        return measured

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        found = (self._written(judged), self._hardest(judged))
        return {}, tuple(each for each in found if each.rows)

    def _written(self, judged: Judged) -> Finding:
        """Goes on from the beginnings of some test windows."""
        chosen = np.linspace(0, len(judged.examples) - 1, _TEXTS).astype(int)
        begun = [str(text)[:_SHOWN] for text in judged.examples.inputs[chosen].tolist()]

        def ask(texts: list[str]) -> Tensor:
            made = np.array([*texts, None], dtype=object)[:-1]
            return judged.ask(Examples(inputs=made, targets=None))

        chance = torch.Generator().manual_seed(0)
        written = write_on(ask, self.goal, begun, count=_SAMPLED, chance=chance)
        return Finding(
            title="What it writes",
            columns=("after", "it goes on"),
            rows=tuple(zip(begun, written, strict=True)),
            note=f"Drawn from its probabilities at the temperature {_TEMPERATURE}.",
        )

    def _hardest(self, judged: Judged) -> Finding:
        """The lines of the test part that cost most by the token."""
        pieces = self.goal.vocabulary.pieces()
        rows = max(1, _LINES_FROM // self.goal.context)
        target, nats = judged.target[:rows], judged.answer[:rows]
        counts = target != NOTHING
        lines = _lines([pieces[each] for each in target[counts].tolist()], nats[counts].tolist())
        hardest = sorted(lines, key=lambda line: -line[1])[:_HARDEST]
        return Finding(
            title="Hardest lines",
            columns=("line", "nats a token"),
            rows=tuple((text[:_SHOWN], round(cost, 3)) for text, cost in hardest),
            note=f"Of those with at least {_SHORTEST} characters.",
        )

    def to_json(self) -> dict[str, Any]:
        return {"goal": self.goal.to_json()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Language:
        return cls(NextToken.from_json(state["goal"]))

    def defaults(self, examples: int) -> dict[str, Any]:
        size = int(np.clip(2 ** round(np.log2(max(examples, 16) / 500)), 8, 64))
        return {
            "batch_size": size,
            "epochs": float(np.clip(4000 * size / max(examples, 1), 1, 50)),
            "optimizer": {
                "name": "adamw",
                "lr": 2e-3,
                "betas": (0.9, 0.99),
                "weight_decay": 0.1,
            },
        }


def write_on(
    ask: Callable[[list[str]], Tensor],
    goal: NextToken,
    texts: list[str],
    *,
    count: int,
    chance: torch.Generator,
) -> list[str]:
    """What is drawn, token by token, after each text."""
    written: list[list[int]] = [[] for _ in texts]
    for _ in range(count):
        so_far = [
            text + goal.vocabulary.decode(new) for text, new in zip(texts, written, strict=True)
        ]
        likely = ask(so_far).log().div(_TEMPERATURE).softmax(-1)
        likely[:, :2] = 0
        for row, token in enumerate(torch.multinomial(likely, 1, generator=chance).tolist()):
            written[row] += token
    return [goal.vocabulary.decode(new) for new in written]


def _divided(corpus: Corpus, validation: float, test: float) -> tuple[dict[str, str], list[str]]:
    """The text of each part, and how it was divided."""
    if min(validation, test) < 0 or validation + test >= 1:
        raise SettingError(
            "the shares for validation and test must be at least 0 and together under 1,"
            f" got {validation} and {test}"
        )
    whole = "\n".join(corpus.train.inputs.tolist())
    last = len(whole) if corpus.test is not None else len(whole) - round(len(whole) * test)
    share = 0.0 if corpus.validation is not None else validation
    first = last - round(len(whole) * share)
    texts = {"train": whole[:first], "validation": whole[first:last], "test": whole[last:]}
    notes = []
    for name, part in (("validation", corpus.validation), ("test", corpus.test)):
        if part is not None:
            texts[name] = "\n".join(part.inputs.tolist())
        elif texts[name]:
            notes.append(f"the {name} part is {len(texts[name]) / len(whole):.0%} of the text")
    ends = " and, at the very end, ".join(notes)
    return texts, [
        f"the text is divided where it stands: {ends}, after what is learnt from"
    ] if notes else []


def _examples(goal: NextToken, text: str, stride: int | None) -> Examples:
    """Passages of a text that are one window each; without a stride they lie end to end."""
    begins, at = goal.vocabulary.word_starts(text)
    if len(at) < 2:
        nothing = np.empty(0, dtype=object)
        return Examples(inputs=nothing, targets=nothing)
    at, begins = np.append(at, len(text)), np.append(begins, len(at))
    made = [text[at[start] : at[end]] for start, end in _spans(goal, begins, stride)]
    passages = np.array([*made, None], dtype=object)[:-1]
    return Examples(inputs=passages, targets=passages)


def _spans(goal: NextToken, begins: Any, stride: int | None) -> Iterator[tuple[int, int]]:
    """First and last token of each passage; they begin and end with words.

    Where every token is a word of its own, end to end means that the last token of a passage
    is the first one of the next, so that each but the first of all is foretold once.
    """
    total, whole = int(begins[-1]), goal.context + 1
    shared = int(goal.vocabulary.by_characters)
    start = 0
    while start < total - 1:
        if stride is not None and shared and start > total - whole:
            start = max(0, total - whole)
        end = int(begins[np.searchsorted(begins, start + whole, "right") - 1])
        end = end if end > start + 1 else min(start + whole, total)
        if end - start >= 2:
            yield start, end
        if end >= total:
            return
        wanted = end - shared if stride is None else start + stride
        start = max(int(begins[np.searchsorted(begins, wanted, "right") - 1]), start + 1)


def _lines(pieces: list[str], nats: list[float]) -> Iterator[tuple[str, float]]:
    """Each line that is long enough, with what its tokens cost on average."""
    line, cost = "", [0.0]
    for piece, each in zip(pieces, nats, strict=True):
        if "\n" in piece:
            if len(line.strip()) >= _SHORTEST:
                yield line.strip(), sum(cost) / max(len(cost) - 1, 1)
            line, cost = "", [0.0]
        else:
            line += piece
            cost.append(each)
