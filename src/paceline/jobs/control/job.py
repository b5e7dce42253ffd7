"""From an environment's id to a policy: trained, measured by episodes, saved and explained."""

from __future__ import annotations

import time as wall
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, final

from torch import Tensor

import paceline
from paceline.core import catalog
from paceline.core.errors import RunError
from paceline.core.extras import need
from paceline.core.findings import Finding
from paceline.core.ledger import Ledger
from paceline.core.recipe import differences, recipe_from
from paceline.data.base import Opening
from paceline.jobs.control.learner import (
    PURPOSE,
    method_named,
    refuse_unfit,
    settings_of,
)
from paceline.jobs.control.play import (
    pictures,
    plain_policies,
    play,
)
from paceline.jobs.control.result import Trained, each_seed, tested
from paceline.jobs.control.run import TASK, ControlRun, environment_named
from paceline.jobs.control.settings import Settings, machine, refuse
from paceline.jobs.control.training import Plan, Training
from paceline.jobs.folder import choose_folder
from paceline.jobs.prepare import name_of
from paceline.jobs.record import Record
from paceline.report.page import write_page
from paceline.train.interrupt import interruptible
from paceline.train.transaction import (
    Snapshot,
    Vault,
    put_together,
    taken_apart,
    write_tensors,
)

if TYPE_CHECKING:
    from paceline.jobs.job import Request

STEPS: Final = 50_000
_PLAIN_SEED: Final = 3_000_000
_MOST_PLAIN: Final = 20
_TEST_SHARE: Final = 0.1


def is_environment(data: Any) -> bool:
    """Whether data are the id of an environment to act in.

    >>> is_environment("CartPole-v1"), is_environment("digits")
    (True, False)
    """
    return bool(catalog.find("data", "environment").recognises(data))


