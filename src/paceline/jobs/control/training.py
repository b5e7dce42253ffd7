"""One training in an environment: from the first step to the chosen weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from paceline.core.clock import Clock
from paceline.core.recipe import Part, Recipe
from paceline.jobs.assemble import build_beside, build_controller, build_optimizer
from paceline.jobs.control.learner import Learner
from paceline.jobs.control.play import Played, play
from paceline.jobs.record import Record
from paceline.train.judge import Average
from paceline.train.pacer import Pacer
from paceline.train.transaction import RandomStates

STRETCHES = 300
FIRST_LOOK = 0.6
CLEARLY_WORSE = 0.05
_LARGEST_BUFFER_BYTES = 256 * 2**20
_LOOKS_SEED, _TEST_SEED = 1_000_000, 2_000_000
_SEEDS_APART = 10_000
_KEPT = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a training is to do.

    Attributes:
        name: Of the method.
        settings: Of the method.
        optimizer: Of the optimizer, its ``name`` among them.
        make: Gives an environment.
        seed: Of everything.
        steps: Of the environment, those of looks included; None: by time.
        seconds: Likewise; None: by steps.
        looks: How often the weights are looked at.
        look_share: Share of the steps that looks may take.
        plain_return: Of the policy that acts at random.
        first: Whether curves are drawn of it.
    """

    name: str
    settings: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    make: Callable[[], Any]
    seed: int
    steps: int | None
    seconds: float | None
    looks: int
    look_share: float
    plain_return: float
    first: bool


