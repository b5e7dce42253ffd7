"""Trains the same model on the same data once for each method and seed, and compares."""

from __future__ import annotations

import dataclasses
import re
import shutil
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import paceline
from paceline.core.clock import Clock, WallClock
from paceline.core.duration import to_seconds
from paceline.core.errors import DataError, PacelineError, RunError, SettingError, StorageError
from paceline.core.files import explained, write_json
from paceline.core.progress import Progress, Silence
from paceline.core.recipe import Recipe, differences, read_recipe, recipe_from
from paceline.jobs.fit import fit
from paceline.jobs.methods import attempts_of, methods_of, names_of, rates_of, settings_of
from paceline.jobs.one_bar import OneBar
from paceline.jobs.prepare import name_of
from paceline.report.comparison import (
    COMPARISON_FILE,
    Attempt,
    Comparison,
    ended_attempt,
    read_comparison,
)
from paceline.report.comparison_page import write_comparison_page
from paceline.report.summary import read_run

DEFAULT_PARENT = "paceline-comparisons"
OPTIMIZERS = ("momentum", "adamw")
CONTROLLERS = ("constant", "cosine", "probe")
SEEDS = 3
_TAKEN = {
    "optimizer.name": "--optimizers",
    "controller.name": "--controllers",
    "seed": "--seeds",
    "baselines": "`paceline fit`, which measures them",
}
_NAMED = {  # settings that ``fit`` wants as arguments
    "target": "target",
    "task.name": "task",
    "model.name": "model",
    "budget.steps": "steps",
    "budget.epochs": "epochs",
    "budget.seconds": "time",
    "data.skip_bad": "skip_bad",
    "loop.device": "device",
}
_TRACEBACK = "failure.txt"
_FATAL = (DataError, StorageError)


