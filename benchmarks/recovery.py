"""How long does training stand still when an agent dies, hangs or joins, and is anything lost?

    python benchmarks/recovery.py

Ours: 3 local agents that pretend to need about 50 ms a step; the time is that from the event to
the end of the first step that is committed after it (``kill``: kill -9 in the middle of a step;
``hang``: SIGSTOP, with the deadline of 1 s; ``join``: from the call to the end of the first step
in which the new one has a share). ``random kills``: kill -9 at random moments of random steps,
new agents keep up the numbers; the examples counted and the weights are compared with one
process (float64).

Beside it, in the same run, 2 processes each: torchrun's elastic agent (gloo, a checkpoint after
each step, kill -9 of one, the time to the first step after it), Ray Train (the same) and
torchft (with timeouts of 1 s, as ours), where they are installed; otherwise the reason is told.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import write_result
from teams import examples, network, one_process, optimizer_of, pace, team_of, weights_of

from paceline.agents.scheduler import Scheduler

BATCH, AGENTS, STEP_SECONDS = 60, 3, 0.05
LIMIT_SECONDS = 240.0
FIRST_STEPS = 5


class Ours:
    """A team with an optimizer, and a clock beside it."""

    def __init__(self, team: Any, model: torch.nn.Module) -> None:
        self.team, self.rows = team, examples(BATCH)
        self.optimizer, self.done = optimizer_of(model), 0

    def step(self) -> float:
        """One committed step; gives the moment of its end."""
        self.team.work_on([self.done])
        self.team.coverage.commit(self.rows.rows(self.done))
        self.optimizer.step()
        self.done += 1
        return time.perf_counter()

    def pace(self, seconds_per_example: float) -> None:
        """All pretend to be so fast."""
        pace(self.team, [seconds_per_example] * max(self.team.members))

    def send_in(self, seconds: float, number: int, sign: int) -> tuple[threading.Timer, list]:
        """Sends a signal after a while; notes when."""
        sent: list[float] = []
        process = self.team.members[number].process_id

        def send() -> None:
            sent.append(time.perf_counter())
            os.kill(process, sign)

        timer = threading.Timer(seconds, send)
        timer.start()
        return timer, sent

    def join(self) -> float:
        """One more agent; gives the moment of the end of the first step in which it has work."""
        number = self.team.join()
        self.team.members[number].wire.send(
            {"do": "pace", "seconds_per_example": STEP_SECONDS * AGENTS / BATCH}
        )
        while True:
            end = self.step()
            if any(lane.number == number and lane.samples for lane in self.team.lanes):
                return end

    def hit(self, sign: int) -> float:
        """Seconds from a signal in the middle of a step to the end of the first step after it."""
        victim = min(self.team.members)
        timer, sent = self.send_in(STEP_SECONDS / 2, victim, sign)
        while victim in self.team.members:
            end = self.step()
        timer.join()
        return end - sent[0]


def ours(times: int, kills: int, seed: int) -> dict[str, Any]:
    """All that is measured of our own."""
    model = network()
    rows = examples(BATCH)
    found: dict[str, Any] = {}
    with team_of(model, rows, Scheduler(AGENTS, "equal")) as team:
        crew = Ours(team, model)
        crew.pace(STEP_SECONDS * AGENTS / BATCH)
        ends = [crew.step() for _ in range(12)]
        found["step_seconds"] = statistics.median(np.diff(ends).tolist())
        found["kill"], found["hang"], found["join"] = [], [], []
        for _ in range(times):
            for name, sign in (("kill", signal.SIGKILL), ("hang", signal.SIGSTOP)):
                found[name].append(crew.hit(sign))
                began = time.perf_counter()
                found["join"].append(crew.join() - began)
        found["random_kills"] = many_kills(crew, kills, random.Random(seed))
        steps = crew.done
        counts = team.coverage.counts
    expected = np.zeros_like(counts)
    for number in range(steps):
        np.add.at(expected, rows.rows(number).numpy(), 1)
    found["random_kills"] |= {
        "steps_in_all": steps,
        "examples_lost_or_doubled": int(np.abs(counts - expected).sum()),
        "apart": (weights_of(model) - one_process(steps, BATCH)).abs().max().item(),
    }
    return found


def many_kills(crew: Ours, kills: int, chance: random.Random) -> dict[str, Any]:
    """Kills at random moments; between 1 and 5 agents are up."""
    crew.pace(0.0)
    killed: set[int] = set()
    longest, team = 0.0, crew.team
    while len(killed) < kills:
        while len(team.members.keys() - killed) < AGENTS:
            team.join()
        alive = sorted(team.members.keys() - killed)
        victims = chance.sample(alive, chance.randint(1, AGENTS - 1))
        began = time.perf_counter()
        timers = [
            crew.send_in(chance.random() * 0.02, victim, signal.SIGKILL)[0] for victim in victims
        ]
        killed.update(victims)
        for _ in range(chance.randint(1, 3)):
            crew.step()
        for timer in timers:
            timer.join()
        longest = max(longest, time.perf_counter() - began)
    while team.members.keys() & killed:
        crew.step()
    return {"kills": len(killed), "longest_seconds": longest}


# --- torchrun: this file is its script, too


def rank_of_torchrun(folder: Path) -> None:
    """A process of torchrun: steps until somebody says that it is enough."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    train_by_ddp(folder, rank, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def train_by_ddp(folder: Path, rank: int, life: str) -> None:
    """Steps, each of which is saved and noted."""
    model = torch.nn.parallel.DistributedDataParallel(network())
    rows, optimizer = examples(BATCH), optimizer_of(model)
    saved = folder / "saved.safetensors"
    from safetensors.torch import load_file, save_file

    if saved.exists():
        model.module.load_state_dict(load_file(saved))
    for number in range(100_000):
        batch = rows.pick(rows.rows(number)[rank::2])
        torch.nn.functional.cross_entropy(model(*batch.inputs), batch.targets).backward()
        optimizer.step()
        optimizer.zero_grad()
        time.sleep(STEP_SECONDS)
        if rank == 0:
            save_file(model.module.state_dict(), folder / "saved.new")
            (folder / "saved.new").replace(saved)
        line = {"at": time.time(), "life": life, "rank": rank, "process": os.getpid()}
        with (folder / f"steps.{rank}").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if (folder / "enough").exists():
            os._exit(0)


