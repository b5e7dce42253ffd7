"""Learns from few labels by guessing the others, with a network that was trained before."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from paceline.core.readings import Steer
from paceline.core.recipe import Budget
from paceline.jobs.crew import Crew
from paceline.jobs.few_labels import UNKNOWN, cut, known_often
from paceline.jobs.head_start import start_head
from paceline.jobs.material import Material, augmenting
from paceline.jobs.means import Means
from paceline.jobs.measure import Answering
from paceline.jobs.prepare import Prepared, batches_of, feed_of
from paceline.models.base import Headed
from paceline.tasks.base import Encoded
from paceline.train.budget import Allowance
from paceline.train.judge import answers
from paceline.train.transaction import write_tensors
from paceline.train.update import Updater

SUREST = 0.5
_SHARE_OF_BUDGET = 1 / 3


def with_guesses(
    material: Material,
    prepared: Prepared | None,
    network: nn.Module,
    means: Means,
) -> tuple[Material, int]:
    """What to learn from, and the steps that finding it took.

    With few labels, a network that was trained before guesses the others; otherwise the
    material stays as it is.
    """
    before = isinstance(network, Headed) and network.trained_before
    if prepared is None or means.recipe.data.labels is None or not before:
        return material, 0
    assert prepared.train.targets is not None
    if not (prepared.train.targets == UNKNOWN).any():
        return material, 0
    return Teacher(material, prepared, network, means).teach()


@final
class Teacher:
    """A copy of a network that learns from the labelled examples, then guesses the other labels.

    Guesses are made once: a network that taught itself while it learns would soon be sure of
    anything. Of each class, the surest guesses are kept, so many that half of the unlabelled
    examples are used, in the shares that the classes have among the labels.

    Args:
        material: With the labelled and the unlabelled examples.
        prepared: What it was made of.
        network: It stays as it is.
        means: The teacher gets the same optimizer, and a third of a budget at most. Guesses that
            were made before are taken from the run's folder.

    Reference:
        Xie et al., Self-training with Noisy Student, CVPR 2020, algorithm 1 with one round;
        shares as in Berthelot et al., ReMixMatch, ICLR 2020, section 3.1.
    """

    def __init__(
        self,
        material: Material,
        prepared: Prepared,
        network: nn.Module,
        means: Means,
    ) -> None:
        self._material, self._network, self._means = material, network, means
        self._train, self._task = prepared.train, prepared.task
        assert prepared.train.targets is not None
        self._known = prepared.train.targets != UNKNOWN

    def teach(self) -> tuple[Material, int]:
        """What to learn from instead, and the steps that the guesses took."""
        file = self._means.folder / "guesses.safetensors"
        try:
            found = load_file(file)
        except (FileNotFoundError, SafetensorError):  # not made yet, or damaged
            found = self._guess()
            write_tensors(file, found, {})
        assert self._train.targets is not None
        targets = self._train.targets.clone()
        targets[found["rows"]] = found["labels"]
        used = (targets != UNKNOWN).nonzero().flatten()
        train = known_often(
            cut(replace(self._train, targets=targets), used.numpy()), self._known[used]
        )
        return self._plain(train, self._material.feed.batch_size), int(found["steps"])

    def _plain(self, train: Encoded, batch_size: int) -> Material:
        """Like any other material, with these examples to learn from."""
        feed, residence = feed_of(
            train, self._means.recipe, batch_size=batch_size, device=self._means.precision.device
        )
        return replace(
            self._material,
            loss=self._material.goal.loss,
            augment=augmenting(self._task),
            feed=feed,
            residence=residence,
        )

    def _guess(self) -> dict[str, Tensor]:
        labelled = cut(self._train, self._known.nonzero().flatten().numpy())
        others = (~self._known).nonzero().flatten()
        teacher = copy.deepcopy(self._network)
        steps = self._learn(teacher, labelled)
        batches = batches_of(cut(self._train, others.numpy()), self._means.precision.device)
        assert labelled.targets is not None and batches is not None
        answer, _ = answers(
            teacher, batches(), Answering(self._material.goal), self._means.precision
        )
        shares = torch.bincount(labelled.targets, minlength=answer.shape[1]) / len(labelled)
        rows, labels = surest(answer, shares)
        self._means.record.decide(
            "guesses",
            f"{len(rows)} of {len(others)} labels",
            seen={"labels": len(labelled), "steps": steps},
            reason="the surest half, each class in its share, of a network that knows the labels",
        )
        return {"rows": others[rows], "labels": labels, "steps": torch.tensor(steps)}

    def _learn(self, teacher: nn.Module, labelled: Encoded) -> int:
        """Trains on the labelled examples alone, the learning rate falling to zero."""
        means, defaults = self._means, self._task.defaults(len(labelled))
        size = means.recipe.data.batch_size or int(defaults["batch_size"])
        material = self._plain(labelled, size)
        start_head(material, teacher, means.precision, means.record)
        crew = Crew(material, teacher, means)
        updater = Updater(
            work=crew.work,
            optimizer=crew.optimizer,
            feed=crew.feed,
            scaler=means.precision.scaler(),
            accumulate=crew.accumulate,
            clip=means.recipe.loop.clip,
        )
        rate = float(crew.optimizer.param_groups[0]["lr"])
        wanted = max(1, round(float(defaults["epochs"]) * len(labelled) / updater.examples))
        allowed = _allowed(means.recipe.budget, wanted, means.record.elapsed())
        teacher.train()
        step, done = 0, 0.0
        while done < 1:
            updater.update(Steer(learning_rate=rate * (1 - done)))
            step += 1
            done = max(
                each.progress(
                    step=step, elapsed_seconds=means.record.elapsed(), reserve_seconds=0.0
                )
                for each in allowed
            )
            means.progress.advance("learning to guess labels", done)
        crew.close()
        return step


def surest(answer: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Which examples' labels are guessed, and how.

    Args:
        answer: Probabilities [n, classes].
        shares: Of each class among all labels [classes]; guesses are brought to them.

    Returns:
        Rows, rising, and their classes.

    >>> answer = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.7, 0.3]])
    >>> [each.tolist() for each in surest(answer, torch.tensor([0.5, 0.5]))]
    [[0, 2], [0, 1]]
    """
    fair = answer * (shares / answer.mean(0).clamp_min(1e-12))
    sure, guess = (fair / fair.sum(1, keepdim=True)).max(1)
    chosen = []
    for label, share in enumerate(shares.tolist()):
        rows = (guess == label).nonzero().flatten()
        order = sure[rows].argsort(descending=True, stable=True)
        chosen.append(rows[order[: round(SUREST * share * len(answer))]])
    rows = torch.cat(chosen).sort().values
    return rows, guess[rows]


def _allowed(budget: Budget, steps: int, begun_seconds: float) -> list[Allowance]:
    """So many steps, and not more than its share of what a person gave."""
    found = [Allowance(steps=steps, seconds=None)]
    if budget.steps is not None:
        found.append(Allowance(steps=max(1, int(budget.steps * _SHARE_OF_BUDGET)), seconds=None))
    if budget.seconds is not None:
        end = begun_seconds + (budget.seconds - begun_seconds) * _SHARE_OF_BUDGET
        found.append(Allowance(steps=None, seconds=end, begun_seconds=begun_seconds))
    return found
