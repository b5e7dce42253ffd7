"""The main job: from data to a trained, measured, saved and explained model."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from paceline.core.clock import Clock, WallClock
from paceline.core.duration import to_seconds
from paceline.core.progress import Progress, Silence
from paceline.core.recipe import read_recipe
from paceline.jobs.control.job import ControlJob, is_environment
from paceline.jobs.job import Job, Request
from paceline.jobs.run import Run
from paceline.train.alone import Loss
from paceline.train.transaction import RandomStates, Transaction

_COPIES_ON_DISK = 4


def fit(
    data: Any,
    *,
    target: str | None = None,
    task: str | None = None,
    model: nn.Module | str | None = None,
    loss: Loss | None = None,
    validation: Any = None,
    test: Any = None,
    seed: int | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    time: float | str | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    baselines: bool | None = None,
    skip_bad: bool | None = None,
    device: str | None = None,
    agents: int | None = None,
    recipe: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    assignments: tuple[str, ...] = (),
    progress: Progress | None = None,
    clock: Clock | None = None,
    started: float | None = None,
) -> Run:
    """Trains a model on data that nobody prepared for it.

    Args:
        data: ``"digits"``, the path of a folder, an archive, an ``.npz``, a CSV or Parquet
            file; a DataFrame; arrays ``(x, y)``; a Dataset or DataLoader of your own with
            items ``(*inputs, target)``.
        target: The column to predict, of a table.
        task: A task (``image``, ``tabular``, ``tensors``) or a goal (``classification``,
            ``regression``); found from the data when left out.
        model: A name on the models shelf, or a network of your own.
        loss: A loss of your own, ``loss(output, targets)``, mean over the batch.
        validation: A dataset or loader to choose weights by, beside one of your own.
        test: A test part: likewise, or a path.
        seed: Of the division, the weights, the order and the augmentation.
        steps: Budget in updates.
        epochs: Budget in passes over the training examples.
        time: Budget as seconds or ``"10m"``, testing and saving included.
        out: The run's directory; a new one under ``paceline-runs`` when left out.
        resume: Go on with the run in ``out``, with the settings that it was begun with.
        baselines: Measure plain baselines too.
        skip_bad: Leave out files that cannot be read.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        agents: Processes that compute each gradient together, each on its share of the
            batch; what is learnt does not change.
        recipe: A TOML file with settings.
        settings: Settings by dotted name, such as ``{"loop.clip": 1.0}``.
        assignments: The same as text, ``"loop.clip=1.0"``.
        progress: Told how it goes; nobody when left out.
        clock: Tells seconds; the machine's when left out.
        started: What the clock said when the time budget began to run.

    Returns:
        The finished run.

    Raises:
        PacelineError: Something that a person can put right; one line.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)  # an agent that runs the script again: it lacks the usual guard
    named = {
        "target": target,
        "task.name": task,
        "model.name": model if isinstance(model, str) else None,
        "seed": seed,
        "budget.steps": steps,
        "budget.epochs": epochs,
        "budget.seconds": None if time is None else to_seconds(time),
        "baselines": baselines,
        "data.skip_bad": skip_bad,
        "loop.device": device,
        "agents.count": agents,
    }
    overrides: dict[str, Any] = dict(settings or {})
    overrides |= {name: value for name, value in named.items() if value is not None}
    clock = clock or WallClock()
    request = Request(
        data=data,
        model=model if isinstance(model, nn.Module) else None,
        loss=loss,
        validation=validation,
        test=test,
        recipe=read_recipe(Path(recipe) if recipe else None, assignments, overrides),
        out=None if out is None else Path(out),
        resume=resume,
        progress=progress or Silence(),
        clock=clock,
        started=clock.now() if started is None else started,
    )
    outside = Transaction(random=RandomStates())
    before = outside.capture()
    try:
        with _followed(request) as request:
            if is_environment(data):
                acting: Any = ControlJob(request).run()
                return acting  # type: ignore[no-any-return] # a ControlRun: a Run in all but name
            return Job(request).run()
    finally:
        outside.restore(before)


@contextmanager
def _followed(request: Request) -> Iterator[Request]:
    """Ranks other than 0 do as they are told: they leave nothing behind and say nothing."""
    ranks = request.recipe.agents.count and request.recipe.agents.engine == "torchrun"
    if not ranks or os.environ.get("RANK", "0") == "0":
        yield request
        return
    with tempfile.TemporaryDirectory() as place:
        quiet = request.recipe.model_copy(update={"baselines": False})
        yield replace(
            request, out=Path(place) / "run", resume=False, progress=Silence(), recipe=quiet
        )
