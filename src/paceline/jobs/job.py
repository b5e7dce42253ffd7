"""One run from data to report, in the order in which a person would do it."""

from __future__ import annotations

import random
import time as wall
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn

import paceline
from paceline.core.clock import Clock
from paceline.core.errors import AgentsLost, RunError, SettingError
from paceline.core.findings import Finding
from paceline.core.ledger import Ledger
from paceline.core.progress import Progress
from paceline.core.recipe import Part, Recipe, differences, recipe_from
from paceline.jobs.assemble import (
    build_beside,
    build_controller,
    build_model,
    build_monitors,
    refuse_wrong_parts,
)
from paceline.jobs.calibrate import calibrate
from paceline.jobs.crew import Crew, prepare_agents, refuse_unfit
from paceline.jobs.few_labels import with_few_labels
from paceline.jobs.folder import choose_folder
from paceline.jobs.head_start import start_head
from paceline.jobs.material import OWN, Material, from_own, from_prepared, is_own
from paceline.jobs.means import Means
from paceline.jobs.measure import public, rivals, tested, validator
from paceline.jobs.prepare import Prepared, name_of, prepare
from paceline.jobs.record import Record
from paceline.jobs.run import Run
from paceline.jobs.self_training import with_guesses
from paceline.jobs.settings import write_settings
from paceline.models.base import Standardised
from paceline.report.page import write_page
from paceline.train.alone import Loss
from paceline.train.budget import affordable_validations, allowance
from paceline.train.judge import Average
from paceline.train.loop import Loop, Plan
from paceline.train.precision import choose_precision, find_device
from paceline.train.transaction import Vault, need_space, write_tensors
from paceline.train.update import Updater

