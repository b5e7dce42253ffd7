"""From data of any kind to batches, a task and what is known about both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from paceline.core import catalog
from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.progress import Progress
from paceline.core.recipe import Recipe
from paceline.data.base import Batch, Corpus, LazyImages, Opening
from paceline.data.base.batches import Feed, Order, ResidentFeed, Rows, StreamedFeed, to_batch
from paceline.data.base.locate import open_source
from paceline.data.base.split import Parts
from paceline.tasks.base import Claim, Encoded, Task
from paceline.tasks.base.task import GOAL_SETTINGS

Batches = Callable[[], Iterator[Batch]]
GOALS = ("classification", "regression")
MEASURED_AT_ONCE = 512
_RESIDENT_SHARE = 0.5


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Data and task, ready for a loop.

    Attributes:
        task_name: Name of the part.
        task: What is learnt.
        train: Training examples, encoded.
        validation: Batches to choose weights by, or None.
        test: Batches to measure the result on, or None.
        counts: Examples in each part.
        facts: What was found, for ``run.json`` and the ledger.
        notes: Warnings for a person.
        parts: The raw examples, for the baselines.
    """

    name: str
    task_name: str
    task: Task
    train: Encoded
    validation: Encoded
    test: Encoded
    counts: dict[str, int]
    facts: dict[str, Any]
    notes: tuple[str, ...]
    parts: Parts = field(repr=False)


def prepare(data: Any, recipe: Recipe, progress: Progress, *, test: Any = None) -> Prepared:
    """Opens data, finds the task and the goal, divides and encodes.

    Raises:
        DataError: The data cannot be used; says what, where and what would be right.
        SettingError: The task does not exist or does not fit the data.
    """
    opening = Opening(
        target=recipe.target,
        skip_bad=recipe.data.skip_bad,
        progress=progress,
        group=recipe.data.group,
    )
    source_name, source, place = open_source(data, opening)
    corpus = source.read(place, opening)
    if test is not None:
        corpus = _with_test(corpus, test, opening)
    settings = recipe.task.settings
    task_name, wanted, claim = choose_task(corpus, recipe.task.name, settings)
    part, corpus = catalog.find("tasks", task_name), claim.corpus
    goal = part.find_goal(corpus, settings.pop("goal", wanted), settings)
    parts = part.divide(
        corpus,
        goal,
        seed=recipe.seed,
        validation=recipe.data.validation,
        test=recipe.data.test,
    )
    known = _settings_of(part)
    for name in settings:
        if name not in known:
            raise SettingError(f"{task_name} has no setting {name!r}{nearest(name, known)}")
    task: Task = part.from_corpus(corpus, parts.train, goal, **settings)
    encoded = [task.encode(part) for part in (parts.train, parts.validation, parts.test)]
    counts = {
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
    }
    return Prepared(
        name=corpus.name,
        task_name=task_name,
        task=task,
        train=encoded[0],
        validation=encoded[1],
        test=encoded[2],
        counts=counts,
        facts={
            "source": source_name,
            "kind": corpus.kind,
            "claim": claim.reason,
            "fingerprint": corpus.fingerprint,
            "test_part": "of the source" if corpus.test is not None else "split off by seed",
            **counts,
            **corpus.facts,
        },
        notes=(*corpus.notes, *parts.notes, *task.notes()),
        parts=parts,
    )


def _with_test(corpus: Corpus, place: Any, opening: Opening) -> Corpus:
    _, source, found = open_source(place, opening)
    other = source.read_inputs(found, opening)
    if other.targets is None:
        raise DataError(
            f"the test part {place} has no targets; it needs the column {opening.target!r}"
        )
    return replace(corpus, test=other)


def _settings_of(part: type[Any]) -> set[str]:
    return set(catalog.settings(part)) | set(GOAL_SETTINGS) | set(part.hints)


