"""What a user is likely to like, by a run that was trained on ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast, final

import numpy as np

from paceline.core.errors import RunError, SettingError
from paceline.jobs.run import Run
from paceline.tasks.base.rating import Rating


class _Ratings(Protocol):
    """The part of the task for ratings that is needed here."""

    users: list[str]
    items: list[str]
    titles: list[str]

    def pairs(self, users: list[str], items: list[str]) -> Any:
        """A table of each user with each item."""

    def rated(self, user: str) -> list[str]:
        """The items that a user rated in training."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended:
    """An item for a user.

    Attributes:
        item: As it stands in the data.
        title: What it is called, where a table tells.
        rating: That the user is expected to give it.
        seen: Whether the user rated it in training.
    """

    item: str
    title: str
    rating: float
    seen: bool


def recommend(run: Run, user: Any, *, count: int = 10) -> tuple[list[Recommended], str]:
    """The items that a user is expected to rate highest.

    Items that the user rated in training come last, and only where there are not enough
    others.

    Args:
        run: Trained on ratings.
        user: As it stands in the data; one that was never seen gets what is liked by all.
        count: How many items, at least 1.

    Returns:
        The items, the best first, and a note where the user is unknown, or nothing.

    Raises:
        RunError: The run is not of ratings.
        SettingError: ``count`` is out of range.
    """
    if not isinstance(run.goal, Rating):
        raise RunError(f"{run.path} is a run of {run.goal.name}; only runs of ratings recommend")
    if count < 1:
        raise SettingError(f"count must be at least 1, got {count}")
    task, name = cast("_Ratings", run.task), str(user).strip()
    table = task.pairs([name], task.items)
    ratings = run.predict(table)
    seen = set(task.rated(name))
    known = np.array([item in seen for item in task.items])
    best = np.lexsort((np.arange(len(ratings)), -ratings, known))[:count]
    note = "" if name in task.users else f"{name!r} is not a known user; these are liked by all"
    titles = task.titles or [""] * len(task.items)
    return [
        Recommended(
            item=task.items[at],
            title=titles[at],
            rating=float(ratings[at]),
            seen=bool(known[at]),
        )
        for at in best.tolist()
    ], note
