"""Learners of stable-baselines3 whose optimizer is stepped by a Pacer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paceline.core.errors import DataError, SettingError, nearest
from paceline.core.extras import need
from paceline.jobs.control.play import Array
from paceline.train.pacer import Pacer

PURPOSE = "learning to act"
_ADAM = {"name": "adam", "lr": 2.3e-3}
_VALUES: dict[str, Any] = {
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "train_freq": 256,
    "gradient_steps": 128,
    "target_update_interval": 10,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "gamma": 0.99,
    "n_steps": 3,
    "max_grad_norm": 10.0,
    "width": 256,
    "depth": 2,
}
_ACTOR: dict[str, Any] = {
    "n_envs": 8,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "width": 64,
    "depth": 2,
}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A learner and its plain defaults.

    Attributes:
        base: The class of stable-baselines3.
        defaults: Its settings, and ``width`` and ``depth`` of the network.
        optimizer: The default optimizer.
        continuous: Whether it can choose among continuous actions.
    """

    base: str
    defaults: Mapping[str, Any]
    optimizer: Mapping[str, Any] = field(default_factory=lambda: dict(_ADAM))
    continuous: bool = True


METHODS = {
    "dqn": Method(base="DQN", defaults=_VALUES, continuous=False),
    "double_dqn": Method(base="DQN", defaults=_VALUES, continuous=False),
    "ppo": Method(
        base="PPO",
        defaults=_ACTOR
        | {"n_steps": 128, "batch_size": 256, "n_epochs": 10, "clip_range": 0.2, "ent_coef": 0.0},
        optimizer={"name": "adam", "lr": 1e-3},
    ),
    "a2c": Method(
        base="A2C",
        defaults=_ACTOR | {"n_steps": 16, "normalize_advantage": False},
        optimizer={"name": "rmsprop", "lr": 1e-3, "alpha": 0.99, "eps": 1e-5},
    ),
}
DEFAULT = "dqn"
_MAY_BE_NOUGHT = ("ent_coef", "learning_starts", "exploration_final_eps", "exploration_fraction")
_AT_MOST_ONE = ("gamma", "gae_lambda", "exploration_fraction", "exploration_final_eps")


def method_named(name: str | None) -> tuple[str, Method]:
    """A method by its name; the default where there is none.

    Raises:
        SettingError: There is no such method.
    """
    chosen = name or DEFAULT
    if chosen not in METHODS:
        raise SettingError(f"no model {chosen!r} learns to act{nearest(chosen, METHODS)}")
    return chosen, METHODS[chosen]


