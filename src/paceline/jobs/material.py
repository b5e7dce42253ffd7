"""What the loop is fed with, whether the data are ours to read or come from a person's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset

from paceline.core.errors import DataError, SettingError
from paceline.core.recipe import Recipe
from paceline.core.signature import Signature
from paceline.data.base import Corpus, Examples
from paceline.data.base.batches import Feed, LoaderFeed, Order, StreamedFeed, to_batch
from paceline.data.base.split import split
from paceline.jobs.few_labels import UNKNOWN, Consistency, Twice, known_often
from paceline.jobs.prepare import Batches, Prepared, batches_of, feed_of
from paceline.tasks.base import Classification, Goal, Regression, Task
from paceline.train.alone import Augment, Loss

OWN = "own"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Batches, what good means, and plain defaults.

    Attributes:
        task: Encodes new examples; None where the data are a person's own datasets.
        signature: For building a model; None likewise.
        defaults: ``batch_size``, ``epochs``, ``optimizer``, as a task gives them.
        owners: Which agent each training example belongs to, from 0: int64 [examples]; None
            where they are everybody's.
    """

    name: str
    task_name: str
    task: Task | None
    goal: Goal
    loss: Loss
    signature: Signature | None
    augment: Augment | None
    feed: Feed
    residence: str
    validation: Batches | None
    test: Batches | None
    counts: dict[str, int]
    facts: dict[str, Any]
    notes: tuple[str, ...]
    defaults: Mapping[str, Any]
    owners: Tensor | None = None

    @property
    def test_validations(self) -> float:
        """How many validations the test, and looking closer at it, are as long as."""
        passes = 1.0 + (0.0 if self.task is None else self.task.test_passes)
        return passes * self.counts["test"] / max(self.counts["validation"], 1)

    def learnt(self) -> dict[str, Any]:
        """What ``run.json`` keeps of the task, to encode new examples as in training."""
        facts = {"name": self.task_name, "goal": self.goal.to_json()}
        if self.task is not None:
            facts["state"] = self.task.to_json()
        return facts


def from_prepared(
    prepared: Prepared, recipe: Recipe, device: torch.device, loss: Loss | None
) -> Material:
    """Material from data that a source has read."""
    task = prepared.task
    defaults = task.defaults(prepared.counts["train"])
    batch_size = recipe.data.batch_size or int(defaults["batch_size"])
    few, goal, train = recipe.data.labels is not None, task.goal, prepared.train
    if few and (loss is not None or not recipe.data.augment or recipe.agents.count is not None):
        raise SettingError(
            "--labels needs its own loss and augmentation, and goes without --agents yet"
        )
    if few:
        assert train.targets is not None
        train = known_often(train, train.targets != UNKNOWN)
    feed, residence = feed_of(train, recipe, batch_size=batch_size, device=device)
    return Material(
        name=prepared.name,
        task_name=prepared.task_name,
        task=task,
        goal=task.goal,
        loss=Consistency(smoothing=getattr(goal, "smoothing", 0.0)) if few else loss or goal.loss,
        signature=task.signature(),
        augment=Twice(task.augment) if few else augmenting(task) if recipe.data.augment else None,
        feed=feed,
        residence=residence,
        validation=batches_of(prepared.validation, device),
        test=batches_of(prepared.test, device),
        counts=prepared.counts,
        facts=prepared.facts,
        notes=prepared.notes,
        defaults=defaults,
    )


def augmenting(task: Task) -> Augment | None:
    """The task's own ``augment``, or None where it leaves inputs as they are."""
    return None if type(task).augment is Task.augment else task.augment


def is_own(data: Any) -> bool:
    """Whether data are a dataset or loader of a person's own, or a list: one for each agent."""
    if isinstance(data, list):
        return bool(data) and all(isinstance(each, Dataset) for each in data)
    return isinstance(data, (Dataset, DataLoader))


