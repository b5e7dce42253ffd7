"""Trains the networks of scheduling policies in simulated clusters, and tests them in others."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from paceline.core.errors import SettingError, nearest
from paceline.core.extras import need
from paceline.core.files import write_atomically
from paceline.core.progress import Progress, Silence
from paceline.policies.base.networks import Network, read_network, write_network

EPISODES: Final = 150
TESTS: Final = 10
TRAINED_ON, HELD_OUT = "laws", "laws_held_out"
# Worlds of the tests are drawn by other seeds than those of the training.
_TEST_SEED: Final = 1_000_003
# So often the network is looked at in worlds of a third kind, and the best one is kept.
_LOOKS, _LOOK_WORLDS, _LOOK_SEED = 6, 3, 2_000_003
_SEEDS: Final = 2**31
_WIDTHS: Final = (64, 64)
_ALL: Final[dict[str, Any]] = {"device": "cpu"}
_METHODS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "a2c": (
        "A2C",
        {"gamma": 0.9, "learning_rate": 1e-3, "n_steps": 64, "ent_coef": 0.003, "gae_lambda": 0.9},
    ),
    "dqn": (
        "DQN",
        {
            "gamma": 0.8,
            "learning_rate": 5e-4,
            "train_freq": 4,
            "exploration_fraction": 0.5,
            "target_update_interval": 500,
            "learning_starts": 1000,
            "buffer_size": 100_000,
            "batch_size": 64,
        },
    ),
    "ppo": (
        "PPO",
        {
            "gamma": 0.9,
            "learning_rate": 5e-4,
            "n_steps": 2048,
            "batch_size": 256,
            "ent_coef": 0.003,
        },
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedAgents:
    """What came of a training.

    Attributes:
        out: The network's file.
        episodes: Simulated worlds to learn from.
        steps: Rounds in them.
        tests: Worlds to test it in, of each kind.
        share_of_oracle: What its choices were worth over the best ones, in worlds with laws
            like those of the training; the mean over all rounds.
        share_held_out: The same in worlds with laws of other forms.
    """

    out: Path
    episodes: int
    steps: int
    tests: int
    share_of_oracle: float
    share_held_out: float


def names() -> tuple[str, ...]:
    """The policies whose network can be trained.

    >>> names()
    ('a2c', 'dqn', 'ppo')
    """
    return tuple(sorted(_METHODS))


def train_agents_policy(
    name: str,
    out: Path,
    *,
    episodes: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedAgents:
    """Trains a policy's network, tests it, and writes it as safetensors.

    Each episode is a world of the scenario ``laws`` with agents, links and laws drawn at
    random. The tests are other worlds of it, and worlds of ``laws_held_out``.

    Args:
        name: One of ``names()``.
        out: The file to write; one that is there must be such a network too.
        episodes: Worlds to learn from, at least 1; 150 when None.
        seed: Of everything that is drawn, from 0 to 2³¹ − 1.
        progress: Is told how far it is.

    Raises:
        SettingError: A setting is out of its range, or ``out`` is something else.
        StorageError: ``out`` cannot be written.
        MissingExtra: The extra ``rl`` is not installed.
    """
    episodes = EPISODES if episodes is None else episodes
    _refuse(name, out, episodes, seed)
    listener = progress or Silence()
    need("stable_baselines3", extra="rl", purpose="training a policy for agents")
    with _one_thread():
        world = _environment(TRAINED_ON)
        steps = episodes * _rounds(world)
        network = _train(name, world, steps, seed, listener)
    shares = {}
    for number, scenario in enumerate((TRAINED_ON, HELD_OUT)):
        shares[scenario] = _share(network, scenario, seed + _TEST_SEED, TESTS)
        listener.advance("test", (number + 1) / 2, scenario)
    found = TrainedAgents(
        out=out,
        episodes=episodes,
        steps=steps,
        tests=TESTS,
        share_of_oracle=shares[TRAINED_ON],
        share_held_out=shares[HELD_OUT],
    )
    write_atomically(out, write_network(network, _facts(name, found, seed)))
    return found


def _facts(name: str, found: TrainedAgents, seed: int) -> dict[str, Any]:
    shares = {TRAINED_ON: found.share_of_oracle, HELD_OUT: found.share_held_out}
    return {
        "policy": name,
        "trained": {"scenario": TRAINED_ON, "episodes": found.episodes, "seed": seed},
        "tested": {scenario: round(share, 4) for scenario, share in shares.items()},
    }


def _environment(scenario: str) -> Any:
    module = need(
        "paceline.agents.simulation.environment", extra="rl", purpose="training a policy for agents"
    )
    return module.SchedulingEnv(scenario)


def _rounds(environment: Any) -> int:
    """Steps of an episode: the first round is played by the reset."""
    return max(int(environment.scenario.rounds) - 1, 1)


def _train(name: str, environment: Any, steps: int, seed: int, listener: Progress) -> Network:
    """The network after so many steps."""
    library = need("stable_baselines3", extra="rl", purpose="training a policy for agents")
    callbacks = need(
        "stable_baselines3.common.callbacks", extra="rl", purpose="training a policy for agents"
    )
    method, settings = _METHODS[name]
    every = max(steps // _LOOKS, 1)
    best: list[tuple[float, Network]] = []

    def tell(now: dict[str, Any], _: dict[str, Any]) -> bool:
        model, done = now["self"], int(now["self"].num_timesteps)
        listener.advance("train", min(done / steps, 1.0), f"{name}, {done} rounds")
        if done % every == 0:
            network = _network_of(model)
            best.append((_share(network, TRAINED_ON, seed + _LOOK_SEED, _LOOK_WORLDS), network))
            best[:] = [max(best, key=lambda each: each[0])]
        return True

    model = getattr(library, method)(
        "MlpPolicy",
        environment,
        seed=seed,
        policy_kwargs={"net_arch": list(_WIDTHS), "activation_fn": torch.nn.Tanh},
        **(_ALL | settings),
    )
    model.learn(steps, callback=callbacks.ConvertCallback(tell))
    return best[0][1] if best else _network_of(model)


def _network_of(model: Any) -> Network:
    """The layers that choose a move, of a model of stable-baselines3."""
    policy = model.policy
    parts = (
        [policy.q_net.q_net]
        if hasattr(policy, "q_net")
        else [policy.mlp_extractor.policy_net, policy.action_net]
    )
    linear = [
        module for part in parts for module in part.modules() if isinstance(module, torch.nn.Linear)
    ]
    return Network(
        [
            (each.weight.detach().cpu().double().numpy(), each.bias.detach().cpu().double().numpy())
            for each in linear
        ]
    )


def _share(network: Network, scenario: str, seed: int, worlds: int) -> float:
    """The mean worth of the network's choices over the best ones, in some worlds."""
    environment = _environment(scenario)
    shares = []
    for number in range(worlds):
        features, _ = environment.reset(seed=(seed + number) % _SEEDS)
        over = False
        while not over:
            move = np.int64(network(features.astype(float)).argmax())
            features, reward, dead, cut_off, _ = environment.step(move)
            shares.append(float(reward))
            over = dead or cut_off
    return math.fsum(shares) / len(shares)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small only wait for other threads."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)


def _refuse(name: str, out: Path, episodes: int, seed: int) -> None:
    if name not in names():
        raise SettingError(f"there is no policy {name!r} with a network{nearest(name, names())}")
    if episodes < 1:
        raise SettingError(f"episodes must be at least 1, got {episodes}")
    if not 0 <= seed < _SEEDS:
        raise SettingError(f"seed must be from 0 to {_SEEDS - 1}, got {seed}")
    if not out.parent.is_dir():
        raise SettingError(f"{out}: there is no directory {out.parent}; make it, or choose another")
    if out.exists():
        try:
            read_network(out.read_bytes(), str(out))
        except (SettingError, OSError):
            raise SettingError(
                f"{out} exists and is no policy network; it is left as it is, choose another --out"
            ) from None