def settings_of(name: str, method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method's settings with those that were given.

    Raises:
        SettingError: One is unknown, of the wrong type or out of range.
    """
    settings = dict(method.defaults)
    for key, value in given.items():
        if key not in settings:
            raise SettingError(f"{name} has no setting {key!r}{nearest(key, settings)}")
        settings[key] = _sound(f"{name}: {key}", key, value, settings[key])
    return settings


def _sound(what: str, key: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise SettingError(f"{what} must be true or false, got {value!r}")
        return value
    whole = isinstance(default, int)
    number = isinstance(value, int) or (not whole and isinstance(value, float))
    if isinstance(value, bool) or not number or not math.isfinite(value):
        raise SettingError(f"{what} must be {'a whole' if whole else 'a'} number, got {value!r}")
    if value < 0 or (value == 0 and key not in _MAY_BE_NOUGHT):
        raise SettingError(f"{what} must be over 0, got {value!r}")
    if key in _AT_MOST_ONE and value > 1:
        raise SettingError(f"{what} must be at most 1, got {value!r}")
    return value if whole else float(value)


def refuse_unfit(place: str, name: str, method: Method, environment: Any) -> None:
    """Refuses an environment whose observations or actions a method cannot take.

    Raises:
        DataError: Observations are not one array of numbers, or actions are of no kind that
            is known.
        SettingError: The actions are continuous and the method needs a list of them.
    """
    spaces = need("gymnasium", extra="rl", purpose=PURPOSE).spaces
    seen, done = environment.observation_space, environment.action_space
    if not isinstance(seen, spaces.Box):
        raise DataError(
            f"{place} shows {_kind(seen)}, but one array of numbers (a Box) is needed; wrap it,"
            " with gymnasium.wrappers.FlattenObservation where that fits"
        )
    known = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Box)
    if not isinstance(done, known):
        raise DataError(f"{place} takes actions of the kind {_kind(done)}, which no model gives")
    if not method.continuous and not isinstance(done, spaces.Discrete):
        fits = " or ".join(f"--model {each}" for each, other in METHODS.items() if other.continuous)
        raise SettingError(
            f"{place} takes actions of the kind {_kind(done)}, and {name} chooses one of a list;"
            f" {fits} fits"
        )


def _kind(space: Any) -> str:
    name = type(space).__name__
    return f"{name}{space.shape}" if name == "Box" else name


@final
class Learner:
    """A method on an environment.

    Args:
        name: Of ``METHODS``.
        settings: As ``settings_of`` gives them.
        make: Gives an environment.
        seed: Of the weights, the exploration and the environments.

    Attributes:
        model: stable-baselines3's.
        network: Which acts, its weights are the result.
        progress: Tells the share of the training that is done, 0 to 1.
    """

    def __init__(
        self, name: str, settings: Mapping[str, Any], make: Callable[[], Any], seed: int
    ) -> None:
        library = need("stable_baselines3", extra="rl", purpose=PURPOSE)
        own = dict(settings)
        network = {"net_arch": [own.pop("width")] * own.pop("depth")}
        copies = own.pop("n_envs", 1)
        self.values = "buffer_size" in settings
        self.progress: Callable[[], float] = lambda: 0.0
        if "n_epochs" in own:
            own["batch_size"] = min(own["batch_size"], own["n_steps"] * copies)
        part = _paced(getattr(library, METHODS[name].base), self, double=name == "double_dqn")
        self.model: Any = part(
            "MlpPolicy",
            _several(make, copies),
            seed=seed,
            device="cpu",
            policy_kwargs=network,
            **own,
        )
        policy = self.model.policy
        self.network: nn.Module = policy.q_net if self.values else policy
        self.loss: Tensor | None = None
        self._settings = {name: int(value) for name, value in settings.items()}
        self._copies = int(copies)

    def pace(self, optimizer: Optimizer, pacer: Pacer, took: Callable[[float], None]) -> None:
        """Has every step of the optimizer done by a Pacer."""
        self.model.policy.optimizer = Stepped(optimizer, pacer, self._loss, took)

    def whole(self, steps: int) -> int:
        """So many steps of the environment, or a few less: whole rounds of acting and learning."""
        own = self._settings
        round_ = own["train_freq"] if self.values else own["n_steps"] * self._copies
        return max(1, steps // round_) * round_

    def updates(self, steps: int) -> int:
        """Updates in so many steps of the environment."""
        own = self._settings
        if self.values:
            trainings = steps // own["train_freq"] - own["learning_starts"] // own["train_freq"]
            return max(1, trainings * own["gradient_steps"])
        together = own["n_steps"] * self._copies
        batches = math.ceil(together / own.get("batch_size", together))
        return max(1, math.ceil(steps / together) * own.get("n_epochs", 1) * batches)

    def _loss(self) -> Tensor:
        """What is to fall: the error of the values, or the return with its sign turned."""
        if self.values:
            assert self.loss is not None
            return self.loss
        episodes = self.model.ep_info_buffer or [{"r": 0.0}]
        return torch.tensor(-float(np.mean([each["r"] for each in episodes])))

    def act_with(self, network: nn.Module) -> Callable[[Array], Array]:
        """The policy, always its best action, with the weights of ``network``."""
        network.eval()

        def act(seen: Array) -> Array:
            with torch.no_grad():
                if self.values:
                    return network(torch.as_tensor(seen)).argmax(1).numpy()  # type: ignore[no-any-return] # torch
                actions, _ = network.predict(seen, deterministic=True)  # type: ignore[operator] # a policy of stable-baselines3
                return np.asarray(actions)

        return act


@final
class Stepped:
    """Stands in the place of an optimizer, and is stepped by a Pacer.

    Args:
        optimizer: The one that is stepped.
        pacer: Steps it, until its budget is spent.
        loss: Gives what is told to the Pacer.
        took: Told the loss after each step.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        pacer: Pacer,
        loss: Callable[[], Tensor],
        took: Callable[[float], None],
    ) -> None:
        self._optimizer, self._pacer, self._loss, self._took = optimizer, pacer, loss, took

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of the optimizer."""
        return self._optimizer.param_groups

    def zero_grad(self) -> None:
        """Of the optimizer."""
        self._optimizer.zero_grad()

    def step(self) -> None:
        """One update, if there are any left."""
        if self._pacer.done:
            return
        loss = self._loss()
        self._pacer.step(loss)
        self._took(loss.item())


def _several(make: Callable[[], Any], copies: int) -> Any:
    several = need("stable_baselines3.common.vec_env", extra="rl", purpose=PURPOSE)
    watch = need("stable_baselines3.common.monitor", extra="rl", purpose=PURPOSE).Monitor
    return several.DummyVecEnv([lambda: watch(make()) for _ in range(copies)])


def _paced(base: Any, learner: Learner, *, double: bool) -> Any:
    """A class of stable-baselines3 that leaves the learning rate alone and tells its loss."""

    class Paced(base):  # type: ignore[misc] # its class is not known before it is imported
        def _update_learning_rate(self, optimizers: Any) -> None:
            """The Pacer does."""

        def _update_current_progress_remaining(self, num_timesteps: int, total: int) -> None:
            self._current_progress_remaining = 1.0 - learner.progress()

    if base.__name__ != "DQN":
        return Paced

    class PacedValues(Paced):
        def train(self, gradient_steps: int, batch_size: int = 100) -> None:
            self.policy.set_training_mode(True)
            for _ in range(gradient_steps):
                met = self.replay_buffer.sample(batch_size)
                loss = nn.functional.smooth_l1_loss(
                    self.q_net(met.observations).gather(1, met.actions.long()),
                    _wanted(self, met, double=double),
                )
                learner.loss = loss
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call] # torch
                nn.utils.clip_grad_norm_(self.q_net.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
            self._n_updates += gradient_steps

    return PacedValues


@torch.no_grad()
def _wanted(model: Any, met: Any, *, double: bool) -> Tensor:
    """What the value of an action should be, by the target network: float32 [n, 1].

    ``r + γ (1 - ended) Q'(s', argmax Q'(s', ·))``; double: the best action is the one of the
    network that learns, van Hasselt et al. 2016, "Deep Reinforcement Learning with Double
    Q-learning", equation 4.
    """
    after = model.q_net_target(met.next_observations)
    chooser = model.q_net(met.next_observations) if double else after
    best = after.gather(1, chooser.argmax(1, keepdim=True))
    discount = model.gamma if met.discounts is None else met.discounts
    wanted: Tensor = met.rewards + (1 - met.dones) * discount * best
    return wanted