def from_own(
    data: Dataset[Any] | DataLoader[Any],
    recipe: Recipe,
    device: torch.device,
    *,
    model: nn.Module | None,
    loss: Loss | None,
    validation: Any = None,
    test: Any = None,
) -> Material:
    """Material from datasets or loaders whose items are ``(*inputs, target)``.

    A dataset without a validation or test part of its own is divided by seed. A loader
    is used as it is.

    Raises:
        DataError: There is no model, nothing to validate on, or items of another form.
    """
    if model is None:
        raise DataError("a dataset or loader of your own needs model=, the network to train")
    notes: tuple[str, ...] = ()
    owners = None
    if isinstance(data, list):
        ends = np.cumsum([_length(each) for each in data])
        data = ConcatDataset(data)
    else:
        ends = None
    if isinstance(data, DataLoader):
        feed: Feed = LoaderFeed(data, seed=recipe.seed, device=device)
        residence, train = "from your loader", feed.examples
        if validation is None:
            notes = ("there is no validation=: the last weights are the result",)
    else:
        data, validation, test = _divided(data, validation, test, recipe)
        if ends is not None:
            owners = torch.from_numpy(np.searchsorted(ends, data.indices, side="right"))
        train = _length(data)
        size = min(recipe.data.batch_size or _default_batch(train), train)
        order = Order(examples=train, batch_size=size, seed=recipe.seed)
        workers = recipe.data.workers or 0
        feed = StreamedFeed(data, order, device=device, workers=workers)
        residence = f"from your dataset, {workers} workers"
    counts = {"train": train, "validation": _length(validation), "test": _length(test)}
    goal = _goal_of(validation if validation is not None else data, model, recipe, device)
    return Material(
        name=type(data).__name__.lower(),
        task_name=OWN,
        task=None,
        goal=goal,
        loss=loss or goal.loss,
        signature=None,
        augment=None,
        feed=feed,
        residence=residence,
        validation=_batches(validation, device),
        test=_batches(test, device),
        counts=counts,
        facts={"source": OWN, "kind": OWN, "fingerprint": f"{type(data).__name__}:{train}"}
        | counts,
        notes=notes,
        defaults={
            "epochs": 10.0,
            "batch_size": feed.batch_size,
            "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-2},
        },
        owners=owners,
    )


def _divided(
    data: Dataset[Any], validation: Any, test: Any, recipe: Recipe
) -> tuple[Subset[Any], Any, Any]:
    count = _length(data)
    if count < 1:
        raise DataError("the dataset is empty; at least three examples are needed")
    rows = np.arange(count)
    corpus = Corpus(
        name=OWN,
        kind=OWN,
        train=Examples(inputs=(rows,), targets=np.zeros(count)),
        validation=None if validation is None else Examples(inputs=(rows[:0],), targets=None),
        test=None if test is None else Examples(inputs=(rows[:0],), targets=None),
        fingerprint="",
        facts={},
    )
    shares = recipe.data
    parts = split(
        corpus, stratify=False, seed=recipe.seed, validation=shares.validation, test=shares.test
    )

    def subset(part: Examples) -> Subset[Any] | None:
        return Subset(data, part.inputs[0].tolist()) if len(part) else None

    train = subset(parts.train)
    assert train is not None
    return (
        train,
        subset(parts.validation) if validation is None else validation,
        subset(parts.test) if test is None else test,
    )


def _length(data: Any) -> int:
    if data is None:
        return 0
    try:
        counted: Any = data.dataset if isinstance(data, DataLoader) else data
        return len(counted)
    except TypeError:
        raise DataError(
            "an iterable dataset has no length; give a map-style dataset with __len__"
        ) from None


def _default_batch(examples: int) -> int:
    return max(1, min(128, examples // 20))


def _batches(data: Any, device: torch.device) -> Batches | None:
    if data is None:
        return None
    loader = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=256)
    return lambda: (to_batch(item, device) for item in loader)


def _goal_of(data: Any, model: nn.Module, recipe: Recipe, device: torch.device) -> Goal:
    wanted = recipe.task.name
    batches: Callable[[], Any] | None = _batches(data, device)
    assert batches is not None
    batch = next(iter(batches()))
    whole = not batch.targets.is_floating_point() and batch.targets.ndim == 1
    if wanted == "regression" or (wanted is None and not whole):
        return Regression(mean=0.0, scale=1.0)
    if wanted not in (None, "classification"):
        raise SettingError(
            f"--task {wanted}: datasets of your own have the task classification or regression"
        )
    was_training = model.training
    model.to(device).eval()
    with torch.inference_mode():
        output = model(*batch.inputs)
    model.train(was_training)
    if not isinstance(output, Tensor) or output.ndim < 2:
        raise DataError("the model must give [batch, classes] for whole-number targets")
    return Classification(list(range(output.shape[-1])))
