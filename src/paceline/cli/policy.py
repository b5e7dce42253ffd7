"""paceline policy: the tables of learned controllers and the networks of scheduling policies."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from paceline.cli._out import AsJson, put_json
from paceline.report.console import Console


def policy(
    action: Literal["train"],
    name: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    purpose: Annotated[Literal["agents", "learning-rate"], Parameter(name="--for")] = (
        "learning-rate"
    ),
    episodes: int | None = None,
    seed: int = 0,
    as_json: AsJson = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Train the table of a learned controller, or the network of a scheduling policy.

    A controller's table sets learning rates. It is trained on many small trainings of all
    kinds and tested on trainings of kinds that it never saw. A recipe uses it with
    ``--set controller.name=NAME --set controller.policy=FILE``.

    A scheduling policy's network chooses how often agents synchronise and how large the batch
    is. It is trained with stable-baselines3 (extra ``rl``) in simulated clusters drawn at
    random, and tested in others, also with laws of forms that it never saw. A Scheduler uses
    it with the policy's setting ``network``.

    Examples:

        paceline policy train q_learning --out mine.json

        paceline policy train sarsa --out mine.json --episodes 2000 --seed 1

        paceline policy train ppo --for agents --out mine.safetensors

    Parameters
    ----------
    action
        train.
    name
        bandit, double_q, q_learning or sarsa; for agents a2c, dqn or ppo.
    out
        The file; one that is there must be of the same kind, and is replaced.
    purpose
        agents or learning-rate.
    episodes
        Small trainings, or simulated clusters, to learn from; 400 and 150 when not given.
    seed
        Of all that is drawn.
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    work = _train_agents if purpose == "agents" else _train_controller
    with Console(quiet=quiet) as console:
        found, lines = work(name, out, episodes, seed, console)
    if as_json:
        put_json({"action": action, "name": name, **found})
    elif not quiet:
        sys.stderr.write(lines)
    return 0


def _train_controller(
    name: str, out: Path, episodes: int | None, seed: int, console: Console
) -> tuple[dict[str, Any], str]:
    from paceline.jobs.policy import EPISODES, train_policy

    count = EPISODES if episodes is None else episodes
    found = train_policy(name, out, episodes=count, seed=seed, progress=console)
    return asdict(found), (
        f"table   {found.out}  ({found.states} states, {found.episodes} episodes)\n"
        f"test    of {found.tests} trainings of other kinds, {found.beat_constant:.0%} ended"
        f" below the same rate kept constant, {found.beat_linear:.0%} below a linear decay\n"
    )


def _train_agents(
    name: str, out: Path, episodes: int | None, seed: int, console: Console
) -> tuple[dict[str, Any], str]:
    from paceline.jobs.policy_agents import train_agents_policy

    found = train_agents_policy(name, out, episodes=episodes, seed=seed, progress=console)
    return asdict(found), (
        f"network {found.out}  ({found.episodes} clusters, {found.steps} rounds)\n"
        f"test    in {found.tests} clusters each, its choices brought"
        f" {found.share_of_oracle:.1%} of the best ones under laws as in its training, and"
        f" {found.share_held_out:.1%} under laws of other forms\n"
    )