def compare(
    data: Any,
    *,
    optimizers: str | Sequence[str] = OPTIMIZERS,
    controllers: str | Sequence[str] = CONTROLLERS,
    seeds: int = SEEDS,
    lr: str | float | Sequence[float] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    time: float | str | None = None,
    target: str | None = None,
    task: str | None = None,
    model: str | None = None,
    test: Any = None,
    device: str | None = None,
    recipe: Path | str | None = None,
    assignments: tuple[str, ...] = (),
    skip_bad: bool = False,
    out: Path | str | None = None,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Comparison:
    """Trains once for each optimizer, controller, starting rate and seed, and compares.

    All share the model, and for each seed the division of the data, the first weights, the
    order of the batches and the budget; what a controller tries out is paid from the same
    budget. Methods are ranked by their best validation loss, never by the test part.

    Args:
        data: What ``fit`` takes.
        optimizers: Names, or a text with commas between them. ``momentum`` is sgd with
            momentum 0.9; ``schedule_free``, ``mechanic``, ``prodigy`` and ``dog`` set their
            own rate over the task's optimizer, and are crossed with no controller.
        controllers: Names, likewise.
        seeds: Trainings of each method, with the seeds 0, 1, 2 …
        lr: Starting rates: ``"1e-4,1e-3"``, ``"1e-4..1e-1"`` for half decades,
            ``"1e-4..1e-1:9"`` for nine. Each optimizer's own default when left out.
        steps: Budget of each training in updates.
        epochs: Budget of each in passes over the training examples.
        time: Budget of each as seconds or ``"10m"``.
        target: The column to predict, of a table.
        task: A task or a goal.
        model: A name on the models shelf.
        test: A test part of your own.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        recipe: A TOML file with settings that all share.
        assignments: Settings that all share, ``"loop.clip=1.0"``.
        skip_bad: Leave out files that cannot be read.
        out: The comparison's directory; what is there already is not done again.
        progress: Told how it goes.
        clock: Tells seconds.

    Returns:
        The comparison, as ``comparison.json`` keeps it.

    Raises:
        PacelineError: Something that a person can put right; one line.
    """
    base = _shared_recipe(
        recipe,
        assignments,
        {
            "target": target,
            "task.name": task,
            "model.name": model,
            "budget.steps": steps,
            "budget.epochs": epochs,
            "budget.seconds": None if time is None else to_seconds(time),
            "data.skip_bad": skip_bad or None,
            "loop.device": device,
        },
    )
    if not isinstance(seeds, int) or seeds < 1:
        raise SettingError(f"--seeds must be 1 or more, got {seeds}")
    rates = None if lr is None else rates_of(lr)
    if rates is not None and "lr" in base.optimizer.settings:
        raise SettingError("give --lr or --set optimizer.lr, not both")
    methods = methods_of(names_of("optimizers", optimizers), names_of("controllers", controllers))
    attempts = attempts_of(methods, rates, seeds)
    plan = {
        "optimizers": list(dict.fromkeys(optimizer for optimizer, _ in methods)),
        "controllers": list(dict.fromkeys(each[1] for each in methods if each[0] != each[1])),
        "seeds": seeds,
        "rates": rates or [],
        "recipe": base.model_dump(mode="json"),
        "test": None if test is None else str(test),
    }
    comparing = _Comparing(
        data=data, test=test, recipe=base, progress=progress or Silence(), clock=clock
    )
    return comparing.run(_begun(out, data, plan, attempts))


def _shared_recipe(
    recipe: Path | str | None, assignments: tuple[str, ...], overrides: Mapping[str, Any]
) -> Recipe:
    for assignment in assignments:
        name = assignment.partition("=")[0].strip()
        if name in _TAKEN:
            raise SettingError(f"--set {name} is not for a comparison; use {_TAKEN[name]}")
    return read_recipe(Path(recipe) if recipe else None, assignments, overrides)


def _begun(
    out: Path | str | None, data: Any, plan: Mapping[str, Any], attempts: Sequence[Attempt]
) -> Comparison:
    """A new comparison, or the one in ``out`` with all that it has reached."""
    place = str(data) if isinstance(data, (str, Path)) else type(data).__name__
    fresh = Comparison(
        path=_free_folder(name_of(data)) if out is None else Path(out),
        state="training",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        paceline=paceline.__version__,
        place=place,
        plan=plan,
        facts={},
        attempts=tuple(attempts),
    )
    path = fresh.path
    if not (path / COMPARISON_FILE).exists():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"{path} holds something else; choose another --out")
        return fresh
    before = read_comparison(path)
    _refuse_other(before, fresh)
    done = {each.run: each for each in before.attempts if each.state == "finished"}
    return dataclasses.replace(
        fresh,
        created=before.created,
        facts=before.facts,
        attempts=tuple(done.get(each.run, each) for each in attempts),
    )


def _refuse_other(before: Comparison, now: Comparison) -> None:
    changed = differences(recipe_from(before.plan["recipe"]), recipe_from(now.plan["recipe"]))
    for name, old, new in (
        ("data", before.place, now.place),
        ("test data", before.plan.get("test"), now.plan.get("test")),
    ):
        changed += [f"{name}: {old} → {new}"] if old != new else []
    if changed:
        raise RunError(
            f"{before.path} was begun with other settings ({'; '.join(changed[:5])}); give the"
            " same ones (lists of methods and seeds may grow), or choose another --out"
        )