def lines_of(folder: Path, rank: int) -> list[dict[str, Any]]:
    """What a process has noted."""
    file = folder / f"steps.{rank}"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


def await_lines(
    folder: Path, enough: Callable[[dict[str, Any]], bool], count: int, alive: Callable[[], bool]
) -> list[dict[str, Any]] | None:
    """The notes of rank 0 that are meant, once there are so many; None where none come."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end and alive():
        found = [line for line in lines_of(folder, 0) if enough(line)]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    return None


def time_to_next_life(folder: Path, alive: Callable[[], bool]) -> dict[str, Any]:
    """Kills rank 1 and waits for the first step of the next life."""
    first = await_lines(folder, lambda line: True, FIRST_STEPS, alive)
    if first is None:
        return {"why_not": "it took no step"}
    victim = lines_of(folder, 1)[-1]["process"]
    at = time.time()
    os.kill(victim, signal.SIGKILL)
    life = first[0]["life"]
    after = await_lines(folder, lambda line: line["life"] != life, 1, alive)
    if after is None:
        return {"why_not": f"no step within {LIMIT_SECONDS:g} s after the kill"}
    return {"kill_seconds": after[0]["at"] - at}


def torchrun() -> dict[str, Any]:
    """torchrun's elastic agent with 2 processes, one of which is killed."""
    with tempfile.TemporaryDirectory() as name:
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            "--max-restarts=3", "--monitor-interval=0.1", __file__, "--as-rank-in", name,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        found = time_to_next_life(Path(name), lambda: process.poll() is None)
        (Path(name) / "enough").touch()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return found


# --- Ray Train


def rank_of_ray(config: dict[str, Any]) -> None:
    """A worker of Ray Train."""
    torch.set_num_threads(1)
    train_by_ddp(Path(config["folder"]), torch.distributed.get_rank(), str(os.getpid()))


