"""Episodes: played by a policy, counted, and shown."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from paceline.core.findings import Finding

Array = np.ndarray[Any, Any]
Act = Callable[[Array], Array]
Make = Callable[[], Any]
TOGETHER = 10
_FRAMES = 8
_WIDEST = 240
_LONGEST = 100_000


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """Some whole episodes.

    Attributes:
        returns: The sum of rewards of each, float64 [episodes].
        lengths: Steps of each, int64 [episodes].

    >>> Played(returns=np.array([1.0, 2.0, 3.0, 10.0]), lengths=np.ones(4)).metrics()["iqm_return"]
    2.5
    """

    returns: Array
    lengths: Array

    @property
    def steps(self) -> int:
        """Of the environment, in all."""
        return int(self.lengths.sum())

    def metrics(self) -> dict[str, float]:
        """Mean return and its companions."""
        return {
            "mean_return": float(self.returns.mean()),
            "iqm_return": interquartile_mean(self.returns),
            "lowest_return": float(self.returns.min()),
            "episode_steps": float(self.lengths.mean()),
        }


def interquartile_mean(values: Array) -> float:
    """The mean of the middle half; the quartiles' share of a value counts.

    Reference:
        Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
        NeurIPS 2021, section 4.3.

    >>> interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])), interquartile_mean(np.array([7.0]))
    (1.5, 7.0)
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    edges = np.arange(len(ordered) + 1) / len(ordered)
    weights = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None)
    return float((ordered * weights).sum() / weights.sum())


def play(
    make: Make, act: Act, *, seed: int, episodes: int | None = None, steps: int | None = None
) -> Played:
    """Plays whole episodes in several environments at a time.

    Every environment plays its share one after the other, so that short episodes are not
    preferred.

    Args:
        make: Gives an environment.
        act: Gives actions [n, ...] for observations [n, ...].
        seed: Of the first environment; the others' follow.
        episodes: How many; or else
        steps: Plays whole episodes until so many steps are made.
    """
    if episodes is None:
        assert steps is not None
        return _until(make, act, seed, steps)
    count = min(TOGETHER, episodes)
    games = [_Game(make, seed + at) for at in range(count)]
    shares = [episodes // count + (at < episodes % count) for at in range(count)]
    while playing := [at for at, game in enumerate(games) if len(game.returns) < shares[at]]:
        actions = act(np.stack([games[at].seen for at in playing]))
        for at, action in zip(playing, actions, strict=True):
            games[at].step(action)
    return _together(games)


def _until(make: Make, act: Act, seed: int, steps: int) -> Played:
    game = _Game(make, seed)
    while sum(game.lengths) < steps or not game.returns:
        game.step(act(game.seen[None])[0])
    return _together([game])


class _Game:
    """One environment and what was played in it."""

    def __init__(self, make: Make, seed: int) -> None:
        self._environment = make()
        self.seen, _ = self._environment.reset(seed=seed)
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self._sum, self._length = 0.0, 0

    def step(self, action: Any) -> None:
        self.seen, reward, ended, cut, _ = self._environment.step(action)
        self._sum += float(reward)
        self._length += 1
        if ended or cut or self._length >= _LONGEST:
            self.returns.append(self._sum)
            self.lengths.append(self._length)
            self._sum, self._length = 0.0, 0
            self.seen, _ = self._environment.reset()

    def close(self) -> None:
        self._environment.close()


def _together(games: list[_Game]) -> Played:
    for game in games:
        game.close()
    return Played(
        returns=np.array([each for game in games for each in game.returns]),
        lengths=np.array([each for game in games for each in game.lengths], dtype=np.int64),
    )


def plain_policies(space: Any, seed: int) -> dict[str, tuple[Act, str]]:
    """Policies that look at nothing, each with a note: random, and every constant one.

    Args:
        space: Of actions; of a continuous one the middle stands for all constants.
        seed: Of the random one.
    """
    space.seed(seed)

    def at_random(seen: Array) -> Array:
        return np.stack([space.sample() for _ in seen])

    found: dict[str, tuple[Act, str]] = {"random": (at_random, "")}
    for name, action in _constants(space).items():
        found[name] = (_always(action), "")
    return found


def _constants(space: Any) -> dict[str, Any]:
    if hasattr(space, "nvec"):
        return {"always the first": np.zeros(space.shape, space.dtype)}
    if hasattr(space, "start"):
        first = int(space.start)
        return {f"always {first + at}": np.int64(first + at) for at in range(int(space.n))}
    if hasattr(space, "low"):
        middle = np.clip((np.maximum(space.low, -1e3) + np.minimum(space.high, 1e3)) / 2, -1, 1)
        return {"always the middle": middle.astype(space.dtype)}
    return {}


def _always(action: Any) -> Act:
    return lambda seen: np.stack([action] * len(seen))


def pictures(environment: Any, act: Act, seed: int) -> Finding:
    """Some frames of one episode.

    Args:
        environment: Made so that ``render`` gives frames; it is closed.
        act: The policy.
        seed: Of the episode.
    """
    seen, _ = environment.reset(seed=seed)
    frames, total, over = [environment.render()], 0.0, False
    while not over and len(frames) < 1000:
        seen, reward, ended, cut, _ = environment.step(act(seen[None])[0])
        total, over = total + float(reward), ended or cut
        frames.append(environment.render())
    environment.close()
    chosen = np.unique(np.linspace(0, len(frames) - 1, _FRAMES).astype(int)).tolist()
    return Finding(
        title="One episode",
        kind="pictures",
        columns=("frame", "step"),
        rows=tuple((picture(frames[at]), f"step {at}") for at in chosen),
        note=f"The return of this episode is {total:g}.",
    )


def picture(frame: Array) -> str:
    """A frame as a PNG in a ``data:`` address, thinned to at most 240 pixels a side.

    Args:
        frame: uint8 [height, width, 3].

    >>> picture(np.zeros((2, 2, 3), np.uint8))[:40]
    'data:image/png;base64,iVBORw0KGgoAAAANSU'
    """
    every = -(-max(frame.shape[:2]) // _WIDEST)
    small = np.ascontiguousarray(frame[::every, ::every, :3], dtype=np.uint8)
    height, width = small.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in small)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(lines, 9))
        + _chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
