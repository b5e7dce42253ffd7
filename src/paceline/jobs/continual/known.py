"""What a run knows, made ready to go on from."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Progress, Silence
from paceline.core.recipe import recipe_from
from paceline.core.signature import Signature
from paceline.jobs.continual.training import (
    Continual,
    Reservoir,
    grown,
    loaded,
    rows_of,
    spring_for,
)
from paceline.jobs.prepare import batches_of, prepare
from paceline.tasks.base import Classification, Encoded, Goal, Task
from paceline.train.judge import answers
from paceline.train.precision import Precision
from paceline.train.transaction import read_snapshot

if TYPE_CHECKING:
    from paceline.jobs.run import Run

MEMORY_FILE: Final = "memory.safetensors"
KEPT_TEST: Final = 2000


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """How to go on.

    Attributes:
        steps: Updates; None: a fifth of what training on the new examples alone would take.
        replay: Old examples to keep and to mix in, at most; 0 is none.
        ewc: λ of the pull towards the old weights; 0 is none.
        seed: Of divisions and order.
    """

    steps: int | None = None
    replay: int = 2000
    ewc: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise SettingError(f"steps must be at least 1, got {self.steps}")
        if self.replay < 0 or not 0 <= self.ewc < math.inf:
            raise SettingError("replay and ewc must be at least 0")


@final
class Known:
    """What a run knows, made ready to go on: network, task, and old examples.

    Args:
        run: Trained; of classes or numbers.
        wish: How to go on.
        progress: Told what is missing.

    Attributes:
        replay: Old examples to learn from again.
        old_test: Old examples to see what is forgotten, or None.
        notes: What is missing, one line each.

    Raises:
        SettingError: It cannot go on.
    """

    def __init__(self, run: Run, wish: Wish, progress: Progress) -> None:
        if run.task is None or run.goal.name not in ("classification", "regression"):
            what = run.goal.name if run.task is not None else "datasets of your own"
            raise SettingError(f"{run.path} is of {what}; learn goes on with classes and numbers")
        self.run, self.wish = run, wish
        self.task: Task = copy.deepcopy(run.task)
        self.model: nn.Module = copy.deepcopy(run.model)
        self.signature = Signature.from_json(run.facts["model"]["signature"])
        self.replay = Reservoir(wish.replay)
        self.old_test: Encoded | None = None
        self.notes: list[str] = []
        self._generator = torch.Generator().manual_seed(wish.seed)
        self._remember(progress)

    @property
    def goal(self) -> Goal:
        """What good means."""
        return self.task.goal

    def _remember(self, progress: Progress) -> None:
        file = self.run.path / MEMORY_FILE
        digest = self.run.facts.get("sha256", {}).get(MEMORY_FILE)
        if digest is not None:
            snapshot = read_snapshot(file, digest)
            self.replay.take(unpacked(snapshot.tensors, "replay"), self._generator)
            self.replay.seen = int(snapshot.values["seen"])
            self.old_test = unpacked(snapshot.tensors, "test")
            return
        try:
            recipe = recipe_from(self.run.facts["recipe"])
            prepared = prepare(self.run.facts["place"], recipe, Silence())
            if prepared.facts["fingerprint"] != self.run.facts["data"]["fingerprint"]:
                raise DataError("they have changed")
            old = self.task.encode(prepared.parts.train)
            test = self.task.encode(prepared.parts.test)
        except (DataError, SettingError) as error:
            self._note(f"the data of {self.run.path} cannot be read again ({error})", progress)
            return
        self.replay.take(loaded(old), self._generator)
        if len(test):
            self.old_test = sample(loaded(test), KEPT_TEST)

    def _note(self, why: str, progress: Progress) -> None:
        line = f"{why}: nothing guards against forgetting"
        self.notes.append(line)
        progress.warn(line)

    def widen(self, targets: Any) -> list[Any]:
        """Adds classes that are new; gives them."""
        goal = self.goal
        if not isinstance(goal, Classification):
            return []
        known = set(goal.classes)
        fresh = [each for each in dict.fromkeys(np.asarray(targets).tolist()) if each not in known]
        if not fresh:
            return []
        kind = type(goal.classes[0])
        if not all(isinstance(each, kind) for each in fresh):
            raise DataError(
                f"the labels are of another kind than before: {fresh[0]!r} beside"
                f" {goal.classes[0]!r}"
            )
        weights = goal.class_weights
        wider = Classification(
            [*goal.classes, *sorted(fresh)],
            smoothing=goal.smoothing,
            temperature=goal.temperature,
            metric="accuracy" if goal.primary == "auc" else goal.primary,  # that is of two classes
            class_weights=None if weights is None else [*weights, *[1.0] * len(fresh)],
            offsets=None if goal.offsets is None else [*goal.offsets, *[0.0] * len(fresh)],
        )
        state = self.task.to_json() | {"goal": wider.to_json()}
        self.task = type(self.task).from_json(state)
        stored = self.run.facts["model"]
        self.signature, self.model = grown(
            self.signature, stored["name"], stored["settings"], self.model, len(wider.classes)
        )
        return fresh

    def continual(self, examples: int) -> Continual:
        """Ready to train on, beside so many new examples."""
        defaults = self.task.defaults(examples)
        old, wish = self.replay.kept, self.wish
        spring = None
        if old is not None and wish.ewc:
            spring = spring_for(self.model, self.goal, old, wish.ewc)
        return Continual(
            self.task,
            self.model,
            self.replay,
            spring,
            seed=wish.seed,
            optimizer=defaults["optimizer"],
            batch_size=min(int(defaults["batch_size"]), examples),
        )

    def measured(self, encoded: Encoded) -> dict[str, float]:
        """Metrics of the network as it is."""
        return self.goal.metrics(*self.judged(encoded))

    def losses(self, answer: Tensor, target: Tensor) -> np.ndarray[Any, Any]:
        """How wrong each answer is: float64 [n]."""
        if isinstance(self.goal, Classification):
            chosen = answer.gather(-1, target[:, None])[:, 0].double().clamp_min(1e-6)
            return -chosen.log().numpy()
        scale = getattr(self.goal, "scale", 1.0) or 1.0
        wrong: np.ndarray[Any, Any] = ((answer - target).double() / scale).abs().numpy()
        return wrong

    def judged(self, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """What the network says of each example, and what it is."""
        device = next(self.model.parameters()).device
        batches = batches_of(encoded, device)
        assert batches is not None
        precision = Precision(name="fp32", device=device, reason="answers are exact")
        return answers(self.model, batches(), self.goal, precision)


def sample(encoded: Encoded, most: int) -> Encoded:
    """At most so many examples, evenly."""
    rows = torch.linspace(0, len(encoded) - 1, min(most, len(encoded))).long()
    return rows_of(encoded, rows)


def unpacked(tensors: dict[str, Tensor], name: str) -> Encoded:
    """Examples from a file of tensors, by the name that they were packed under."""
    count = sum(key.startswith(f"{name}/") for key in tensors) - 1
    inputs = tuple(tensors[f"{name}/{at}"] for at in range(count))
    return Encoded(inputs=inputs, targets=tensors[f"{name}/targets"])
