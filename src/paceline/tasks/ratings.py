"""Ratings: what users think of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import torch

from paceline.core.clock import WallClock
from paceline.core.errors import DataError, SettingError
from paceline.core.extras import need
from paceline.core.findings import Finding
from paceline.core.progress import Progress
from paceline.core.signature import Field, Signature
from paceline.data.base import Corpus, Examples, Parts, split
from paceline.tasks.base import Claim, Encoded, Goal, Judged, Task
from paceline.tasks.base.baselines import Baseline
from paceline.tasks.base.biases import Biases, chosen_strength
from paceline.tasks.base.item_sides import ItemSides
from paceline.tasks.base.ranking import ranking_of
from paceline.tasks.base.rating import Rating, last_of_each, packed, unpacked
from paceline.tasks.base.rating_columns import ROLES, RatingColumns, find_columns, keys, seconds
from paceline.tasks.base.side_tables import find_sides, titles, with_sides

Array = np.ndarray[Any, Any]
_LEAST = 0.9
_RANKED_USERS, _RANKED_PAIRS = 200, 1_500_000
_WORST = 8
# λ of each member of the default model, whose losses are averaged.
_STRENGTH, _MEMBERS = 6.0, 8


@final
class Ratings(Task):
    """Pairs of a user and an item, and the rating that the one gave the other.

    Columns are found by their names (``userId``, ``movieId``, ``rating``, ``timestamp`` and
    their like) or named by the hints ``user``, ``item``, ``rating`` and ``time``. Users and
    items that are not in the training part have the code 0. Its setting ``split`` belongs to
    its goal: ``time`` holds out each user's last ratings, ``random`` any.

    Args:
        columns: By role.
        users: Known ones, in the order of their codes from 1.
        items: Likewise.
        seen: Which items each user rated in training: two arrays of codes.
        sides: What is known of the items beside their ratings.
        titles: What the items are called; none where nothing tells.
    """

    kinds: ClassVar[tuple[str, ...]] = ("table",)
    default_model: ClassVar[str] = "factorisation"
    hints: ClassVar[tuple[str, ...]] = ROLES

    def __init__(
        self,
        goal: Rating,
        columns: RatingColumns,
        users: list[str],
        items: list[str],
        seen: tuple[Array, Array],
        sides: ItemSides,
        titles: list[str] | None = None,
    ) -> None:
        self.goal: Rating = goal
        self.titles = titles or []
        self.columns, self.users, self.items, self.seen = columns, users, items, seen
        self.sides = sides
        self._user_codes = {user: code for code, user in enumerate(users, 1)}
        self._item_codes = {item: code for code, item in enumerate(items, 1)}

    @classmethod
    def claim(cls, corpus: Corpus, hints: Mapping[str, Any]) -> Claim | None:
        frame = corpus.train.inputs
        if corpus.kind != "table" or not len(frame):
            return None
        target = corpus.facts.get("target") if corpus.train.targets is not None else None
        names = [str(name) for name in frame.columns] + ([] if target is None else [target])
        columns = find_columns(names, target, hints)
        if columns is None or (not hints and not _is_rated(corpus, columns)):
            return None
        users, items = len(frame[columns.user].unique()), len(frame[columns.item].unique())
        sides, files = find_sides(corpus.facts.get("folder"), columns)
        return Claim(
            strength=_LEAST,
            reason=f"{users} users ({columns.user}) rate {items} items ({columns.item})"
            + (f", of which {', '.join(files)} tells more" if files else ""),
            corpus=_beside(_as_ratings(corpus, columns), sides, columns),
        )

    @classmethod
    def find_goal(cls, corpus: Corpus, wanted: str | None, settings: dict[str, Any]) -> Goal:
        if wanted not in (None, "regression"):
            raise SettingError(f"ratings are numbers to hit; there is no {wanted} of them")
        for role in ROLES:
            settings.pop(role, None)
        assert corpus.train.targets is not None
        return Rating.learn(corpus.train.targets, settings.pop("split", None))

    @classmethod
    def divide(
        cls, corpus: Corpus, goal: Goal, *, seed: int, validation: float, test: float
    ) -> Parts:
        assert isinstance(goal, Rating)
        columns = _columns(corpus)
        if goal.split == "time" and columns.time is None:
            raise SettingError("split=time needs a column of times; name it with task.time")
        if goal.split == "random" or columns.time is None or corpus.groups is not None:
            return split(corpus, stratify=False, seed=seed, validation=validation, test=test)
        frame = corpus.train.inputs
        _, users = np.unique(keys(frame[columns.user]).astype(str), return_inverse=True)
        rows = last_of_each(
            users,
            seconds(frame[columns.time], columns.time),
            0.0 if corpus.validation is not None else validation,
            0.0 if corpus.test is not None else test,
        )
        train, *held_out = (corpus.train.take(part) for part in rows)
        return Parts(
            train=train,
            validation=held_out[0] if corpus.validation is None else corpus.validation,
            test=held_out[1] if corpus.test is None else corpus.test,
            notes=("each user's last ratings are the test part, those before them validation",),
        )

    @classmethod
    def samples(cls, held_out: int) -> Iterator[tuple[Corpus, Examples]]:
        pandas = need("pandas", extra="tables", purpose="a table of ratings")
        rows = np.arange(60)
        late = np.where(rows >= 48, held_out, 0)
        frame = pandas.DataFrame(
            {
                "userId": rows % 7 + late,
                "movieId": rows % 11 + late,
                "genres": np.array(["War|Drama", "Drama", "Comedy"], object)[rows % 11 % 3],
                "timestamp": rows * 10 + late,
            }
        )
        everything = Examples(inputs=frame, targets=(rows % 9 + 1 + late) / 2)
        columns = RatingColumns(user="userId", item="movieId", rating="rating", time="timestamp")
        rest = everything.take(np.arange(48, 60))
        train = everything.take(np.arange(48))
        corpus = Corpus(
            name="synthetic",
            kind="table",
            train=everything,
            validation=rest,
            test=rest,
            fingerprint="0",
            facts={"target": "rating", "roles": columns.to_json()},
        )
        yield corpus, train

    @classmethod
    def from_corpus(cls, corpus: Corpus, train: Examples, goal: Goal, **settings: Any) -> Ratings:
        assert isinstance(goal, Rating)
        columns, frame = _columns(corpus), train.inputs
        users, items = keys(frame[columns.user]), keys(frame[columns.item])
        known = [sorted(set(each.tolist()) - {""}, key=_order) for each in (users, items)]
        nobody = np.empty(0, np.int64)
        sides = ItemSides.learn(frame, items, known[1], beside=set(columns.to_json().values()))
        task = cls(goal, columns, known[0], known[1], (nobody, nobody), sides)
        task.seen = task.codes(frame)
        task.titles = titles(frame, task.seen[1], len(known[1]))
        return task

    def codes(self, frame: Any) -> tuple[Array, Array]:
        """The codes of a table's users and items, int64 [n] each; 0 for one that is unknown.

        Raises:
            DataError: A column is missing.
        """
        for name in (self.columns.user, self.columns.item):
            if name not in getattr(frame, "columns", ()):
                raise DataError(f"the column {name!r} is missing; it says who rates what")
        users, items = keys(frame[self.columns.user]), keys(frame[self.columns.item])
        return (
            np.array([self._user_codes.get(user, 0) for user in users.tolist()], dtype=np.int64),
            np.array([self._item_codes.get(item, 0) for item in items.tolist()], dtype=np.int64),
        )

    def encode(self, examples: Examples) -> Encoded:
        users, items = self.codes(examples.inputs)
        inputs = [torch.from_numpy(users), torch.from_numpy(items)]
        if self.sides.names:
            inputs.append(torch.from_numpy(self.sides.encode(examples.inputs, items)))
        targets = None if examples.targets is None else self.goal.encode(examples.targets)
        return Encoded(inputs=tuple(inputs), targets=targets)

    def signature(self) -> Signature:
        fields = [
            Field(name="user", shape=(), dtype="int64", cardinalities=(len(self.users) + 1,)),
            Field(name="item", shape=(), dtype="int64", cardinalities=(len(self.items) + 1,)),
        ]
        if self.sides.names:
            fields.append(Field(name="side", shape=(len(self.sides.names),), dtype="float32"))
        return Signature(kind="ratings", inputs=tuple(fields), outputs=self.goal.outputs)

    def baselines(
        self, parts: Parts, *, seed: int, progress: Progress, effort: float = 1.0
    ) -> dict[str, Baseline]:
        assert parts.train.targets is not None and parts.test.targets is not None
        clock, ratings = WallClock(), np.asarray(parts.train.targets, dtype=np.float64)
        users, items = (each - 1 for each in self.codes(parts.train.inputs))
        asked = [each - 1 for each in self.codes(parts.test.inputs)]
        progress.advance("baselines", 0.0, "biases")
        began = clock.now()
        strength = chosen_strength(users, items, ratings, seed)
        found = Biases(users, items, ratings, strength=strength).rate(asked[0], asked[1])
        guesses = {"mean": np.full(len(found), ratings.mean()), "biases": found}
        target, seconds_spent = self.goal.encode(parts.test.targets), clock.now() - began
        progress.advance("baselines", 1.0)
        return {
            name: Baseline(
                metrics=self.goal.metrics(self._answer(guess), target),
                seconds=seconds_spent if name == "biases" else 0.0,
                note=f"held together by a strength of {strength:g}" if name == "biases" else "",
            )
            for name, guess in guesses.items()
        }

    def _answer(self, guess: Array) -> torch.Tensor:
        rating = torch.from_numpy(guess).clamp(self.goal.low, self.goal.high)
        return torch.stack([rating, torch.full_like(rating, 3.0)], 1)

    def findings(self, judged: Judged) -> tuple[dict[str, float], tuple[Finding, ...]]:
        """How lists of recommendations do, and which ratings are hardest to foretell."""
        measured, rows = self._ranked(judged)
        ranked = Finding(
            title="Recommendations",
            columns=("by", *measured),
            rows=rows,
            note="Of all items that a user had not rated; liked is what the user then rated at"
            f" least {self.goal.mean:.3g}, the mean.",
        )
        found = (ranked, self._worst(judged))
        return measured, tuple(each for each in found if each.rows)

    def _ranked(self, judged: Judged) -> tuple[dict[str, float], tuple[Any, ...]]:
        assert judged.examples.targets is not None
        users, items = self.codes(judged.examples.inputs)
        liked = (judged.examples.targets >= self.goal.mean) & (users > 0) & (items > 0)
        chosen = np.unique(users[liked])
        most = min(_RANKED_USERS, _RANKED_PAIRS // max(len(self.items), 1))
        chosen = np.random.default_rng(0).permutation(chosen)[: max(most, 1)]
        if not len(chosen):
            return {}, ()
        by = {"this run": self._scores(judged, chosen), "popularity": self._popularity(chosen)}
        measured = {
            name: ranking_of(scores, chosen, users[liked], items[liked], self.seen)
            for name, scores in by.items()
        }
        rows = tuple(
            (name, *(round(value, 4) for value in each.values())) for name, each in measured.items()
        )
        return measured["this run"], rows

    def _scores(self, judged: Judged, chosen: Array) -> Array:
        """What each user is expected to give each known item, [users, items]."""
        asked = self.pairs([self.users[code - 1] for code in chosen], self.items)
        answers = judged.ask(Examples(inputs=asked, targets=None))[:, 0]
        return answers.numpy().reshape(len(chosen), len(self.items))

    def _popularity(self, chosen: Array) -> Array:
        counts = np.bincount(self.seen[1], minlength=len(self.items) + 1)[1:]
        return np.broadcast_to(counts.astype(float), (len(chosen), len(self.items)))

    def pairs(self, users: list[str], items: list[str]) -> Any:
        """A table of each user with each item."""
        pandas = need("pandas", extra="tables", purpose="a table of pairs")
        return pandas.DataFrame(
            {
                self.columns.user: np.repeat(np.array(users, dtype=object), len(items)),
                self.columns.item: np.tile(np.array(items, dtype=object), len(users)),
            }
        )

    def rated(self, user: str) -> list[str]:
        """The items that a user rated in training."""
        code = self._user_codes.get(user, -1)
        return [
            self.items[item - 1] for item in self.seen[1][self.seen[0] == code].tolist() if item
        ]

    def _worst(self, judged: Judged) -> Finding:
        frame, truth = judged.examples.inputs, judged.examples.targets
        assert truth is not None
        error = judged.answer[:, 0].numpy() - np.asarray(truth, dtype=np.float64)
        users, items = keys(frame[self.columns.user]), keys(frame[self.columns.item])
        worst = np.argsort(-np.abs(error), kind="stable")[:_WORST].tolist()
        return Finding(
            title="Furthest off",
            columns=(self.columns.user, self.columns.item, "is", "was expected"),
            rows=tuple(
                (users[at], items[at], float(truth[at]), round(float(judged.answer[at, 0]), 2))
                for at in worst
            ),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.to_json(),
            "columns": self.columns.to_json(),
            "users": self.users,
            "items": self.items,
            "seen": [packed(each) for each in self.seen],
            "sides": self.sides.to_json(),
            "titles": self.titles,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Ratings:
        users, items = (unpacked(each) for each in state["seen"])
        return cls(
            Rating.from_json(state["goal"]),
            RatingColumns(**state["columns"]),
            list(state["users"]),
            list(state["items"]),
            (users, items),
            ItemSides.from_json(state["sides"]),
            list(state["titles"]),
        )

    def defaults(self, examples: int) -> dict[str, Any]:
        # Adam's decay is part of the loss, λ Σ |weights|² / examples, and so shrinks those that
        # few ratings speak for; AdamW's, which does not look at the loss, shrinks all alike.
        decay = 2 * _STRENGTH / (_MEMBERS * max(examples, 1))
        return {
            "batch_size": int(np.clip(2 ** round(np.log2(max(examples, 16) / 150)), 32, 4096)),
            "epochs": 15.0,
            "optimizer": {"name": "adam", "lr": 5e-3, "weight_decay": decay},
        }


def _is_rated(corpus: Corpus, columns: RatingColumns) -> bool:
    """Whether users and items come again, and ratings are numbers."""
    frame = corpus.train.inputs
    ratings = frame[columns.rating] if corpus.train.targets is None else corpus.train.targets
    again = all(
        len(frame[name].unique()) < 0.9 * len(frame) for name in (columns.user, columns.item)
    )
    return again and ratings.dtype.kind in "iuf"


def _as_ratings(corpus: Corpus, columns: RatingColumns) -> Corpus:
    """The corpus with its ratings as targets, and the columns' names among its facts."""
    facts = corpus.facts | {"target": columns.rating, "roles": columns.to_json()}
    train = _with_targets(corpus.train, columns.rating)
    validation, test = (
        None if part is None else _with_targets(part, columns.rating)
        for part in (corpus.validation, corpus.test)
    )
    return replace(corpus, facts=facts, train=train, validation=validation, test=test)


def _beside(corpus: Corpus, sides: Any, columns: RatingColumns) -> Corpus:
    """The corpus with what other tables tell of its items."""
    if sides is None:
        return corpus

    def joined(examples: Examples | None) -> Examples | None:
        if examples is None:
            return None
        return replace(examples, inputs=with_sides(examples.inputs, sides, columns))

    train = joined(corpus.train)
    assert train is not None
    return replace(
        corpus, train=train, validation=joined(corpus.validation), test=joined(corpus.test)
    )


def _with_targets(examples: Examples, rating: str) -> Examples:
    if examples.targets is not None or rating not in examples.inputs:
        return examples
    column = examples.inputs[rating]
    if column.dtype.kind not in "iuf":
        raise DataError(f"the column {rating!r} must hold numbers to be ratings")
    return Examples(
        inputs=examples.inputs.drop(columns=rating), targets=column.to_numpy(dtype=np.float64)
    )


def _columns(corpus: Corpus) -> RatingColumns:
    return RatingColumns(**corpus.facts["roles"])


def _order(name: str) -> tuple[int, str]:
    return (len(name), name) if name.isdigit() else (99, name)
