"""Does a DQN balance CartPole-v1 within 50,000 steps, whatever the seed?

    python benchmarks/tasks_control.py

Ten seeds, defaults. The steps are all that were made in the environment, those of looks at
the weights among them; the 100 episodes of the measurement come after, and nothing is chosen
by them. Beside it in the same run: stable-baselines3's DQN as RL Baselines3 Zoo publishes its
settings for CartPole-v1, 50,000 steps, its last weights, measured by the same 100 episodes.
The defaults were set on the seeds 100 and over.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import gymnasium
import torch
from harness import write_result
from stable_baselines3 import DQN

import paceline
from paceline.jobs.control.play import interquartile_mean, play

PLACE, STEPS, GOAL = "CartPole-v1", 50_000, 475.0
PUBLISHED: dict[str, Any] = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}


def measure(seed: int, steps: int = STEPS, episodes: int = 100) -> dict[str, Any]:
    """What ``paceline.fit`` reaches with a seed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = paceline.fit(
            PLACE,
            seed=seed,
            steps=steps,
            out=f"{folder}/run",
            baselines=False,
            settings={"task.episodes": episodes, "task.pictures": False},
        )
        (one,) = run.facts["result"]["seeds"]
        return run.test | {
            "environment_steps": one["steps"] + one["look_steps"],
            "look_steps": one["look_steps"],
            "weights_of_step": one["best_step"],
            "cpu_seconds": time.process_time() - began,
        }


def published(seed: int, steps: int = STEPS, episodes: int = 100) -> dict[str, Any]:
    """What the published settings reach with a seed."""
    began = time.process_time()
    model = DQN("MlpPolicy", gymnasium.make(PLACE), seed=seed, device="cpu", **PUBLISHED)
    model.learn(steps)
    played = play(
        lambda: gymnasium.make(PLACE),
        lambda seen: model.predict(seen, deterministic=True)[0],
        seed=2_000_000 + 10_000 * seed,
        episodes=episodes,
    )
    return played.metrics() | {
        "environment_steps": steps,
        "cpu_seconds": time.process_time() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a few steps")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--no-rival", action="store_true", help="leave out the published settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    short = {"steps": 1500, "episodes": 5} if given.smoke else {}
    seeds = given.seeds[:1] if given.smoke else given.seeds
    ways = {"paceline": measure} | ({} if given.no_rival else {"published": published})
    figures: dict[str, Any] = {}
    for name, way in ways.items():
        rows = []
        for seed in seeds:
            rows.append(way(seed, **short))
            print(f"{name:9} seed {seed}: {rows[-1]['mean_return']:.1f}", flush=True)
        means = [row["mean_return"] for row in rows]
        figures[name] = {
            "at_goal": sum(mean >= GOAL for mean in means),
            "mean_returns": means,
            "iqm_of_means": interquartile_mean(means),
            "rows": rows,
        }
        print(f"{name:9} {figures[name]['at_goal']} of {len(seeds)} at {GOAL:g} or more")
    if not given.smoke:
        write_result(__file__, {"seeds": seeds, "goal": GOAL, "steps": STEPS} | figures)


if __name__ == "__main__":
    main()
