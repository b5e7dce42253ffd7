"""Texts: which class is one of, or what number goes with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import SettingError
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, Parts
from paceline.tasks.base import Claim, Encoded, Goal, Judged, Task, goal_from_json
from paceline.tasks.base.backbone import find_backbone, refuse_tune
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.telling_words import telling_words, worst_mistakes
from paceline.tasks.base.text_baselines import measure_text_baselines
from paceline.tasks.base.text_columns import claimed_text, texts_of
from paceline.tasks.base.tokens import Tokens, without_words

_LONGEST, _LONGEST_OF_BACKBONE = 512, 256
_LEAST_LENGTH, _MOST_TOKENS = 4, 200_000
_ROOM = 1.25


@final
class Text(Task):
    """Sentences or documents; of a table that has nothing else to learn from, one column.

    Texts are cut into subwords by a tokenizer that is learnt from the training texts, or by
    that of a network that was trained before. Training texts lose some of their words at
    random (Iyyer et al. 2015, section 3.2).

    Args:
        tokens: How texts become numbers.
        column: Of a table, where the texts are.
        told: Notes from learning, one line each.
        signed: Description of the network that was trained before; empty where there is none.
        length: Tokens of a text at most; left out, what the training texts need, up to 512
            (256 with a backbone).
        vocabulary: Tokens to learn at most, 10 to 200,000.
        drop: Share of the words that is hidden in training, 0 to under 1.
        backbone: ``hf:FOLDER``, ``hf:NAME`` of the local cache, or ``hf:PACKAGE``.
        tune: Of a backbone: ``frozen``, the ``last`` layers, ``all``, or ``lora``.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)
    default_model: ClassVar[str] = "text_cnn"
    hints: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        goal: Goal,
        tokens: Tokens,
        column: str | None,
        told: tuple[str, ...],
        signed: str,
        *,
        length: int | None = None,
        vocabulary: int = 8_000,
        drop: float = 0.1,
        backbone: str = "",
        tune: str | None = None,
    ) -> None:
        _check(length, vocabulary, drop, backbone, tune)
        self.goal, self.tokens, self.column = goal, tokens, column
        self.told, self.signed = told, signed
        self.length, self.vocabulary, self.drop = length, vocabulary, drop
        self.backbone, self.tune = backbone, tune
        if signed:  # what is learnt decides which network takes it
            vars(self)["default_model"] = "pretrained"

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        if corpus.kind == "text":
            return super().claim(corpus, hints)
        return claimed_text(corpus, hints.get("text")) if corpus.kind == "table" else None

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        late = ["as plain as ever", "so good"][held_out % 2]
        words = ["good", "bad", "fine", "poor", "a film", "the plot", "of it", "", "ever?"]
        texts = [f"{words[at % 9]} {words[at * at % 7]} {words[at % 4]}" for at in range(30)]
        for labels in (np.arange(40) % 3, np.sin(np.arange(40.0))):
            inputs = np.array([*texts, *[late] * 10, None], dtype=object)[:-1]
            everything = Examples(inputs=inputs, targets=labels)
            train = everything.take(np.arange(30))
            rest = everything.take(np.arange(30, 40))
            yield (
                Corpus(
                    name="synthetic",
                    kind="text",
                    train=train,
                    validation=rest,
                    test=rest,
                    fingerprint="0",
                    facts={},
                ),
                train,
            )

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Text:
        column = settings.pop("text", None) or corpus.facts.get("text")
        _check(**settings)
        texts = texts_of(train.inputs, column)
        most = settings.get("length") or (
            _LONGEST_OF_BACKBONE if settings.get("backbone") else _LONGEST
        )
        signed = ""
        if settings.get("backbone"):
            found = find_backbone(settings["backbone"], length=most)
            settings["tune"] = settings.get("tune") or "all"
            tokens, signed = found.tokens, found.signed(settings["tune"])
            most = tokens.length
        else:
            size = settings.get("vocabulary", 8_000)
            tokens = Tokens.learn(texts, size=size, length=most)
        lengths = tokens.lengths(texts)
        needed = math.ceil(_ROOM * max(int(lengths.max(initial=0)), _LEAST_LENGTH))
        tokens = tokens.to_length(min(most, needed))
        told = _told(lengths, tokens.length)
        return cls(goal, tokens, column, told, signed, **settings)

    def encode(self, examples: Examples) -> Encoded:
        rows = torch.from_numpy(self.tokens.encode(texts_of(examples.inputs, self.column)))
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=(rows,), targets=targets)

    def signature(self) -> Signature:
        field = Field(
            name="tokens",
            shape=(self.tokens.length,),
            dtype="int64",
            cardinalities=(self.tokens.size,),
        )
        return Signature(
            kind="text", inputs=(field,), outputs=self.goal.outputs, backbone=self.signed
        )

    def baselines(
        self, parts: Parts, *, seed: int, progress: Progress, effort: float = 1.0
    ) -> dict[str, Baseline]:
        train, test = (
            replace(part, inputs=texts_of(part.inputs, self.column))
            for part in (parts.train, parts.test)
        )
        return measure_text_baselines(
            self.goal, train, test, seed=seed, progress=progress, effort=effort
        )

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        metrics, found = super().findings(judged)
        return metrics, (
            *found,
            *telling_words(self.goal, judged),
            *worst_mistakes(self.goal, judged),
        )

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        if not self.drop:
            return inputs
        rows = inputs[0]
        begins, special = (
            torch.from_numpy(table).to(rows.device)
            for table in (self.tokens.begins, self.tokens.special)
        )
        hidden = without_words(rows, begins, special, self.tokens.unknown, self.drop, generator)
        return (hidden, *inputs[1:])

    def defaults(self, examples: int) -> dict[str, Any]:
        if self.signed:
            return {
                "batch_size": int(np.clip(2 ** round(np.log2(max(examples, 16) / 12)), 8, 32)),
                "epochs": float(np.clip(2.1e4 / max(examples, 1), 2, 10)),
                "optimizer": {"name": "adamw", "lr": 1e-4, "weight_decay": 0.01},
                "controller": {"name": "linear"},
            }
        return {
            "batch_size": int(np.clip(2 ** round(np.log2(max(examples, 16) / 100)), 16, 256)),
            "epochs": float(np.clip(1.5e4 / max(examples, 1), 2, 30)),
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.05},
        }

    def notes(self) -> tuple[str, ...]:
        return self.told

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.to_json(),
            "tokens": self.tokens.to_json(),
            "column": self.column,
            "told": list(self.told),
            "signed": self.signed,
            "settings": {
                "length": self.length,
                "vocabulary": self.vocabulary,
                "drop": self.drop,
                "backbone": self.backbone,
                "tune": self.tune,
            },
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Text:
        return cls(
            goal_from_json(state["goal"]),
            Tokens.from_json(state["tokens"]),
            state["column"],
            tuple(state["told"]),
            state["signed"],
            **state["settings"],
        )


def _told(lengths: np.ndarray[Any, Any], length: int) -> tuple[str, ...]:
    cut = int((lengths > length).sum())
    if not cut:
        return ()
    return (
        f"{cut} of {len(lengths)} training texts have more than {length} tokens (up to"
        f" {int(lengths.max())}); what is behind is cut off, unless length is set higher",
    )


def _check(
    length: Any = None,
    vocabulary: Any = 8_000,
    drop: Any = 0.1,
    backbone: Any = "",
    tune: Any = None,
) -> None:
    if length is not None and not (_whole(length) and length >= _LEAST_LENGTH):
        raise SettingError(f"text: length must be a whole number of 4 or more, got {length!r}")
    if not (_whole(vocabulary) and 10 <= vocabulary <= _MOST_TOKENS):
        raise SettingError(f"text: vocabulary must lie in 10 to {_MOST_TOKENS}, got {vocabulary!r}")
    if not (isinstance(drop, (int, float)) and 0 <= drop < 1):
        raise SettingError(f"text: drop must be at least 0 and under 1, got {drop!r}")
    if tune is not None and not backbone:
        raise SettingError("text: tune goes with a backbone; name one")
    refuse_tune(tune)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
