"""paceline fit: train, measure, save and explain a model."""

from __future__ import annotations

import json
import sys
import time as wall
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from paceline.core.errors import SettingError
from paceline.report.console import Console, result_table

Many = Annotated[tuple[str, ...], Parameter(name="--set", negative="", consume_multiple=False)]


def fit(
    data: str,
    /,
    *,
    target: Annotated[str | None, Parameter(name=["--target", "-t"])] = None,
    task: str | None = None,
    model: str | None = None,
    text: str | None = None,
    group: str | None = None,
    backbone: str | None = None,
    labels: int | None = None,
    seed: int | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    time: str | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    test: Annotated[str | None, Parameter(name="--test-data")] = None,
    device: str | None = None,
    agents: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    min_agents: int | None = None,
    slow: str | None = None,
    policy: str | None = None,
    watch: Annotated[bool, Parameter(negative="")] = False,
    recipe: Path | None = None,
    assignments: Many = (),
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    baselines: bool = True,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Train a model on DATA, measure it beside plain baselines, save and explain it.

    DATA is ``digits`` (embedded); a table (CSV, Parquet, JSON lines) with
    --target, of numbers, categories, sentences, names of images or sounds,
    or of users, items and ratings; a folder with one folder of images, sounds
    or texts per class; MNIST's idx format; an .npz; tagged words in CoNLL
    columns; plain text; the id of a gymnasium environment; or an archive of
    these. What there is to learn is found from it, and said.

    Examples:

        paceline fit digits

        paceline fit houses.csv --target price --time 10m

        paceline fit photos/ --epochs 30 --out runs/photos --set model.width=48

        paceline fit reviews.csv --target stars --text review --backbone hf:models/minilm

        paceline fit CartPole-v1 --steps 50000

        paceline fit photos/ --agents 4 --slow 1,1,2,4

        paceline fit photos/ --epochs 30 --out runs/photos --set model.width=48 --resume

    Parameters
    ----------
    data
        What to learn from.
    target
        The column to predict, for tables.
    task
        A task, `paceline parts tasks` lists them, or the goal: classification, regression.
        Found from DATA.
    model
        A network by name; `paceline parts models` lists them.
    text
        The column with sentences, where it is not found by itself.
    group
        A column whose equal values are never divided between training and test.
    backbone
        A network that was trained before: hf:FOLDER for text and tagging, timm:NAME for images.
    labels
        Look at so many labels only; the other examples count as unlabelled.
    seed
        Of the division, the weights, the order and the augmentation. [default: 0]
    steps
        Budget in updates of the weights.
    epochs
        Budget in passes over the training examples.
    time
        Budget as time, 90s or 10m or 1h30m; testing and saving are included.
    out
        The run's directory. [default: a new one under paceline-runs]
    resume
        Go on with the run in --out.
    test
        A file or folder to test on, instead of a part split off.
    device
        auto, cpu, cuda, cuda:1 or mps. [default: auto]
    agents
        Processes that compute each gradient together, each on its share of the batch.
    engine
        Where the agents live: local, ray or torchrun. [default: local]
    address
        Of a Ray cluster that runs already. [default: one of this machine alone]
    min_agents
        With fewer left the run saves and stops. [default: 1]
    slow
        Agents that pretend to be so many times slower, 1,1,2,4; to experiment.
    policy
        How the batch is shared out; `paceline parts policies` lists them. [default: model]
    watch
        Share the batch equally, and only write down what the policy would have done.
    recipe
        A TOML file with settings.
    assignments
        A setting, section.key=value; may be repeated.
    skip_bad
        Leave out files that cannot be read.
    baselines
        Measure plain baselines too.
    as_json
        One JSON object on the last line of stdout.
    quiet
        Say nothing but errors.
    """
    started = wall.monotonic()
    with Console(quiet=quiet) as console:
        from paceline.jobs.fit import fit as run_fit

        run = run_fit(
            data,
            target=target,
            task=task,
            model=model,
            test=test,
            seed=seed,
            steps=steps,
            epochs=epochs,
            time=time,
            out=out,
            resume=resume,
            baselines=None if baselines else False,
            skip_bad=skip_bad or None,
            device=device,
            agents=agents,
            settings=_agent_settings(
                slow, policy, engine=engine, address=address, min_agents=min_agents, watch=watch
            )
            | _given(
                {
                    "task.text": text,
                    "data.group": group,
                    "task.backbone": backbone,
                    "data.labels": labels,
                }
            ),
            recipe=recipe,
            assignments=assignments,
            progress=console,
            started=started,
        )
    result = run.facts.get("result", {})
    if not quiet:
        console.show(result_table(run.facts))
        _say_where(run.path)
    if as_json:
        sys.stdout.write(json.dumps(_object(run, result)) + "\n")
    return 130 if result.get("stopped") == "interrupted" else 0


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _agent_settings(slow: str | None, policy: str | None, **given: Any) -> dict[str, Any]:
    given["watch"] = given["watch"] or None
    if policy is not None:
        given["policy.name"] = policy
    if slow is not None:
        try:
            given["slow"] = [float(each) for each in slow.split(",")]
        except ValueError:
            raise SettingError(f"--slow takes numbers such as 1,1,2,4, got {slow!r}") from None
    return {f"agents.{name}": value for name, value in given.items() if value is not None}


def _object(run: Any, result: dict[str, Any]) -> dict[str, Any]:
    task = run.facts["task"]
    return {
        "run": str(run.path),
        "task": task["name"],
        "goal": task["goal"]["name"],
        "test": run.test,
        "validation": result.get("validation", {}),
        "baselines": run.baselines,
        "steps": result.get("steps", 0),
        "seconds": result.get("seconds", 0.0),
        "cpu_seconds": result.get("cpu_seconds", 0.0),
        "stopped": result.get("stopped", ""),
    }


def _say_where(path: Path) -> None:
    lines = [
        f"model   {path / 'model.safetensors'}",
        f"report  {path / 'report.html'}",
        f"next    paceline predict {path} INPUT   ·   paceline why {path}",
    ]
    sys.stderr.write("\n".join(lines) + "\n")