_COPIES_ON_DISK = 4


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a person asked for."""

    data: Any
    model: nn.Module | None
    loss: Loss | None
    validation: Any
    test: Any
    recipe: Recipe
    out: Path | None
    resume: bool
    progress: Progress
    clock: Clock
    started: float


class Job:
    """One run from data to report, in the order in which a person would do it."""

    def __init__(self, request: Request) -> None:
        self.request, self.recipe, self.started = request, request.recipe, request.started
        refuse_wrong_parts(self.recipe)
        prepare_agents(self.recipe)
        self.folder, self.goes_on = choose_folder(
            request.out, name_of(request.data), resume=request.resume
        )
        self.device = find_device(self.recipe.loop.device)
        self.precision = choose_precision(self.recipe.loop.precision, self.device)
        self.cpu_began = wall.process_time()
        self.begun_steps = 0

    def run(self) -> Run:
        if self.goes_on:
            self._refuse_other_settings()
            if self.folder.facts.get("state") == "finished":
                self._say(f"{self.folder.path} is finished already")
                return Run(self.folder.path)
        material, prepared = self._material()
        refuse_unfit(self.recipe, material.feed, material.owners)
        self._refuse_other_data(material)
        self._seed()
        self.network_settings, network = self._network(material)
        self._check_space(network)
        self._begin(material, network)
        with Ledger(self.folder.ledger_file) as ledger:
            self.record = Record(ledger, self._elapsed)
            vault = Vault(self.folder.checkpoints)
            if vault.is_empty():
                ledger.rewind(0)
                write_settings(
                    self.record, self.recipe, material, self.precision, self.network_settings
                )
            measured = self._baselines(prepared)
            self._seed()
            material, self.begun_steps = with_guesses(material, prepared, network, self._means())
            self._seed()
            if vault.is_empty():
                start_head(material, network, self.precision, self.record)
            return self._train(material, prepared, network, measured, vault)

    def _train(
        self,
        material: Material,
        prepared: Prepared | None,
        network: nn.Module,
        measured: dict[str, Any],
        vault: Vault,
    ) -> Run:
        crew = Crew(material, network, self._means())
        try:
            loop = self._loop(material, network, vault, crew)
            if self.goes_on and loop.resume():
                self.started = loop.started
                self._say(f"going on from step {loop.step}")
            stopped = self._run(loop)
        finally:
            crew.close()
        result = self._result(material, prepared, network, loop, measured)
        self._save_result(material, network, loop, result)
        write_page(self.folder.path)
        if stopped == "interrupted":
            self._say(f"stopped by hand and saved at step {loop.step}; go on with --resume")
        return Run(self.folder.path, model=self.request.model, device=str(self.device))

    def _means(self) -> Means:
        return Means(
            recipe=self.recipe,
            precision=self.precision,
            record=self.record,
            progress=self.request.progress,
            folder=self.folder.path,
        )

    def _run(self, loop: Loop) -> str:
        try:
            return loop.run()
        except AgentsLost as lost:
            loop.save()
            self.folder.write(state="interrupted")
            raise AgentsLost(
                f"{lost}; saved at step {loop.step} in {self.folder.path}, go on with --resume"
            ) from None

    # --- before training

    def _material(self) -> tuple[Material, Prepared | None]:
        request = self.request
        if is_own(request.data):
            material = from_own(
                request.data,
                self.recipe,
                self.device,
                model=request.model,
                loss=request.loss,
                validation=request.validation,
                test=request.test,
            )
            prepared = None
        else:
            if request.validation is not None:
                raise SettingError("validation= goes with a Dataset or DataLoader of your own")
            prepared = prepare(request.data, self.recipe, request.progress, test=request.test)
            if self.recipe.data.labels is not None:
                prepared = with_few_labels(prepared, self.recipe.data.labels, seed=self.recipe.seed)
            material = from_prepared(prepared, self.recipe, self.device, request.loss)
        for note in material.notes:
            request.progress.warn(note)
        sizes = ", ".join(f"{count} {part}" for part, count in material.counts.items())
        self._say(f"{material.task_name} {material.goal.name}: {sizes} examples")
        return material, prepared

    def _network(self, material: Material) -> tuple[dict[str, Any], nn.Module]:
        own, part = self.request.model, self.recipe.model
        if own is not None:
            kept: dict[str, Any] = {"name": f"{OWN}:{type(own).__name__}", "settings": {}}
            known = material.signature
            network = own if known is None else Standardised(own, known)
        else:
            assert material.signature is not None and material.task is not None
            name = part.name or material.task.default_model
            kept = {"name": name, "settings": part.settings}
            network = build_model(material.signature, name, part.settings)
        if material.signature is not None:
            kept["signature"] = material.signature.to_json()
        kept["parameters"] = sum(each.numel() for each in network.parameters())
        network = network.to(self.device)
        if self.recipe.loop.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch
        return kept, network

    def _check_space(self, network: nn.Module) -> None:
        self.folder.make()
        size = sum(each.nbytes for each in network.state_dict().values())
        need_space(self.folder.path, _COPIES_ON_DISK * 4 * size)

    def _begin(self, material: Material, network: nn.Module) -> None:
        if self.goes_on:
            return
        self.folder.write(
            name=self.folder.path.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            paceline=paceline.__version__,
            state="training",
            place=_place(self.request.data),
            recipe=self.recipe.model_dump(),
            data={"notes": list(material.notes)} | material.facts,
            task=material.learnt(),
            model=self.network_settings,
        )

    def _refuse_other_settings(self) -> None:
        facts = self.folder.read()
        changed = differences(recipe_from(facts["recipe"]), self.recipe)
        if changed:
            raise RunError(
                f"{self.folder.path} was begun with other settings ({'; '.join(changed[:5])});"
                " give the same ones, or choose another --out"
            )

    def _refuse_other_data(self, material: Material) -> None:
        if not self.goes_on:
            return
        began = self.folder.facts["data"]["fingerprint"]
        if material.facts["fingerprint"] != began:
            raise RunError(
                f"{self.folder.path} was begun with other data ({self.folder.facts['place']});"
                " give the same, or choose another --out"
            )

    def _seed(self) -> None:
        seed = self.recipe.seed
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 # user code may draw from it
        torch.manual_seed(seed)

    def _baselines(self, prepared: Prepared | None) -> dict[str, Any]:
        if "baselines" in self.folder.facts:
            kept: dict[str, Any] = self.folder.facts["baselines"]
            return kept
        measured: dict[str, Any] = {}
        if self.recipe.baselines and prepared is not None and prepared.counts["test"]:
            measured = rivals(prepared, self.recipe, self.request.progress)
            for name, each in measured.items():
                self.record.results(each["metrics"], source=name)
        self.folder.write(baselines=measured)
        return measured

    # --- training

    def _loop(self, material: Material, network: nn.Module, vault: Vault, crew: Crew) -> Loop:
        recipe, loop = self.recipe, self.recipe.loop
        hint = float(crew.optimizer.param_groups[0]["lr"])
        controller = build_controller(self._controller(material), hint)
        beside = build_beside(recipe.beside, hint)
        optimizer = controller.wrap(crew.optimizer)
        updater = Updater(
            work=crew.work,
            optimizer=optimizer,
            feed=crew.feed,
            scaler=self.precision.scaler(),
            accumulate=crew.accumulate,
            clip=loop.clip,
            align=any(each.needs for each in (controller, *beside)),
        )
        counts = material.counts
        allowed = allowance(
            recipe.budget,
            examples=material.feed.examples,
            batch_size=updater.examples,
            default_epochs=material.defaults["epochs"],
            begun_seconds=self._elapsed(),
            begun_steps=self.begun_steps,
        )
        plan = Plan(
            model=network,
            updater=updater,
            controller=controller,
            beside=beside,
            monitors=build_monitors(),
            validate=validator(material, self.precision),
            measure=material.goal,
            average=Average(network, loop.average) if loop.average else None,
            allowance=allowed,
            validations=affordable_validations(
                loop.validations,
                steps=allowed.steps,
                batch_size=updater.examples,
                validation_examples=counts["validation"],
            ),
            save_seconds=loop.save_seconds,
            test_validations=material.test_validations,
        )
        return Loop(
            plan,
            ledger=self.record.ledger,
            vault=vault,
            clock=self.request.clock,
            started=self.request.started,
            progress=self.request.progress,
        )

    def _controller(self, material: Material) -> Part:
        """The default cannot read the rate of local steps off the shared weights."""
        wanted = self.recipe.controller
        local = self.recipe.agents.count is not None and self.recipe.agents.sync_interval != 1
        if wanted.name is not None:
            return wanted
        return Part(name="linear") if local else Part(**material.defaults.get("controller", {}))

    # --- after training

    def _result(
        self,
        material: Material,
        prepared: Prepared | None,
        network: nn.Module,
        loop: Loop,
        measured: dict[str, Any],
    ) -> dict[str, Any]:
        if loop.best.weights:
            network.load_state_dict(loop.best.weights)
            self._decide_weights(loop)
        calibrate(material, network, self.precision, self.record, loop.step)
        reached: dict[str, float] = {}
        findings: tuple[Finding, ...] = ()
        if material.test is not None and loop.stopped != "interrupted":
            reached, findings = tested(material, prepared, network, self.precision)
        self.record.results(reached, source="test", step=loop.step)
        return {
            "test": reached,
            "validation": public(loop.best.metrics or {}),
            "baselines": {name: each["metrics"] for name, each in measured.items()},
            "baseline_notes": {
                name: each["note"] for name, each in measured.items() if each["note"]
            },
            "steps": loop.step,
            "best_step": loop.best.step or loop.step,
            "seconds": self._elapsed(),
            "cpu_seconds": wall.process_time() - self.cpu_began,
            "stopped": loop.stopped,
            "findings": [finding.to_json() for finding in findings],
        }

    def _decide_weights(self, loop: Loop) -> None:
        self.record.decide(
            "weights",
            f"those of step {loop.best.step}",
            seen=loop.best.metrics or {},
            reason="best on the validation examples",
            source="judge",
            step=loop.step,
        )

    def _save_result(
        self, material: Material, network: nn.Module, loop: Loop, result: dict[str, Any]
    ) -> None:
        digest = write_tensors(self.folder.model_file, network.state_dict(), {"step": loop.step})
        result["seconds"] = self._elapsed()
        self.record.note("event", loop.stopped, {}, source="loop", step=loop.step)
        self.record.ledger.flush()
        self.folder.write(
            state="interrupted" if loop.stopped == "interrupted" else "finished",
            sha256={self.folder.model_file.name: digest},
            task=material.learnt(),
            result=result,
        )

    # --- words

    def _elapsed(self) -> float:
        return self.request.clock.now() - self.started

    def _say(self, line: str) -> None:
        self.request.progress.say(line)


def _place(data: Any) -> str:
    return str(data) if isinstance(data, (str, Path)) else type(data).__name__