@final
class Training:
    """One seed.

    Args:
        plan: What to do.
        recipe: Controllers and averaging.
        record: Where readings and decisions go.
        clock: Tells seconds.
        between: Asked after every step of the environment with the share that is done;
            False ends the training.

    Attributes:
        steps: Of the environment, in training.
        look_steps: Of the environment, in looks.
        best: The weights that were chosen so far.
        best_step: When they were.
        looked: Mean return of the chosen weights in the look that chose them.
    """

    def __init__(
        self,
        plan: Plan,
        recipe: Recipe,
        record: Record,
        clock: Clock,
        between: Callable[[float], bool],
    ) -> None:
        self.plan, self._record, self._clock, self._between = plan, record, clock, between
        torch.manual_seed(plan.seed)
        self.learner = Learner(plan.name, plan.settings, plan.make, plan.seed)
        self.learner.progress = self._progress
        self._model = self.learner.model
        own = 1.0 - plan.look_share if plan.looks else 1.0
        self._budget = None if plan.steps is None else self.learner.whole(int(plan.steps * own))
        optimizer = build_optimizer(self.learner.network, plan.optimizer)
        hint = float(optimizer.param_groups[0]["lr"])
        wanted = recipe.controller
        self._pacer = Pacer(
            optimizer,
            total_steps=None if self._budget is None else self.learner.updates(self._budget),
            deadline=plan.seconds,
            modules=[self.learner.network],
            controller=build_controller(wanted if wanted.name else Part(name="linear"), hint),
            beside=build_beside({"guard": False, **recipe.beside}, hint),
            average=False,
            clock=clock,
        )
        decay = recipe.loop.average
        self._average = Average(self.learner.network, decay) if decay else None
        self.learner.pace(optimizer, self._pacer, self._took)
        self._began, self._before = clock.now(), 0.0
        self.look_steps, self.best_step, self.looked = 0, 0, float("nan")
        self.best: dict[str, Tensor] = {}
        self._top, self._looks = -float("inf"), 0
        self._told = 0
        self._losses: list[float] = []
        self._returns: list[float] = []
        self._stretch = 0.0
        self._ended = self._resumed = False

    @property
    def steps(self) -> int:
        """Of the environment, in training."""
        return int(self._model.num_timesteps)

    @property
    def updates(self) -> int:
        """Of the weights."""
        return self._pacer.step_count

    def run(self) -> bool:
        """Trains; gives whether it came to its end."""
        self._model.learn(
            (10**12 if self._budget is None else self._budget) - self.steps * self._resumed,
            callback=self._after_a_step,
            log_interval=None,
            reset_num_timesteps=not self._resumed,
        )
        self._ended = self._progress() >= 1
        if self._ended:
            while self._looks < max(self.plan.looks, 1):
                self._look(1.0)
        self._tell()
        return self._ended

    def test(self, episodes: int) -> Played:
        """Plays with the chosen weights, in episodes of its own."""
        self.learner.network.load_state_dict(self.best or self.now())
        act = self.learner.act_with(self.learner.network)
        seed = _TEST_SEED + _SEEDS_APART * self.plan.seed
        return play(self.plan.make, act, seed=seed, episodes=episodes)

    def _progress(self) -> float:
        if self._budget is not None:
            return min(1.0, self.steps / self._budget)
        assert self.plan.seconds is not None
        return min(1.0, self._elapsed() / self.plan.seconds)

    def _elapsed(self) -> float:
        return self._before + self._clock.now() - self._began

    # --- in training

    def _after_a_step(self, inside: Mapping[str, Any], outside: Mapping[str, Any]) -> bool:
        for info in inside["infos"]:
            if "episode" in info:
                self._returns.append(float(info["episode"]["r"]))
        done = self._progress()
        if done >= self._stretch:
            self._stretch = done + 1 / STRETCHES
            self._tell()
        if self._looks < self.plan.looks and done >= self._next_look() and done < 1:
            self._look(done)
        going = self._between(done)
        return going and (self._budget is not None or done < 1)

    def _took(self, loss: float) -> None:
        self._losses.append(loss)
        if self._average is not None:
            self._average.follow(self._pacer.step_count)

    def _tell(self) -> None:
        """The means of a stretch, and decisions that are new, for the ledger."""
        name = "" if self.plan.first else f" (seed {self.plan.seed})"
        numbers = {"loss": self._losses, "episode_return": self._returns}
        for key, values in numbers.items():
            if values:
                self._row("loop", f"{key}{name}", float(np.mean(values)))
            values.clear()
        if self._pacer.step_count:
            self._row("loop", f"learning_rate{name}", self._pacer.learning_rate)
        for decision in self._pacer.decisions[self._told :]:
            self._record.decide(
                "learning_rate",
                decision.learning_rate,
                seen={"updates": decision.step},
                reason=decision.reason,
                source=decision.source,
                step=self.steps,
            )
        self._told = len(self._pacer.decisions)

    def _row(self, source: str, name: str, value: float) -> None:
        self._record.note("reading", name, {}, source=source, value=value, step=self.steps)

    # --- looks

    def _next_look(self) -> float:
        if self.plan.looks <= 1:
            return 1.0
        return FIRST_LOOK + (1 - FIRST_LOOK) * self._looks / (self.plan.looks - 1)

    def _look(self, done: float) -> None:
        """Plays with the weights of now, and keeps them unless better ones were clearly better.

        Few episodes tell little: of weights that do alike the later ones are kept.
        """
        whole = self.steps / max(done, 1e-9)
        share = int(self.plan.look_share * whole / max(self.plan.looks, 1))
        network = self.learner.network if self._average is None else self._average.model
        seed = _LOOKS_SEED + _SEEDS_APART * self.plan.seed + 100 * self._looks
        played = play(self.plan.make, self.learner.act_with(network), seed=seed, steps=share)
        self._looks += 1
        self.look_steps += played.steps
        mean = float(played.returns.mean())
        self._top = max(self._top, mean)
        source = "validation" if self.plan.first else f"seed {self.plan.seed}"
        self._row(source, "mean_return", mean)
        if mean < self._top - CLEARLY_WORSE * abs(self._top - self.plan.plain_return):
            return
        self.looked, self.best_step = mean, self.steps
        self.best = self.now()

    def now(self) -> dict[str, Tensor]:
        """A copy of the weights as they are, averaged where they are."""
        network = self.learner.network if self._average is None else self._average.model
        return {name: value.detach().clone() for name, value in network.state_dict().items()}

    # --- state

    def state_dict(self) -> dict[str, Any]:
        """Everything but what goes on inside the environments."""
        return {
            "policy": dict(self._model.policy.state_dict()),
            "optimizer": self._pacer.optimizer.state_dict(),
            "pacer": self._pacer.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "buffer": self._buffer(),
            "chance": RandomStates().state_dict(),
            "steps": self.steps,
            "calls": getattr(self._model, "_n_calls", 0),
            "elapsed_seconds": self._elapsed(),
            "looks": [self._looks, self.look_steps, self._top, self.looked, self.best_step],
            "best": self.best,
            "stretch": self._stretch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there; the episodes that were begun begin again."""
        self._model.policy.load_state_dict(state["policy"])
        self._pacer.optimizer.load_state_dict(state["optimizer"])
        self._pacer.load_state_dict(state["pacer"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._model.num_timesteps = state["steps"]
        if self.learner.values:
            self._model._n_calls = state["calls"]
            self._fill(state["buffer"])
        self._before, self._began = state["elapsed_seconds"], self._clock.now()
        self._looks, self.look_steps, self._top, self.looked, self.best_step = state["looks"]
        self.best, self._stretch = dict(state["best"]), state["stretch"]
        self._model.env.seed(self.plan.seed + self.steps)
        RandomStates().load_state_dict(state["chance"])
        self._resumed = True

    def _buffer(self) -> dict[str, Any] | None:
        buffer = getattr(self._model, "replay_buffer", None)
        if buffer is None:
            return None
        rows = buffer.buffer_size if buffer.full else buffer.pos
        parts = {name: getattr(buffer, name)[:rows] for name in _KEPT}
        if sum(part.nbytes for part in parts.values()) > _LARGEST_BUFFER_BYTES:
            return None
        tensors = {name: torch.from_numpy(part.copy()) for name, part in parts.items()}
        return {"at": buffer.pos, "full": buffer.full, "parts": tensors}

    def _fill(self, kept: Mapping[str, Any] | None) -> None:
        """Puts experience back; where it was too large to keep, some is made before learning."""
        if kept is None:
            self._model.learning_starts += self.steps
            return
        buffer = self._model.replay_buffer
        for name, part in kept["parts"].items():
            getattr(buffer, name)[: len(part)] = part.numpy()
        buffer.pos, buffer.full = kept["at"], kept["full"]