def choose_task(
    corpus: Corpus, wanted: str | None, settings: Mapping[str, Any]
) -> tuple[str, str | None, Claim]:
    """The task's name, the goal that was asked for, and the task's claim.

    ``--task`` names a task (``image``) or a goal (``regression``); otherwise the task with
    the strongest claim on the data gets them.

    Raises:
        SettingError: There is no such task or goal, or it cannot learn from this kind.
        DataError: No task can, or what was said about the data does not fit.
    """
    if wanted is not None and wanted not in GOALS:
        part = catalog.find("tasks", wanted) if ":" in wanted else _task_named(wanted)
        claim = _claim(part, corpus, settings)
        if claim is None:
            claims = _claims(corpus, settings)
            raise SettingError(
                f"--task {wanted} learns from {' or '.join(part.kinds)}, but the data are of the"
                f" kind {corpus.kind}; for those there is {', '.join(claims) or 'no task'}"
            )
        return wanted, None, claim
    claims = _claims(corpus, settings)
    hints = [name for _, part in catalog.parts("tasks") for name in part.hints if name in settings]
    if hints and not claims:
        raise SettingError(
            f"task.{hints[0]} ({settings[hints[0]]}) is for another kind of data; these are of the"
            f" kind {corpus.kind}"
        )
    if not claims:
        raise DataError(f"no task learns from data of the kind {corpus.kind!r}")
    name = max(claims, key=lambda each: claims[each].strength)
    return name, wanted, claims[name]


def _claims(corpus: Corpus, settings: Mapping[str, Any]) -> dict[str, Claim]:
    """Every task's claim; of those that a hint speaks to, theirs alone."""
    parts = dict(catalog.parts("tasks"))
    spoken = [name for name, part in parts.items() if set(part.hints) & set(settings)]
    claims = {name: _claim(parts[name], corpus, settings) for name in spoken or parts}
    return {name: claim for name, claim in claims.items() if claim is not None}


def _claim(part: type[Task], corpus: Corpus, settings: Mapping[str, Any]) -> Claim | None:
    return part.claim(corpus, {name: settings[name] for name in part.hints if name in settings})


def _task_named(name: str) -> type[Task]:
    known = catalog.names("tasks")
    if name not in known:
        raise SettingError(f"there is no task {name!r}{nearest(name, [*known, *GOALS])}")
    return catalog.find("tasks", name)


def feed_of(
    encoded: Encoded, recipe: Recipe, *, batch_size: int, device: torch.device
) -> tuple[Feed, str]:
    """Training batches on the device, and in words where the data lie."""
    assert encoded.targets is not None
    order = Order(examples=len(encoded), batch_size=min(batch_size, len(encoded)), seed=recipe.seed)
    inputs = encoded.inputs
    if recipe.data.resident == "always":
        inputs = tuple(_loaded(part) for part in inputs)
    if recipe.data.resident != "never" and _fits(inputs, device):
        tensors = tuple(part.to(device) for part in inputs)
        return ResidentFeed(tensors, encoded.targets.to(device), order), f"kept on {device}"
    workers = _workers(recipe.data.workers)
    rows = Rows(inputs, encoded.targets)
    return StreamedFeed(
        rows, order, device=device, workers=workers
    ), f"streamed by {workers} workers"


def _loaded(part: Any) -> Any:
    return torch.from_numpy(part.load()) if isinstance(part, LazyImages) else part


def _fits(inputs: tuple[Any, ...], device: torch.device) -> bool:
    if not all(isinstance(part, Tensor) for part in inputs):
        return False
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    needed: int = sum(part.nbytes for part in inputs)
    return needed < _RESIDENT_SHARE * free


def _workers(wanted: int | None) -> int:
    return min(8, max(1, (os.cpu_count() or 2) - 1)) if wanted is None else wanted


def batches_of(encoded: Encoded, device: torch.device) -> Batches | None:
    """Batches to measure on, in order; None where there are no examples."""
    if len(encoded) == 0 or encoded.targets is None:
        return None
    targets = encoded.targets
    if all(isinstance(part, Tensor) for part in encoded.inputs):

        def in_order() -> Iterator[Batch]:
            for start in range(0, len(encoded), MEASURED_AT_ONCE):
                cut = slice(start, start + MEASURED_AT_ONCE)
                inputs = tuple(part[cut].to(device) for part in encoded.inputs)
                yield Batch(inputs=inputs, targets=targets[cut].to(device))

        return in_order

    loader: DataLoader[Any] = DataLoader(
        Rows(encoded.inputs, targets), batch_size=MEASURED_AT_ONCE, num_workers=0
    )
    return lambda: (to_batch(item, device) for item in loader)


def name_of(data: Any) -> str:
    """A short name for data, fit for a folder."""
    if isinstance(data, (str, Path)):
        path = Path(data)
        return path.name.split(".")[0] or path.resolve().name
    return type(data).__name__.lower()
