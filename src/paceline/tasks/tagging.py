"""Tagging: a tag for every word, as names of people, places and diseases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.errors import DataError, SettingError
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, Parts
from paceline.data.base.tag_schemes import OUTSIDE, Span, written
from paceline.tasks.base import Encoded, Goal, Judged, Task
from paceline.tasks.base.backbone import find_backbone, refuse_tune
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.entities import Entities
from paceline.tasks.base.subwords import Subwords
from paceline.tasks.base.tag_baselines import measure_tag_baselines
from paceline.tasks.base.words import UNKNOWN, Words

_WORST = 12
_MOST_CHARACTERS, _MOST_TOKENS = 24, 512
_WORDS_OF_A_BATCH = 700


@final
class Tagging(Task):
    """Sentences as lists of words, each word with a tag.

    Inputs of the model are ``words`` int64 [n, length] (in lower case, digits as 0),
    ``characters`` int16 [n, length, characters] and ``shapes`` int64 [n, length], all 0 where
    there is no word; with a backbone also its ``tokens`` [n, pieces] and where each word's
    ``firsts`` [n, length] stand among them. Training sentences of more than 64 words, and of
    more than twice what one in a hundred is over, are cut into pieces, where possible between
    entities; those to be answered are never cut. A text that is no list of words is cut at
    spaces and signs.

    Args:
        words: How words become numbers.
        length: Words of the longest training sentence.
        typical: Words of a training sentence in the mean, at least 1.
        subwords: Tokens of a backbone; None where there is none.
        signed: Description of the backbone; empty where there is none.
        rare: Chance that a training word that was seen once is taken for an unknown one, 0
            to 1; so the model learns what to do with those.
        unknown: The same for any training word.
        learnt: Scheme that is learnt, ``BIOES`` or ``BIO``; answers are in that of the data.
        strict: Refuse tags in a wrong order instead of reading them as conlleval does.
        backbone: ``hf:FOLDER``, ``hf:NAME`` of the local cache, or ``hf:PACKAGE``.
        tune: Of a backbone: ``frozen``, the ``last`` layers, ``all``, or ``lora``.
    """

    kinds: ClassVar[tuple[str, ...]] = ("tagging",)
    default_model: ClassVar[str] = "char_bilstm"

    def __init__(
        self,
        goal: Entities,
        words: Words,
        length: int,
        typical: float,
        subwords: Subwords | None = None,
        signed: str = "",
        *,
        rare: float = 0.5,
        unknown: float = 0.02,
        learnt: str = "BIOES",
        strict: bool = False,
        backbone: str = "",
        tune: str | None = None,
    ) -> None:
        if tune is not None and not (backbone or signed):
            raise SettingError("tagging: tune goes with a backbone; name one")
        for name, value in (("rare", rare), ("unknown", unknown)):
            if not 0 <= value <= 1:
                raise SettingError(f"tagging: {name} must lie between 0 and 1, got {value:g}")
        self.goal: Entities = goal
        self.words, self.length, self.typical = words, length, typical
        self.rare, self.unknown = rare, unknown
        self.subwords, self.signed = subwords, signed
        self.told: tuple[str, ...] = ()
        if subwords is not None:  # what is learnt decides which network takes it
            vars(self)["default_model"] = "pretrained_tagger"

    @classmethod
    def find_goal(cls, corpus: Corpus, wanted: str | None, settings: dict[str, Any]) -> Goal:
        if wanted is not None:
            raise SettingError(f"--task {wanted} does not fit tags; leave it out")
        if corpus.train.targets is None:
            raise DataError("there are no tags to learn")
        wrong = corpus.facts.get("wrong", ())
        if settings.get("strict") and wrong:
            raise DataError(f"tags stand in a wrong order (the first: from {wrong[0]}); mend them")
        return Entities.of(corpus.train.targets, learnt=settings.get("learnt", "BIOES"))

    @classmethod
    def divide(
        cls, corpus: Corpus, goal: Goal, *, seed: int, validation: float, test: float
    ) -> Parts:
        parts = super().divide(corpus, goal, seed=seed, validation=validation, test=test)
        train, notes = _in_pieces(parts.train)
        return replace(parts, train=train, notes=(*parts.notes, *notes))

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        for scheme in ("BIO", "BILOU"):
            yield _sample(scheme, held_out)

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Tagging:
        assert isinstance(goal, Entities)
        rows = _sentences(train.inputs, None)
        length = max(map(len, rows), default=1)
        words = Words.learn(rows, most_characters=_MOST_CHARACTERS)
        subwords, signed, cut = None, "", 0
        if settings.get("backbone"):
            refuse_tune(settings.get("tune"))
            found = find_backbone(settings["backbone"], length=_MOST_TOKENS)
            subwords = Subwords(found.tokens)
            tokens, _, cut = subwords.encode(rows, max(length, 1))
            subwords.most = tokens.shape[1]
            signed = found.signed(settings.get("tune") or "all")
        typical = max(1.0, sum(map(len, rows)) / max(len(rows), 1))
        made = cls(goal, words, max(length, 1), typical, subwords, signed, **settings)
        made.told = _told(cut, subwords)
        return made

    def encode(self, examples: Examples) -> Encoded:
        rows = _sentences(examples.inputs, self.words)
        length = max([self.length, *map(len, rows)])
        found: tuple[Any, ...] = self.words.encode(rows, length)
        if self.subwords is not None:
            found = (*found, *self.subwords.encode(rows, length)[:2])
        inputs = tuple(torch.from_numpy(each) for each in found)
        targets = None
        if examples.targets is not None:
            _refuse_uneven(rows, examples.targets)
            targets = self.goal.encode(examples.targets, length)
        return Encoded(inputs=inputs, targets=targets)

    def signature(self) -> Signature:
        one, counts = (self.length,), self.words.counts
        fields = [
            _field("words", one, counts[0]),
            _field("characters", (self.length, self.words.most_characters), counts[1], "int16"),
            _field("shapes", one, counts[2]),
        ]
        if self.subwords is not None:
            pieces = self.subwords.most
            fields += [
                _field("tokens", (pieces,), self.subwords.size),
                _field("firsts", one, pieces),
            ]
        return Signature(
            kind="tagging",
            inputs=tuple(fields),
            outputs=self.goal.outputs,
            backbone=self.signed,
        )

    def augment(self, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        words = inputs[0]
        drawn = torch.rand(words.shape, generator=generator, device=words.device)
        chance = torch.where(words >= self.words.singles, self.rare, self.unknown)
        hidden = torch.where((drawn < chance) & (words > UNKNOWN), UNKNOWN, words)
        return (hidden, *inputs[1:])

    def baselines(
        self, parts: Parts, *, seed: int, progress: Progress, effort: float = 1.0
    ) -> dict[str, Baseline]:
        return measure_tag_baselines(
            self.goal, parts.train, parts.test, seed=seed, progress=progress, effort=effort
        )

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        found = self.goal.findings(judged.answer, judged.target)
        return {}, (*found, _worst(self.goal, judged)) if found else ()

    def says(self, answer: Tensor, examples: Examples) -> dict[str, list[Any]]:
        """The words, their tags, and the entities with their words."""
        said = self.goal.says(answer)
        words = [list(sentence) for sentence in examples.inputs]
        entities = [
            [each | {"text": " ".join(sentence[each["first"] : each["end"]])} for each in found]
            for sentence, found in zip(words, said["entities"], strict=True)
        ]
        return {"words": words} | said | {"entities": entities}

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.to_json(),
            "words": self.words.to_json(),
            "length": self.length,
            "typical": self.typical,
            "rare": self.rare,
            "unknown": self.unknown,
            "signed": self.signed,
            "subwords": None if self.subwords is None else self.subwords.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Tagging:
        return cls(
            Entities.from_json(state["goal"]),
            Words.from_json(state["words"]),
            state["length"],
            state["typical"],
            None if state["subwords"] is None else Subwords.from_json(state["subwords"]),
            state["signed"],
            rare=state["rare"],
            unknown=state["unknown"],
        )

    def notes(self) -> tuple[str, ...]:
        return self.told

    def defaults(self, examples: int) -> dict[str, Any]:
        words = max(examples, 1) * self.typical
        fit = 2 ** round(np.log2(_WORDS_OF_A_BATCH / self.typical))
        few = 2 ** round(np.log2(max(examples, 16) / 16))
        batch_size = int(np.clip(min(fit, few), 4, 128))
        if self.subwords is not None:
            return {
                "batch_size": batch_size,
                "epochs": float(np.clip(5e5 / words, 2, 20)),
                "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 1e-2},
                "controller": {"name": "linear"},
            }
        return {
            "batch_size": batch_size,
            "epochs": float(np.clip(1.6e6 / words, 6, 40)),
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 1e-2},
        }


def _told(cut: int, subwords: Subwords | None) -> tuple[str, ...]:
    if not cut or subwords is None:
        return ()
    return (
        f"{cut} training sentences have more than the {subwords.tokens.length} tokens that the"
        " backbone has room for; the words behind are known by their spelling alone",
    )


def _field(name: str, shape: tuple[int, ...], count: int, dtype: str = "int64") -> Field:
    return Field(name=name, shape=shape, dtype=dtype, cardinalities=(count,))


def _sentences(inputs: Any, words: Words | None) -> list[list[str]]:
    """Lists of words; texts are cut into them.

    Raises:
        DataError: There is something else.
    """
    rows = []
    for at, given in enumerate(inputs):
        if isinstance(given, str) and words is not None:
            rows.append(words.cut(given))
        elif isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given):
            rows.append(list(given))
        else:
            raise DataError(
                f"sentences are needed, lists of words or texts; example {at} is a"
                f" {type(given).__name__}"
            )
    return rows


def _refuse_uneven(rows: Sequence[Sequence[str]], targets: Any) -> None:
    for at, (words, tags) in enumerate(zip(rows, targets, strict=True)):
        if len(words) != len(tags):
            raise DataError(f"sentence {at} has {len(words)} words but {len(tags)} tags")


def _in_pieces(train: Examples) -> tuple[Examples, tuple[str, ...]]:
    """Training sentences of bounded length, so that one long one does not stretch all."""
    lengths = np.array([len(words) for words in train.inputs])
    most = int(max(64, 2 * np.quantile(lengths, 0.99)))
    over = int((lengths > most).sum())
    if not over or train.targets is None:
        return train, ()
    words, tags = list[Any](), list[Any]()
    for sentence, marks in zip(train.inputs, train.targets, strict=True):
        first = 0
        while first < len(sentence):
            end = _cut_at(marks, first, most)
            words.append(sentence[first:end])
            tags.append(marks[first:end])
            first = end
    note = f"{over} training sentences of more than {most} words are learnt from in pieces"
    return Examples(inputs=_column(words), targets=_column(tags)), (note,)


def _cut_at(tags: Sequence[str], first: int, most: int) -> int:
    """The end of a piece: behind an outside word, if there is one in its last half."""
    if len(tags) - first <= most:
        return len(tags)
    places = (at for at in range(first + most, first + most // 2, -1) if tags[at - 1] == OUTSIDE)
    return next(places, first + most)


def _column(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    column = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        column[at] = value
    return column


def _worst(goal: Entities, judged: Judged) -> Finding:
    """The sentences whose tags the network holds for least likely."""
    losses = judged.answer[:, -1]
    tags = goal.decode(judged.answer[:, :-1].long())
    wanted = goal.decode(judged.target)
    wrong = [at for at in losses.argsort(descending=True).tolist() if tags[at] != wanted[at]]
    rows = tuple(
        (
            _shown(judged.examples.inputs[at], goal, wanted[at]),
            _shown(judged.examples.inputs[at], goal, tags[at]),
            float(losses[at]),
        )
        for at in wrong[:_WORST]
    )
    return Finding(
        title="Worst mistakes",
        columns=("as it is", "as it was answered", "loss"),
        rows=rows,
        note="The loss is that of the sentence, in nats.",
    )


def _shown(sentence: Any, goal: Entities, tags: list[str]) -> str:
    """A sentence with its entities in brackets."""
    words = list(sentence) if not isinstance(sentence, str) else sentence.split()
    for entity in goal.enclosed(tags):
        words[entity.first] = f"[{words[entity.first]}"
        words[entity.end - 1] = f"{words[entity.end - 1]}]{entity.kind}"
    text = " ".join(words)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


_LONGEST_SHOWN = 400
_PEOPLE = ("Ada", "Grace Hopper", "Emmy Noether", "Mary W. Jackson")
_PLACES = ("Rome", "New York", "Goa")


def _sample(scheme: str, held_out: int) -> tuple[Corpus, Examples]:
    words, tags = [], []
    for row in range(40):
        late = row >= 30
        person = (f"Zed{held_out}" if late and held_out else _PEOPLE[row % 4]).split()
        place = _PLACES[row % 3].split()
        sentence = [*person, "lives", "in", *place, *["now"] * (row % 2), "."]
        found = [
            Span(0, len(person), "PER"),
            Span(len(person) + 2, len(person) + 2 + len(place), "LOC"),
        ]
        words.append(sentence)
        tags.append(written(found, len(sentence), scheme))
    everything = Examples(inputs=_column(words), targets=_column(tags))
    train, rest = everything.take(np.arange(30)), everything.take(np.arange(30, 40))
    corpus = Corpus(
        name="synthetic",
        kind="tagging",
        train=everything,
        validation=rest,
        test=rest,
        fingerprint="0",
        facts={},
    )
    return corpus, train
