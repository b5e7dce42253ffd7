"""A simulated world as an environment of gymnasium, to train policies in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from paceline.agents.simulation.scenario import Scenario, read_scenario
from paceline.agents.simulation.speed_curves import Counts
from paceline.agents.simulation.world import Outcome, Truth, World
from paceline.core.errors import MissingExtra
from paceline.core.rounds import AgentReading, RoundReading
from paceline.policies.base.grid import MOVES, Grid
from paceline.policies.base.sight import BOUND, SIZE, Sight

try:
    import gymnasium
    from gymnasium import spaces
except ModuleNotFoundError as error:
    raise MissingExtra(
        'the training of policies needs the package gymnasium: pip install "paceline[rl]"'
    ) from error

Features = NDArray[np.float32]
_SEEDS = 2**31


@final
class SchedulingEnv(gymnasium.Env[Features, np.int64]):
    """Moves on the grid of sync intervals and batches, round by round.

    Shares are left to arithmetic: each round is shared out as well as can be. An action is
    one of ``MOVES``; an observation is what ``Sight`` tells. The reward is what the choice is
    worth over the best one's, without noise, from 0 to 1. Each episode is a world of its own,
    begins at a choice drawn at random, and is cut off after the scenario's rounds.

    Args:
        scenario: With choices, a shipped one by name, or a TOML file.
        agents: As for a ``World``.
        rounds: Of an episode; the scenario's own number when None.

    Raises:
        SettingError: The scenario or a number is not as it must be.

    >>> environment = SchedulingEnv("laws", rounds=10)
    >>> features, _ = environment.reset(seed=3)
    >>> _, reward, over, cut_off, _ = environment.step(np.int64(0))
    >>> 0 < reward <= 1, over, cut_off
    (True, False, False)
    """

    def __init__(
        self,
        scenario: str | Path | Scenario = "laws",
        *,
        agents: int | None = None,
        rounds: int | None = None,
    ) -> None:
        self.scenario = scenario if isinstance(scenario, Scenario) else read_scenario(scenario)
        self._agents, self._rounds = agents, rounds
        self.world = self._new(0)
        self.action_space = spaces.Discrete(len(MOVES))
        self.observation_space = spaces.Box(-BOUND, BOUND, (SIZE,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Features, dict[str, Any]]:
        """A new world; the same seed gives the same one."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(_SEEDS))
        self.world = self._new(drawn)
        self.grid = Grid(self.world.choices)
        self.sight = Sight()
        self.choice = int(self.np_random.integers(len(self.world.choices)))
        self._shared: tuple[bytes, Counts] | None = None
        reading = self._play()[0]
        return self.sight.features(reading), {}

    def step(self, action: np.int64) -> tuple[Features, float, bool, bool, dict[str, Any]]:
        """One round with the choice that the move leads to."""
        self.choice = self.grid.neighbours(self.choice)[int(action)]
        reading, worth = self._play()
        over = not self.world.up.any()
        cut_off = self.world.round >= self.world.rounds
        return self.sight.features(reading), worth, over, cut_off, {"choice": self.choice}

    def _new(self, seed: int) -> World:
        return World(self.scenario, agents=self._agents, rounds=self._rounds, seed=seed)

    def _play(self) -> tuple[RoundReading, float]:
        """A round with the present choice; what was read, and what it was worth."""
        world, truth = self.world, self.world.truth()
        samples = self._shares(truth)
        worth = self._worth(truth, samples)
        outcome = world.step(samples[: world.present], self.choice)
        reading = self._reading(samples, outcome)
        self.sight.remember(reading)
        return reading, worth

    def _shares(self, truth: Truth) -> Counts:
        key = b"".join(
            each.tobytes() for each in (truth.curves.start, truth.curves.slope, truth.up)
        )
        if self._shared is None or self._shared[0] != key:
            self._shared = key, truth.curves.fill(self.world.total, truth.up)
        return self._shared[1]

    def _worth(self, truth: Truth, samples: Counts) -> float:
        compute = float(truth.curves.seconds(samples).max())
        communication = float(truth.communication(int((samples > 0).sum())))
        values = truth.steps * truth.efficiency / (truth.steps * compute + communication)
        return float(values[self.choice] / values.max())

    def _reading(self, samples: Counts, outcome: Outcome) -> RoundReading:
        agents = tuple(
            AgentReading(samples=int(given), seconds=seconds)
            for given, seconds in zip(samples.tolist(), outcome.agent_seconds, strict=False)
        )
        return RoundReading(
            round=self.world.round,
            total=self.world.total,
            agents=agents,
            communication_seconds=outcome.communication_seconds,
            choices=self.world.choices,
            chosen=self.choice,
            progress=outcome.progress,
        )
