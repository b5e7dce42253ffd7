"""Who computes a job's gradients: this process, or several agents."""

from __future__ import annotations

import inspect
import os
import pkgutil
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from paceline.agents import engines
from paceline.agents.door import Door
from paceline.agents.either import Either
from paceline.agents.lanes import in_words
from paceline.agents.outer import Outer
from paceline.agents.scheduler import Scheduler
from paceline.agents.shards import Shards, divided
from paceline.agents.team import Engine, Team
from paceline.agents.workshop import Workshop
from paceline.agents.writer import Bench
from paceline.core import catalog
from paceline.core.errors import SettingError, nearest
from paceline.core.recipe import Recipe
from paceline.core.rounds import Choice
from paceline.data.base.batches import Feed, Numbers
from paceline.jobs.assemble import build_optimizer
from paceline.jobs.diary import Diary
from paceline.jobs.material import Material
from paceline.jobs.means import Means
from paceline.jobs.membership import Desk
from paceline.policies.base.guided import Guided
from paceline.train.alone import Alone, Work

_INTERVALS = (1, 2, 4, 8, 16)


@final
class Crew:
    """Who computes a job's gradients.

    Args:
        material: What is learnt from.
        network: What is trained.
        means: With what.

    Attributes:
        work: Computes gradients.
        feed: Gives it batches, or their numbers.
        optimizer: Writes the weights.
        accumulate: Batches in an update.

    Raises:
        SettingError: The agents cannot be set up like that.
    """

    def __init__(self, material: Material, network: nn.Module, means: Means) -> None:
        recipe = means.recipe
        self._folder, self._progress = means.folder, means.progress
        self._material, self._network, self._recipe = material, network, recipe
        self._precision, self._record = means.precision, means.record
        self._team: Team | None = None
        self._diary = Diary(means.record)
        self._desk: Desk | None = None
        self.feed: Feed = material.feed
        self.optimizer = self._optimizer()
        interval = recipe.agents.sync_interval
        self.accumulate = recipe.loop.accumulate * (1 if interval == "auto" else interval)
        self.work: Work = self._together() if recipe.agents.count else self._alone()

    def _alone(self) -> Work:
        loop = self._recipe.loop
        compiled = torch.compile(self._network) if loop.compile else self._network
        return Alone(
            network=compiled,  # type: ignore[arg-type] # compile gives the same callable
            loss=self._material.loss,
            parameters=[each for each in self._network.parameters() if each.requires_grad],
            batch_size=self.feed.batch_size,
            precision=self._precision,
            channels_last=loop.channels_last,
            augment=self._material.augment,
            seed=self._recipe.seed,
        )

    def _together(self) -> Work:
        settings, loop = self._recipe.agents, self._recipe.loop
        count = settings.count or 1
        workshop = Workshop.of(
            self._network,
            loss=self._material.loss,
            rows=self.feed,
            augment=self._material.augment,
            precision=self._precision,
            channels_last=loop.channels_last,
            compiles=loop.compile,
            seed=self._recipe.seed,
            fingerprint=str(self._material.facts["fingerprint"]),
            shards=self._shards(count),
            make_optimizer=self._inner() if settings.sync_interval != 1 else None,
        )
        bench = Bench(workshop=workshop)
        engine = self._engine(workshop, bench, count)
        if getattr(engine, "rank", 0):
            engine.serve()  # type: ignore[attr-defined] # of an engine that has ranks
            raise SystemExit(0)
        team = Team(
            self._network,
            workshop,
            bench,
            engine,
            _scheduler_of(self._recipe),
            min_agents=settings.min_agents,
            watch=settings.watch,
            synchronised=any(isinstance(each, _BatchNorm) for each in self._network.modules()),
            tell=self._tell,
            show=self._show,
            learning_rate=self._inner_rate if settings.sync_interval != 1 else None,
            beside={"diary": self._diary},
        )
        self._team = team
        try:
            self._desk = Desk(
                self._folder, team, port=0 if _has_door(type(engine)) else settings.port
            )
            team.start(count)
        except BaseException:
            self._close_desk()
            team.close()
            raise
        self._say_who(team)
        self.feed = Numbers(examples=self.feed.examples, batch_size=self.feed.batch_size)
        return team

    def _shards(self, count: int) -> Shards | None:
        """The examples of each agent, where they are divided among them for good."""
        how, owners = self._recipe.agents.shards, self._material.owners
        if how is not None:
            targets = getattr(self.feed, "targets", None)
            if targets is None:
                raise SettingError("agents.shards needs data that lie in memory")
            parts = divided(targets, count, how, self._recipe.seed)
        elif owners is not None:
            parts = [torch.nonzero(owners == agent).flatten() for agent in range(count)]
        else:
            return None
        rows: Any = self.feed  # one that can be picked from, as was made sure of
        return Shards(rows, parts, self._recipe.seed)

    def _inner(self) -> Callable[[nn.Module], Optimizer]:
        return partial(build_optimizer, settings=self._settings_of_optimizer())

    def _inner_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _settings_of_optimizer(self) -> dict[str, Any]:
        default = dict(self._material.defaults["optimizer"])
        wanted = self._recipe.optimizer
        if wanted.name is not None and wanted.name != default["name"]:
            default = {"name": wanted.name}
        return default | wanted.settings

    def _optimizer(self) -> Optimizer:
        """The one that writes the shared weights."""
        agents = self._recipe.agents
        own = build_optimizer(self._network, self._settings_of_optimizer())
        if agents.count is None or agents.sync_interval == 1:
            return own
        rate, momentum = agents.outer_rate, agents.outer_momentum
        if agents.sync_interval == "auto":
            return Either(own, self._unit, outer_rate=rate or 1.0, momentum=momentum or 0.0)
        return Outer(
            [each for each in self._network.parameters() if each.requires_grad],
            lr=float(own.param_groups[0]["lr"]),
            outer_rate=0.7 if rate is None else rate,
            momentum=0.9 if momentum is None else momentum,
        )

    def _unit(self) -> float | None:
        return None if self._team is None else self._team.unit

    def _engine(self, workshop: Workshop, bench: Bench, count: int) -> Engine:
        settings = self._recipe.agents
        part = _engine_called(settings.engine)
        threads = settings.threads or max(1, (os.cpu_count() or 1) // count)
        given: dict[str, Any] = {"threads": threads, "slow": settings.slow}
        if settings.address is not None:
            given["address"] = settings.address
        if _has_door(part):
            given["port"] = settings.port
        engine: Engine = catalog.build(part, given, workshop, bench.weights, bench.buffers)
        return engine

    # --- what is told

    def _say_who(self, team: Team) -> None:
        where = {number: each.place for number, each in sorted(team.members.items())}
        places = ", ".join(f"{number}: {place}" for number, place in where.items())
        pretend = self._recipe.agents.slow
        note = f" (slowed on purpose: {', '.join(f'{s:g}' for s in pretend)})" if pretend else ""
        self._progress.say(f"{len(team.members)} agents{note}: {places}")
        self._record.decide(
            "agents",
            len(team.members),
            seen={"engine": team.engine.name, "slow": list(pretend), "places": where},
            reason="asked for",
        )

    def _tell(self, name: str, detail: Mapping[str, Any]) -> None:
        step = self._team.steps if self._team is not None else 0
        self._record.note("event", f"agent_{name}", detail, source="agents", step=step)
        words = {
            "lost": "agent {agent} is lost ({why}); {left} are left, its rows go to them",
            "joined": "agent {agent} has joined ({place})",
            "left": "agent {agent} has left; {left} are left",
            "out_of_memory": "agent {agent}: its memory is full, it works on {most} rows at once"
            " from here on",
        }
        line = words[name].format(**detail)
        (self._progress.say if name in ("joined", "left") else self._progress.warn)(line)

    def _show(self, team: Team) -> None:
        if self._desk is not None:
            self._desk.answer()
        self._diary.take(team)
        for number, (busy, note) in in_words(team.lanes).items():
            self._progress.gauge(f"agent {number}", busy, note)

    def _close_desk(self) -> None:
        desk, self._desk = self._desk, None
        if desk is not None:
            desk.close()

    def close(self) -> None:
        """Sends the agents home, and writes down what they did."""
        team, self._team = self._team, None
        if team is None:
            return
        self._close_desk()
        team.close()
        self._diary.flush(team.steps)
        accounts = team.accounts
        detail: dict[str, Any] = {"examples": team.coverage.summary(), "time": accounts.summary()}
        if self._recipe.agents.watch:
            detail["would_have_saved_seconds"] = accounts.saved_seconds
            self._progress.say(
                f"watched only: the policy would have saved {accounts.saved_seconds:.1f} s of"
                f" {self._record.elapsed():.1f} s"
            )
        self._record.note("event", "agents", detail, source="agents", step=team.steps)


def refuse_unfit(recipe: Recipe, feed: Feed, owners: torch.Tensor | None = None) -> None:
    """Refuses agents that have nothing to share.

    Raises:
        SettingError: There are more agents than examples in a batch, or the batches come from
            a loader that only one process can read.
    """
    count = recipe.agents.count
    if count is None:
        if owners is not None:
            raise SettingError("a list of datasets is one for each agent: say agents=…, too")
        return
    if not hasattr(feed, "pick"):
        raise SettingError(
            "agents cannot share out a DataLoader of your own; give its dataset instead"
        )
    if owners is not None and count != int(owners.max()) + 1:
        raise SettingError(
            f"there are {int(owners.max()) + 1} datasets, one for each agent, but {count} agents"
        )
    if count > feed.batch_size:
        raise SettingError(
            f"{count} agents cannot share a batch of {feed.batch_size} examples; take fewer agents"
            " or a larger batch (--set data.batch_size=…)"
        )


def prepare_agents(recipe: Recipe) -> None:
    """Begins what takes time before agents can start, and refuses what cannot be.

    Raises:
        SettingError: There is no such engine or policy, one of their settings is wrong, or
            the port is in use.
    """
    settings = recipe.agents
    if settings.count is None:
        return
    engine = _engine_called(settings.engine)
    _scheduler_of(recipe)
    if settings.port:
        Door("0.0.0.0" if _has_door(engine) else "127.0.0.1", settings.port).close()
    if hasattr(engine, "warm_up"):
        engine.warm_up(steps=settings.sync_interval != 1)


def _scheduler_of(recipe: Recipe) -> Scheduler:
    """The scheduler; the default policy with intervals to choose from is ``interval``.

    Raises:
        SettingError: The policy has settings, and chooses no interval.
    """
    settings = recipe.agents
    name, own = settings.policy.name or "model", settings.policy.settings
    choices: tuple[Choice, ...] = (Choice(),)
    if settings.sync_interval == "auto":
        choices = tuple(Choice(sync_interval=each) for each in _INTERVALS)
        if not issubclass(catalog.find("policies", name), Guided):
            if own:
                raise SettingError(
                    f"agents.sync_interval=auto: the policy {name} only guides there, so that its"
                    f" settings ({', '.join(own)}) have no place; name a policy that chooses:"
                    " interval, thompson, …"
                )
            name, own = "interval", {"guide": name}
    return Scheduler(
        agents=settings.count or 1,
        policy=name,
        alpha=settings.alpha,
        beta=settings.beta,
        prices=settings.prices,
        seed=recipe.seed,
        choices=choices,
        settings=own,
    )


def _has_door(engine: Any) -> bool:
    """Whether agents of an engine come in by a port."""
    return "port" in inspect.signature(engine).parameters


def _engine_called(name: str) -> Any:
    known = [each.name for each in pkgutil.iter_modules(engines.__path__)]
    names = [each for each in known if not each.startswith("_")]
    if name not in names:
        raise SettingError(f"there is no engine {name!r}{nearest(name, names)}")
    return catalog.part_of(f"paceline.agents.engines.{name}")