def _free_folder(name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "comparison"
    number = 1
    while (Path(DEFAULT_PARENT) / f"{plain}-{number}").exists():
        number += 1
    return Path(DEFAULT_PARENT) / f"{plain}-{number}"


@final
class _Comparing:
    """Does what of a comparison is not done yet."""

    def __init__(
        self, *, data: Any, test: Any, recipe: Recipe, progress: Progress, clock: Clock | None
    ) -> None:
        self.data, self.test, self.recipe, self.clock = data, test, recipe, clock or WallClock()
        self.listener = OneBar(progress)

    def run(self, comparison: Comparison) -> Comparison:
        """Every waiting attempt, its outcome written down as soon as it is known.

        Raises:
            DataError: The data cannot be used; nothing is left behind.
            PacelineError: Nothing could be trained in the whole first round.
        """
        above = (comparison.path, *comparison.path.absolute().parents)
        made = [each for each in above if not each.exists()][-1:]
        with explained(comparison.path):
            comparison.path.mkdir(parents=True, exist_ok=True)
        _write(comparison)
        self.listener.begin(comparison)
        try:
            for at, attempt in enumerate(comparison.attempts):
                if attempt.state == "finished":
                    continue
                comparison = self._with(comparison, at, self._attempt(comparison, at))
                if comparison.attempts[at].state == "interrupted":
                    return self._ended(comparison, "interrupted")
                self._refuse_if_nothing_works(comparison, at)
        except KeyboardInterrupt:
            return self._ended(comparison, "interrupted")
        except PacelineError:
            worthless = all(each.state != "finished" for each in comparison.attempts)
            if worthless and not any(comparison.path.rglob(_TRACEBACK)):
                for folder in made:
                    shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._ended(comparison, "finished")

    def _attempt(self, comparison: Comparison, at: int) -> Attempt:
        attempt = comparison.attempts[at]
        folder = comparison.path / attempt.run
        self.listener.attempt(attempt, at)
        try:
            self._fit(attempt, folder)
            done = ended_attempt(attempt, folder)
        except _FATAL:
            raise
        except Exception as error:  # one method's bug must not cost the others' night
            done = dataclasses.replace(attempt, state="failed", error=_told(error, folder))
        if done.state != "interrupted":
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return done

    def _fit(self, attempt: Attempt, folder: Path) -> None:
        settings = _flat(self.recipe.model_dump(exclude_unset=True)) | settings_of(attempt)
        named = {word: settings.pop(name, None) for name, word in _NAMED.items()}
        fit(
            self.data,
            **named,
            seed=attempt.seed,
            test=self.test,
            settings=settings,
            out=folder,
            resume=True,
            baselines=False,
            progress=self.listener,
            clock=self.clock,
        )

    def _with(self, comparison: Comparison, at: int, attempt: Attempt) -> Comparison:
        attempts = list(comparison.attempts)
        attempts[at] = attempt
        facts = comparison.facts
        if attempt.state == "finished":
            found = _facts(comparison.path / attempt.run)
            if facts and facts["fingerprint"] != found["fingerprint"]:
                raise RunError(
                    f"{comparison.path} was begun with other data in {comparison.place}; give the"
                    " same, or choose another --out"
                )
            facts = facts or found
        now = dataclasses.replace(comparison, attempts=tuple(attempts), facts=facts)
        _write(now)
        self.listener.ended(now, at)
        last_of_a_round = at + 1 < len(attempts) and attempts[at + 1].seed != attempt.seed
        if last_of_a_round and attempt.state == "finished":
            write_comparison_page(now)
        return now

    def _refuse_if_nothing_works(self, comparison: Comparison, at: int) -> None:
        """Raises what went wrong when the first round has ended without one that finished."""
        after = comparison.attempts[at + 1 :]
        if after and after[0].seed == comparison.attempts[at].seed:
            return
        states = {each.state for each in comparison.attempts}
        if "finished" not in states:
            raise RunError(f"no method could be trained: {comparison.failed[0].error}")

    def _ended(self, comparison: Comparison, state: str) -> Comparison:
        comparison = dataclasses.replace(comparison, state=state)
        _write(comparison)
        write_comparison_page(comparison)
        return comparison


def _told(error: Exception, folder: Path) -> str:
    """A failure in one line; a bug's traceback goes into a file."""
    words = " ".join(str(error).split())
    if isinstance(error, PacelineError):
        return words
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (folder / _TRACEBACK).write_text(text, encoding="utf-8")
    return f"{type(error).__name__}: {words[:200]} (traceback in {folder / _TRACEBACK})"


def _facts(run_dir: Path) -> dict[str, Any]:
    run = read_run(run_dir)
    data = {name: run.data.get(name) for name in ("fingerprint", "train", "validation", "test")}
    model = {"model": run.model.get("name"), "parameters": run.model.get("parameters")}
    return {"task": run.task, "goal": run.goal, **data, **model}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _write(comparison: Comparison) -> None:
    write_json(comparison.path / COMPARISON_FILE, comparison.to_json())