@final
class ControlJob:
    """One run in an environment, from its id to the report.

    Args:
        request: What a person asked for; ``data`` is the environment's id.

    Raises:
        PacelineError: Something that a person can put right; one line.
    """

    def __init__(self, request: Request) -> None:
        self.request, self.recipe, self.started = request, request.recipe, request.started
        self.settings = Settings.of(self.recipe.task.settings)
        self.name, self.method = method_named(self.recipe.model.name)
        refuse(request)
        self.own = settings_of(self.name, self.method, self.recipe.model.settings)
        need("stable_baselines3", extra="rl", purpose=PURPOSE)
        self.place = str(request.data)
        self.environment = environment_named(self.place)
        refuse_unfit(self.place, self.name, self.method, self.environment)
        self.folder, self.goes_on = choose_folder(
            request.out, name_of(self.place.replace("/", "-")), resume=request.resume
        )
        self.vault = Vault(self.folder.checkpoints)
        self.cpu_began, self.finished = wall.process_time(), list[Trained]()
        self.saved_at = 0.0

    def run(self) -> ControlRun:
        """Trains each seed, measures, saves and explains."""
        if self.goes_on:
            changed = differences(recipe_from(self.folder.read()["recipe"]), self.recipe)
            if changed:
                raise RunError(
                    f"{self.folder.path} was begun with other settings ({'; '.join(changed[:5])});"
                    " give the same ones, or choose another --out"
                )
            if self.folder.facts.get("state") == "finished":
                self.request.progress.say(f"{self.folder.path} is finished already")
                return ControlRun(self.folder.path)
        self.folder.make()
        with Ledger(self.folder.ledger_file) as ledger, interruptible() as self.wishes:
            self.record = Record(ledger, self._elapsed)
            kept = self._kept(ledger)
            self.baselines = self._baselines()
            self._train_all(kept)
            self._save_result()
        write_page(self.folder.path)
        if self.stopped == "interrupted":
            self.request.progress.say(
                f"stopped by hand and saved in {self.folder.path}; go on with --resume"
            )
        return ControlRun(self.folder.path)

    # --- before training

    def _kept(self, ledger: Ledger) -> dict[str, Any] | None:
        """What was saved before; without it everything begins."""
        snapshot, trouble = self.vault.read() if self.goes_on else (None, [])
        if snapshot is None:
            ledger.rewind(0)
            self._begin()
            return None
        state: dict[str, Any] = put_together(snapshot.values["control"], snapshot.tensors)
        ledger.rewind(state["cursor"])
        for line in trouble:
            self.record.note("warning", "checkpoint", {"why": line})
        self.finished = [Trained.from_state(each) for each in state["finished"]]
        self.started = self.request.clock.now() - state["elapsed_seconds"]
        self.request.progress.say(
            f"going on from step {state['training']['steps']:,}; episodes that were begun begin"
            " again, so that the numbers differ from those of a run without a break"
        )
        return state

    def _begin(self) -> None:
        source = catalog.find("data", "environment")().read(self.place, _opening(self.request))
        model = {"name": self.name, "settings": self.own}
        self.folder.write(
            name=self.folder.path.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            paceline=paceline.__version__,
            state="training",
            place=self.place,
            recipe=self.recipe.model_dump(),
            data={
                "source": "environment",
                "kind": source.kind,
                "fingerprint": source.fingerprint,
                "observations": str(self.environment.observation_space),
                "actions": str(self.environment.action_space),
                "notes": list(source.notes),
            },
            task={
                "name": TASK,
                "goal": {"name": TASK},
                "state": {"settings": asdict(self.settings)},
            },
            model=model,
        )
        note = self.record.note
        note("setting", "recipe", self.recipe.model_dump(mode="json"))
        note("setting", "environment", machine())
        self.record.decide(
            "task", TASK, seen={"kind": source.kind}, reason="an environment's id to act in"
        )
        why = "asked for" if self.recipe.model.name else "the task's default"
        self.record.decide("model", self.name, seen=self.own, reason=why)

    def _baselines(self) -> dict[str, dict[str, float]]:
        known: dict[str, dict[str, float]] | None = self.folder.facts.get("baselines")
        if known is not None:
            return known
        policies = plain_policies(self.environment.action_space, self.recipe.seed)
        wanted = list(policies)[:_MOST_PLAIN] if self.recipe.baselines else ["random"]
        found = {}
        for at, name in enumerate(wanted):
            self.request.progress.advance("plain policies", at / len(wanted), name)
            act = policies[name][0]
            episodes = self.settings.episodes
            played = play(self._make, act, seed=_PLAIN_SEED + self.recipe.seed, episodes=episodes)
            found[name] = played.metrics()
            self.record.results(found[name], source=name)
        self.folder.write(baselines=found)
        return found

    def _make(self) -> Any:
        return environment_named(self.place)

    # --- training

    def _train_all(self, kept: Mapping[str, Any] | None) -> None:
        self.stopped = "budget"
        while len(self.finished) < self.settings.seeds:
            training = self._training(len(self.finished))
            if kept is not None:
                training.load_state_dict(kept["training"])
                kept = None
            self.saved_at, self.training = self.request.clock.now(), training
            if not training.run():
                self.stopped = "interrupted"
                self._save()
                return
            self.finished.append(self._measured(training))

    def _training(self, at: int) -> Training:
        budget, seed = self.recipe.budget, self.recipe.seed + at
        seconds = budget.seconds
        if seconds is not None:
            left = self.settings.seeds - at
            seconds = max((seconds * (1 - _TEST_SHARE) - self._elapsed()) / left, 1.0)
        steps = budget.steps if seconds is not None or budget.steps else STEPS
        optimizer = dict(self.method.optimizer)
        if self.recipe.optimizer.name is not None:
            optimizer = {"name": self.recipe.optimizer.name}
        settings = dict(self.own)
        if steps is not None and "learning_starts" not in self.recipe.model.settings:
            early = settings.get("learning_starts", 0)
            settings |= {"learning_starts": min(early, steps // 10)} if early else {}
        plan = Plan(
            name=self.name,
            settings=settings,
            optimizer=optimizer | self.recipe.optimizer.settings,
            make=self._make,
            seed=seed,
            steps=steps,
            seconds=seconds,
            looks=self.settings.looks,
            look_share=self.settings.look_share,
            plain_return=self.baselines["random"]["mean_return"],
            first=at == 0,
        )
        return Training(plan, self.recipe, self.record, self.request.clock, self._between)

    def _between(self, done: float) -> bool:
        """Told after every step: says how far it is, saves, and hears a Ctrl-C."""
        now, training = self.request.clock.now(), self.training
        if training.steps % 100 == 0:
            whole = (len(self.finished) + done) / self.settings.seeds
            seed = f"seed {training.plan.seed}, " if self.settings.seeds > 1 else ""
            self.request.progress.advance("acting", whole, f"{seed}step {training.steps:,}")
        if now - self.saved_at >= self.recipe.loop.save_seconds:
            self._save()
        return not self.wishes

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {}
        self.record.ledger.flush()
        state = {
            "training": self.training.state_dict(),
            "finished": [each.state_dict() for each in self.finished],
            "elapsed_seconds": self._elapsed(),
            "cursor": self.record.ledger.cursor(),
        }
        values = {"control": taken_apart(state, "control", tensors)}
        self.vault.write(Snapshot(tensors=tensors, values=values), step=self.training.steps)
        self.saved_at = self.request.clock.now()

    def _measured(self, training: Training) -> Trained:
        played = training.test(self.settings.episodes)
        self.record.decide(
            "weights",
            f"those of step {training.best_step}",
            seen={"mean_return": training.looked, "look_steps": training.look_steps},
            reason="the latest that no look found clearly worse than the best",
            source="judge",
            step=training.steps,
        )
        return Trained(
            seed=training.plan.seed,
            played=played,
            steps=training.steps,
            look_steps=training.look_steps,
            updates=training.updates,
            best_step=training.best_step,
            looked=training.looked,
            weights=training.best,
        )

    # --- after training

    def _save_result(self) -> None:
        if self.stopped == "interrupted":
            best = self.training.best or self.training.now()
            measured: dict[str, float] = {}
        else:
            chosen = max(self.finished, key=lambda each: each.looked)
            best, measured = chosen.weights, tested(self.finished)
        digest = write_tensors(self.folder.model_file, best, {"step": self.training.best_step})
        parameters = sum(each.numel() for each in self.training.learner.network.parameters())
        self.folder.write(
            sha256={self.folder.model_file.name: digest},
            model=self.folder.facts["model"] | {"parameters": parameters},
        )
        self.record.results(measured, source="test", step=self.training.steps)
        self.record.note("event", self.stopped, {}, source="loop", step=self.training.steps)
        findings = []
        if self.stopped != "interrupted":
            findings = [each_seed(self.finished), *self._pictures()]
        self.record.ledger.flush()
        self.folder.write(
            state="interrupted" if self.stopped == "interrupted" else "finished",
            result={
                "test": measured,
                "validation": {"mean_return": self.training.looked},
                "baselines": self.baselines,
                "baseline_notes": {},
                "steps": self.training.steps,
                "best_step": self.training.best_step or self.training.steps,
                "look_steps": self.training.look_steps,
                "test_steps": sum(each.played.steps for each in self.finished),
                "updates": self.training.updates,
                "seconds": self._elapsed(),
                "cpu_seconds": wall.process_time() - self.cpu_began,
                "stopped": self.stopped,
                "seeds": [each.to_json() for each in self.finished],
                "findings": [finding.to_json() for finding in findings],
            },
        )

    def _pictures(self) -> list[Finding]:
        if not self.settings.pictures:
            return []
        run = ControlRun(self.folder.path)
        try:
            environment = environment_named(self.place, pictures=True)
            return [pictures(environment, run.act, self.recipe.seed)]
        except Exception as error:  # whatever an environment's own drawing may raise
            why = f"no frames are drawn: {' '.join(str(error).split())}"
            self.record.note("warning", "pictures", {"why": why}, source="data")
            return []

    def _elapsed(self) -> float:
        return self.request.clock.now() - self.started


def _opening(request: Request) -> Opening:
    return Opening(target=None, skip_bad=False, progress=request.progress)
