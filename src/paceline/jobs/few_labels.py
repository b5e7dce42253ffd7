"""Learns from few labels: the other examples are asked to be answered alike however they vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from paceline.core.errors import SettingError
from paceline.jobs.prepare import Prepared
from paceline.tasks.base import Classification, Encoded, Task

UNKNOWN = -1
SURE = 0.95
_VALIDATION = 0.2
_LABELLED = 0.25
_STREAM = 0x1ABE15
Augment = Callable[[tuple[Tensor, ...], torch.Generator], tuple[Tensor, ...]]


def with_few_labels(prepared: Prepared, count: int, *, seed: int) -> Prepared:
    """Forgets all labels but some: a fifth of them choose the weights, the rest are learnt from.

    The validation part is cut to its fifth too, for labels that choose weights are labels
    that somebody had to give. What is not known any more is ``UNKNOWN``.

    Args:
        prepared: With all labels; the baselines get the same few.
        count: Labels that are kept, at least two for each class.
        seed: Chooses them, each class in its share.

    Raises:
        SettingError: The task has no classes or cannot vary its examples, or ``count`` is too
            small or larger than what there is.
    """
    _refuse(prepared, count)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM, seed])))
    judges = min(len(prepared.validation), max(1, round(_VALIDATION * count)))
    known = _some(prepared.train, count - judges, random)
    validation = cut(prepared.validation, _some(prepared.validation, judges, random))
    return replace(
        prepared,
        train=_partly_known(prepared.train, known),
        validation=validation,
        parts=replace(prepared.parts, train=prepared.parts.train.take(known)),
        counts=prepared.counts | {"validation": judges},
        facts=prepared.facts | {"labelled": len(known), "validation": judges},
        notes=(
            *prepared.notes,
            f"{len(known)} labels are learnt from and {judges} choose the weights; the other"
            f" {prepared.counts['train'] - len(known)} training examples count as unlabelled",
        ),
    )


def _refuse(prepared: Prepared, count: int) -> None:
    goal, task = prepared.task.goal, prepared.task
    if not isinstance(goal, Classification):
        raise SettingError(f"--labels is for classes to name; this is {goal.name}")
    if type(task).augment is Task.augment:
        raise SettingError(
            f"--labels needs examples that can be varied; {prepared.task_name} has no augmentation"
        )
    least, most = 3 * goal.outputs, prepared.counts["train"] + prepared.counts["validation"]
    if not least <= count <= most:
        raise SettingError(
            f"--labels must lie between {least} (three for each class) and {most}, got {count}"
        )


def _some(encoded: Encoded, count: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Rows of so many examples, each class in its share, one of each at least."""
    assert encoded.targets is not None
    targets = encoded.targets.numpy()
    order = random.permutation(len(targets))
    first = [order[targets[order] == label][:1] for label in np.unique(targets)]
    chosen = np.concatenate(first)[:count]
    rest = order[~np.isin(order, chosen)]
    return np.sort(np.concatenate([chosen, rest[: count - len(chosen)]]))


def _partly_known(encoded: Encoded, known: np.ndarray[Any, Any]) -> Encoded:
    assert encoded.targets is not None
    targets = torch.full_like(encoded.targets, UNKNOWN)
    targets[torch.from_numpy(known)] = encoded.targets[torch.from_numpy(known)]
    return replace(encoded, targets=targets)


def cut(encoded: Encoded, rows: np.ndarray[Any, Any]) -> Encoded:
    """Some rows of encoded examples."""
    at = torch.from_numpy(rows)
    targets = None if encoded.targets is None else encoded.targets[at]
    return Encoded(inputs=tuple(_taken(part, rows) for part in encoded.inputs), targets=targets)


def _taken(part: Any, rows: np.ndarray[Any, Any]) -> Any:
    return part[torch.from_numpy(rows)] if isinstance(part, Tensor) else part[rows]


def known_often(encoded: Encoded, known: Tensor) -> Encoded:
    """Rows that are ``known`` [n] first, so often that they make up a quarter; then the others."""
    few, others = known.nonzero().flatten().numpy(), (~known).nonzero().flatten().numpy()
    times = max(1, round(_LABELLED / (1 - _LABELLED) * len(others) / len(few)))
    return cut(encoded, np.concatenate([np.repeat(few, times), others]))


@final
class Twice:
    """Varies each example twice: row 2 i a little, row 2 i + 1 more.

    Args:
        augment: The task's own.
    """

    def __init__(self, augment: Augment) -> None:
        self._augment = augment

    def __call__(
        self, inputs: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Inputs [n, …] as [2 n, …]."""
        weak = self._augment(inputs, generator)
        strong = self._augment(self._augment(inputs, generator), generator)
        pairs = zip(weak, strong, strict=True)
        return tuple(torch.stack([one, other], 1).flatten(0, 1) for one, other in pairs)


@final
class Consistency:
    """Cross-entropy of what is labelled, and of confident guesses of what is not.

    ``L = mean of: CE(y, p_weak) and CE(y, p_strong) over the labelled; CE(argmax p_weak,
    p_strong) over the unlabelled with max p_weak ≥ 0.95``, the latter divided by the number
    of all unlabelled.

    Args:
        smoothing: Of labels, 0 to under 1.

    Reference:
        Sohn et al., FixMatch, NeurIPS 2020, equations 3 and 4.

    >>> loss = Consistency()
    >>> sure = torch.tensor([[9.0, 0.0], [0.0, 0.0]])
    >>> round(float(loss(sure, torch.tensor([UNKNOWN]))), 4)
    0.6931
    """

    def __init__(self, *, smoothing: float = 0.0) -> None:
        self._smoothing = smoothing

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss of outputs [2 n, classes] or [2 n, members, classes] and targets [n]."""
        if output.ndim == 3:
            members = output.shape[1]
            output = output.transpose(0, 1).flatten(0, 1)
            target = target.repeat(members)
        weak, strong = output[::2], output[1::2]
        with torch.no_grad():
            likely, guess = weak.float().softmax(-1).max(-1)
        known = target != UNKNOWN
        counts = torch.where(known, torch.ones_like(likely), (likely >= SURE).to(likely.dtype))
        wanted = torch.where(known, target, guess)
        loss = _cross_entropy(strong, wanted, self._smoothing) * counts
        labelled = _cross_entropy(weak, wanted, self._smoothing) * known
        return (loss + labelled).sum() / (len(target) + known.sum())


def _cross_entropy(output: Tensor, target: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(output, target, reduction="none", label_smoothing=smoothing)
