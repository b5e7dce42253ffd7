"""Which learning rate: a range sweep, and a race of short forks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from paceline.controllers.base.trials import DIVERGED, Trial
from paceline.core.readings import Move, Steer

LOWEST, HIGHEST = -7.0, 3.0


def sweep(steps: int, batch: int) -> Trial[float]:
    """Raises the rate from 1e-7 to 1e3 in equal ratios on one batch, over and over.

    Stops where the loss blows up. Gives the rate before the one at which the loss was
    lowest (after Smith 2017, "Cyclical Learning Rates", section 3.3; on one batch, so
    that the losses differ by the rate alone).
    """
    losses: list[float] = []
    rates: list[float] = []
    moves: tuple[Move, ...] = (Move("keep", "sweep"),)
    for at in range(steps):
        rates.append(10 ** (LOWEST + (HIGHEST - LOWEST) * at / (steps - 1)))
        losses.append(
            (
                yield Steer(
                    learning_rate=rates[-1],
                    batch=batch,
                    moves=moves,
                    probing=True,
                    reason="range sweep on one batch",
                )
            )
        )
        moves = ()
        blown = losses[-1] > 2 * losses[0] + 0.5
        turned = at > 4 and losses[-1] >= losses[0] and min(losses) < 0.97 * losses[0]
        if blown or turned:
            break
    return rates[max(losses.index(min(losses)) - 1, 0)]


@dataclass
class Race:
    """Where a race stands; the best rate so far and what every rate scored."""

    rate: float
    best: float = DIVERGED
    trace: list[float] = field(default_factory=list)
    scores: dict[float, float] = field(default_factory=dict)
    pending: tuple[Move, ...] = (Move("keep", "start"),)


def fork(
    race: Race, rate: float, steps: int, batch: int, rival: Sequence[float] | None
) -> Trial[tuple[float, list[float]]]:
    """Some steps from the start of the race, with a decay of their own.

    Gives the mean loss of the last third, and all losses. Given up when it diverges or
    stands clearly behind the rival on the same batches.
    """
    losses: list[float] = []
    moves = race.pending
    race.pending = (Move("restore", "start"),)
    for at in range(steps):
        losses.append(
            (
                yield Steer(
                    learning_rate=rate * (1 - at / steps),
                    batch=batch + at,
                    moves=moves,
                    probing=True,
                    reason=f"race: {steps} steps from {rate:.2g}",
                )
            )
        )
        moves = ()
        if losses[-1] > 4 * losses[0] + 2:
            return DIVERGED, losses
        if rival is not None and at >= steps // 3 and at % 4 == 0 and _behind(losses, rival):
            return DIVERGED, losses
    return fmean(losses[-max(steps // 3, 4) :]), losses


def race(rate: float, steps: int, batch: int, ratio: float) -> Trial[Race]:
    """Climbs on the logarithm of the rate by forks; the winner's state is kept as ``won``."""
    standing = Race(rate=rate)
    standing.best, standing.trace = yield from fork(standing, rate, steps, batch, None)
    standing.scores[rate] = standing.best
    standing.pending = (Move("keep", "won"), *standing.pending)
    moved = False
    for up in (True, False):
        if not up and moved:
            break
        for _ in range(2):
            tried = standing.rate * (ratio if up else 1 / ratio)
            if not (yield from _challenged(standing, tried, steps, batch, up=up)):
                break
            moved = True
    return standing


def _challenged(standing: Race, tried: float, steps: int, batch: int, *, up: bool) -> Trial[bool]:
    sound = standing.best < DIVERGED
    rival = standing.trace if sound else None
    score, losses = yield from fork(standing, tried, steps, batch, rival)
    standing.scores[tried] = score
    diverged = losses[-1] > 4 * losses[0] + 2
    if score >= DIVERGED and not diverged and sound:  # given up: what it would have come to
        half = len(losses) // 2
        behind = fmean(a - b for a, b in zip(losses[half:], standing.trace[half:], strict=False))
        standing.scores[tried] = standing.best + max(behind, 0.0)
    if score < standing.best or (not sound and not up):
        standing.best, standing.trace, standing.rate = score, losses, tried
        standing.pending = (Move("keep", "won"), *standing.pending)
        return True
    return False


def vertex(scores: dict[float, float], rate: float, ratio: float) -> float:
    """Where a parabola through the winner and its neighbours is lowest, in powers of the ratio.

    Between -0.5 and 0.5; an unknown neighbour counts as neutral.

    >>> vertex({1.0: 2.0, 3.0: 3.0, 1 / 3: 3.0}, 1.0, 3.0)
    0.0
    """
    middle, above, below = (_near(scores, rate * ratio**at) for at in (0, 1, -1))
    if middle is None or middle >= DIVERGED or (above is None and below is None):
        return 0.0
    if above is None:
        return 0.25
    if below is None:
        return -0.25 if above - middle > 0.5 * abs(middle) else 0.0
    above, below = above - middle, below - middle
    least = max(min(above, below), 1e-3 * abs(middle) + 1e-9)
    above, below = (min(max(each, 0.0), 6 * least) for each in (above, below))
    return 0.5 * (below - above) / (below + above + 1e-12)


def _near(scores: dict[float, float], rate: float) -> float | None:
    found = (score for tried, score in scores.items() if abs(math.log(tried / rate)) < 0.05)
    return next(found, None)


def _behind(losses: Sequence[float], rival: Sequence[float]) -> bool:
    apart = [a - b for a, b in zip(losses[1:], rival[1:], strict=False)]
    apart = apart[len(apart) // 2 :]
    return fmean(apart) > max(pstdev(apart), 0.0) and fmean(apart) > 0
