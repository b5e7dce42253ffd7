"""What came of each seed, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from torch import Tensor

from paceline.core.findings import Finding
from paceline.jobs.control.play import Played, interquartile_mean


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What came of one seed.

    Attributes:
        played: Episodes with the chosen weights, that nothing was chosen by.
        steps: Of the environment, in training.
        look_steps: Of the environment, in looks.
        updates: Of the weights.
        best_step: The step of training of the chosen weights.
        looked: Their mean return in the look that chose them.
        weights: The chosen ones.
    """

    seed: int
    played: Played
    steps: int
    look_steps: int
    updates: int
    best_step: int
    looked: float
    weights: dict[str, Tensor]

    def to_json(self) -> dict[str, Any]:
        """All but the weights, as JSON values."""
        return {
            "seed": self.seed,
            "returns": self.played.returns.tolist(),
            "lengths": self.played.lengths.tolist(),
            "steps": self.steps,
            "look_steps": self.look_steps,
            "updates": self.updates,
            "best_step": self.best_step,
            "looked": self.looked,
        }

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return self.to_json() | {"weights": self.weights}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Trained:
        """Back from what ``state_dict`` gave."""
        rest = {name: state[name] for name in state if name not in ("returns", "lengths")}
        played = Played(returns=np.array(state["returns"]), lengths=np.array(state["lengths"]))
        return Trained(played=played, **rest)


def tested(finished: list[Trained]) -> dict[str, float]:
    """The mean over seeds of each metric; of several seeds the interquartile mean is theirs."""
    rows = [each.played.metrics() for each in finished]
    found = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    if len(rows) > 1:
        found["iqm_return"] = interquartile_mean(np.array([row["mean_return"] for row in rows]))
        found["lowest_return"] = min(row["lowest_return"] for row in rows)
    return found


def each_seed(finished: list[Trained]) -> Finding:
    """A row for each seed."""
    heads = ("seed", "mean return", "lowest", "highest", "weights of step", "steps", "in looks")
    rows = tuple(
        (
            str(each.seed),
            float(each.played.returns.mean()),
            float(each.played.returns.min()),
            float(each.played.returns.max()),
            each.best_step,
            each.steps + each.look_steps,
            each.look_steps,
        )
        for each in finished
    )
    note = (
        f"{len(finished[0].played.returns)} episodes each, that nothing was chosen by. Steps are"
        " all that were made in the environment before them, those of looks among them."
    )
    return Finding(title="Each seed", columns=heads, rows=rows, note=note)