def drive_ray(folder: str) -> None:
    """The driver, in a process of its own, so that it can be ended with all that it began."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    TorchTrainer(
        rank_of_ray,
        train_loop_config={"folder": folder},
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(storage_path=folder, failure_config=FailureConfig(max_failures=3)),
    ).fit()


def ray_train() -> dict[str, Any]:
    """Ray Train with 2 workers, one of which is killed."""
    if importlib.util.find_spec("ray") is None:
        return {"why_not": "ray is not installed"}
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, __file__, "--as-ray-driver", name],
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            )
            found = time_to_next_life(Path(name), lambda: process.poll() is None)
        (Path(name) / "enough").touch()
        if "why_not" in found and process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines()
            found["why_not"] += f": {said[-1]}" if said else ""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return found


# --- torchft


def torchft(python: str | None) -> dict[str, Any]:
    """torchft with 2 replicas, one of which is killed; the other goes on."""
    if python is None:
        return {"why_not": "give --torchft the Python of an environment that has it"}
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        lighthouse = [
            str(Path(python).with_name("torchft_lighthouse")),
            *("--min_replicas", "1", "--quorum_tick_ms", "50", "--join_timeout_ms", "5000"),
            *("--heartbeat_timeout_ms", "1000", "--bind", f"127.0.0.1:{port}"),
        ]
        env = os.environ | {"LIGHTHOUSE": f"http://127.0.0.1:{port}", "LOGLEVEL": "ERROR"}
        script = str(Path(__file__).with_name("torchft_rank.py"))
        commands = [lighthouse, *([python, script, name, str(rank)] for rank in (0, 1))]
        with (folder / "log").open("w") as log:
            started = [subprocess.Popen(each, stdout=log, stderr=log, env=env) for each in commands]
            both = await_lines(
                folder,
                lambda line: line["life"] == 2,
                FIRST_STEPS,
                lambda: all(each.poll() is None for each in started),
            )
            if both is None:
                said = (folder / "log").read_text(errors="replace").strip().splitlines()
                found = {"why_not": said[-1] if said else "it took no step"}
            else:
                found = next_step_of_the_other(folder, started[2])
        for each in started:
            each.kill()
            each.wait()
        return found


def next_step_of_the_other(folder: Path, victim: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Kills the second replica and waits for the first step of the other alone."""
    at = time.time()
    victim.kill()
    after = await_lines(folder, lambda line: line["at"] > at and line["life"] == 1, 1, lambda: True)
    if after is None:
        return {"why_not": f"no step within {LIMIT_SECONDS:g} s after the kill"}
    return {"kill_seconds": after[0]["at"] - at}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few events, to see that it runs")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--as-rank-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as-ray-driver", help=argparse.SUPPRESS)
    parser.add_argument("--torchft", help="the Python of an environment that has torchft")
    parser.add_argument("--without", nargs="*", default=[], help="torchrun, ray_train, torchft")
    options = parser.parse_args()
    if options.as_rank_in:
        rank_of_torchrun(options.as_rank_in)
    elif options.as_ray_driver:
        drive_ray(options.as_ray_driver)
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """The whole run."""
    torch.set_num_threads(1)
    times, kills = (1, 10) if options.smoke else (options.times, options.kills)
    found = ours(times, kills, seed=0)
    for name in ("kill", "hang", "join"):
        values = found[name]
        print(f"ours {name:5} median {statistics.median(values):.3f} s, most {max(values):.3f} s")
    print("ours", found["random_kills"], flush=True)
    rivals: dict[str, Any] = {}
    if not options.smoke:
        known = {
            "torchrun": torchrun,
            "ray_train": ray_train,
            "torchft": lambda: torchft(options.torchft),
        }
        for name, measure in known.items():
            rivals[name] = {"why_not": "left out"} if name in options.without else measure()
            print(name, rivals[name], flush=True)
        write_result(__file__, {"pretended": True, "ours": found, "rivals": rivals})


if __name__ == "__main__":
    main()
