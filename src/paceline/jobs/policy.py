"""Trains the tables of the learned controllers on small trainings, and tests them on others."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from paceline.controllers.base import Controller
from paceline.controllers.base.learned import ACTIONS, FORMAT, Learned, policy_facts
from paceline.core import catalog
from paceline.core.clock import ManualClock
from paceline.core.errors import SettingError, nearest
from paceline.core.files import write_atomically
from paceline.core.progress import Progress, Silence
from paceline.jobs.practice import HELD_OUT, OPTIMIZERS, TRAINING, make
from paceline.train.pacer import Pacer

EPISODES = 400
# Shares of the training with their step size and share of random actions: both get smaller.
_STAGES = ((0.25, 0.2, 0.6), (0.6, 0.05, 0.4), (1.0, 0.01, 0.2))
TESTS = 48
_DIGITS = 6
_SEEDS = 2**31
_FEWEST = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What came of a training.

    Attributes:
        out: The table's file.
        episodes: Trainings to learn from.
        states: How many the table knows.
        tests: Trainings of other kinds, to test it.
        beat_constant: Share of these that ended lower than the same start at a constant rate.
        beat_linear: Share of these that ended lower than the same start with a linear decay.
    """

    out: Path
    episodes: int
    states: int
    tests: int
    beat_constant: float
    beat_linear: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """One small training: all that it depends on but the controller."""

    kind: str
    optimizer: str
    learning_rate: float
    steps: int
    seed: int


def names() -> tuple[str, ...]:
    """The controllers whose policy is a table: they are called like their learners.

    >>> names()
    ('bandit', 'double_q', 'q_learning', 'sarsa')
    """
    return tuple(name for name in catalog.names("learners") if name in catalog.names("controllers"))


def train_policy(
    name: str,
    out: Path,
    *,
    episodes: int = EPISODES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """Trains a controller's table and writes it, tested on trainings of kinds it never saw.

    Args:
        name: One of ``names()``.
        out: The file to write; one that is there must be such a table too.
        episodes: Trainings to learn from, at least 1.
        seed: Of everything that is drawn, at least 0.
        progress: Is told how far it is.

    Raises:
        SettingError: A setting is out of its range, or ``out`` is something else.
        StorageError: ``out`` cannot be written.
    """
    _refuse(name, out, episodes, seed)
    listener = progress or Silence()
    with _one_thread():
        known = _rounded(_train(name, episodes, seed, listener))
        beaten = _test(name, known, seed, listener)
    found = Trained(
        out=out,
        episodes=episodes,
        states=max(len(table) for table in known.values()),
        tests=TESTS,
        beat_constant=beaten["constant"],
        beat_linear=beaten["linear"],
    )
    _write(name, known, found, seed)
    return found


def run_episode(episode: Episode, controller: Controller) -> float:
    """The loss on fresh examples at the end of a small training; inf where it is not finite.

    >>> from paceline.core import catalog
    >>> episode = Episode(kind="quadratic", optimizer="sgd", learning_rate=0.1, steps=50, seed=3)
    >>> controller = catalog.find("controllers", "constant")(0.1)
    >>> run_episode(episode, controller) < make("quadratic", 3).score()
    True
    """
    practice = make(episode.kind, episode.seed)
    optimizer = OPTIMIZERS[episode.optimizer](practice.model.parameters(), lr=episode.learning_rate)
    pacer = Pacer(
        optimizer,
        total_steps=episode.steps,
        modules=[practice.model],
        controller=controller,
        beside=(),
        clock=ManualClock(),
    )
    generator = torch.Generator().manual_seed(episode.seed)
    while not pacer.done:
        optimizer.zero_grad()
        loss = practice.model(*practice.batch(generator))
        loss.backward()
        pacer.step(loss)
    return practice.score()


def episodes_of(kinds: list[str], count: int, seed: str) -> Iterator[Episode]:
    """Random small trainings, the kinds and optimizers in turn.

    >>> [each.kind for each in episodes_of(["spirals", "series"], 3, "0")]
    ['spirals', 'series', 'spirals']
    """
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        optimizers = sorted(OPTIMIZERS)
        yield Episode(
            kind=kinds[number % len(kinds)],
            optimizer=optimizers[number // len(kinds) % len(optimizers)],
            learning_rate=10 ** draw.uniform(-6, 1),
            steps=round(_FEWEST * 3 ** draw.random()),
            seed=draw.randrange(_SEEDS),
        )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Trainings this small only wait for other threads, and sums depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(name: str, episodes: int, seed: int, listener: Progress) -> dict[str, Any]:
    """The state of a learner after all episodes."""
    known: dict[str, Any] = {}
    for number, episode in enumerate(episodes_of(sorted(TRAINING), episodes, f"train {seed}")):
        share = number / episodes
        rate, exploration = next(each[1:] for each in _STAGES if share < each[0])
        controller = _taught(
            name, episode, known, learn_rate=rate, exploration=exploration, seed=episode.seed
        )
        run_episode(episode, controller)
        known = controller.table.state_dict()
        listener.advance("train", (number + 1) / episodes, f"{episode.kind}, {episode.optimizer}")
    return known


def _test(name: str, known: dict[str, Any], seed: int, listener: Progress) -> dict[str, float]:
    """The shares of held-out trainings in which the table ends below its rivals."""
    rivals = {each: catalog.find("controllers", each) for each in ("constant", "linear")}
    beaten = dict.fromkeys(rivals, 0)
    for number, episode in enumerate(episodes_of(sorted(HELD_OUT), TESTS, f"test {seed}")):
        own = run_episode(episode, _taught(name, episode, known))
        for each, rival in rivals.items():
            beaten[each] += own < run_episode(episode, rival(episode.learning_rate))
        listener.advance("test", (number + 1) / TESTS, f"{episode.kind}, {episode.optimizer}")
    return {each: count / TESTS for each, count in beaten.items()}


def _taught(name: str, episode: Episode, known: dict[str, Any], **settings: Any) -> Learned:
    """The controller with a table that knows that, and nothing of the shipped one."""
    part = catalog.find("controllers", name)
    controller: Learned = catalog.build(part, settings, episode.learning_rate)
    learner = controller.blank()
    if known:
        learner.load_state_dict(known)
    controller.table = learner
    return controller


def _refuse(name: str, out: Path, episodes: int, seed: int) -> None:
    if name not in names():
        raise SettingError(f"there is no learned controller {name!r}{nearest(name, names())}")
    if episodes < 1:
        raise SettingError(f"episodes must be at least 1, got {episodes}")
    if seed < 0:
        raise SettingError(f"seed must be at least 0, got {seed}")
    if not out.parent.is_dir():
        raise SettingError(f"{out}: there is no directory {out.parent}; make it, or choose another")
    if out.exists():
        try:
            policy_facts(str(out))
        except SettingError:
            raise SettingError(
                f"{out} exists and is no policy table; it is left as it is, choose another --out"
            ) from None


def _write(name: str, state: Any, found: Trained, seed: int) -> None:
    facts = {
        "format": FORMAT,
        "learner": name,
        "actions": list(ACTIONS),
        "trained": {"episodes": found.episodes, "seed": seed, "kinds": sorted(TRAINING)},
        "tested": {
            "episodes": found.tests,
            "kinds": sorted(HELD_OUT),
            "beat_constant": found.beat_constant,
            "beat_linear": found.beat_linear,
        },
        "state": state,
    }
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    write_atomically(found.out, (text.replace("], ", "],\n") + "\n").encode())


def _rounded(value: Any) -> Any:
    """With six digits after the point: a table is no more exact than that."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
