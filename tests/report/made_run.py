"""A run's directory without a training: for tests of whatever only reads one."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from paceline.core.ledger import Ledger

MODEL = b"weights"
BASELINES = {
    "majority": {"accuracy": 0.1028, "log_loss": 2.3031, "balanced_accuracy": 0.1},
    "logistic": {"accuracy": 0.9611, "log_loss": 0.1524, "balanced_accuracy": 0.9604},
    "gradient_boosting": {"accuracy": 0.9694, "log_loss": 0.1187, "balanced_accuracy": 0.9688},
}


def facts_of(path: Path, **changes: Any) -> dict[str, Any]:
    """What run.json holds after a finished classification."""
    facts: dict[str, Any] = {
        "format": 1,
        "name": path.name,
        "created": "2026-03-01T12:30:00+00:00",
        "paceline": "0.1.0",
        "state": "finished",
        "place": "digits",
        "recipe": {"seed": 0, "loop": {"clip": 1.0, "device": "auto"}, "budget": {"steps": 900}},
        "data": {
            "source": "digits",
            "kind": "image",
            "fingerprint": "5f2c",
            "train": 1257,
            "validation": 180,
            "test": 360,
            "notes": [],
        },
        "task": {
            "name": "image",
            "goal": {"name": "classification", "classes": [str(digit) for digit in range(10)]},
        },
        "model": {"name": "conv", "settings": {"width": 32, "depth": 2}, "parameters": 176_586},
        "sha256": {"model.safetensors": hashlib.sha256(MODEL).hexdigest()},
        "result": {
            "test": {"accuracy": 0.9917, "log_loss": 0.0312, "balanced_accuracy": 0.9915},
            "validation": {"accuracy": 0.9944, "log_loss": 0.0288},
            "baselines": BASELINES,
            "baseline_notes": {"logistic": "stopped before it converged"},
            "steps": 900,
            "best_step": 840,
            "seconds": 24.3,
            "cpu_seconds": 41.0,
            "stopped": "budget",
        },
    }
    return facts | changes


def make_run(path: Path, *, readings: int = 200, **changes: Any) -> Path:
    """A run's directory with its four files; ``changes`` go into run.json."""
    path.mkdir(parents=True)
    facts = facts_of(path, **changes)
    (path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (path / "model.safetensors").write_bytes(MODEL)
    with Ledger(path / "ledger.db") as ledger:
        _settings(ledger)
        for at in range(1, readings + 1):
            _readings(ledger, at, readings)
        _decisions(ledger)
    return path


def _settings(ledger: Ledger) -> None:
    environment = {"python": "3.11.2", "torch": "2.13.0", "system": "Linux", "threads": 2}
    for name, detail in (("recipe", {"seed": 0}), ("environment", environment)):
        ledger.write("setting", step=0, seconds=0.0, source="fit", name=name, detail=detail)


def _readings(ledger: Ledger, at: int, readings: int) -> None:
    step, seconds = at * 900 // readings, 24.0 * at / readings
    done = at / readings
    noise = math.sin(at * 12.9898) * 0.5 + math.sin(at * 78.233) * 0.5
    loop = {
        "loss": 2.3 * math.exp(-5 * done) * (1 + 0.35 * noise) + 0.02,
        "learning_rate": 2e-3 * min(done / 0.05, (1 - done) / 0.95 + 1e-9),
        "gradient_norm": (0.4 + 2 * math.exp(-4 * done)) * (1 + 0.4 * noise),
        "examples_per_second": 2600 + 240 * noise,
        "step_seconds": 0.025,
    }
    for name, value in loop.items():
        ledger.write("reading", step=step, seconds=seconds, source="loop", name=name, value=value)
    if at % max(readings // 20, 1) == 0:
        judged = {"accuracy": 1 - 0.6 * math.exp(-7 * done), "loss": 2 * math.exp(-5 * done) + 0.03}
        for name, value in judged.items():
            ledger.write(
                "reading", step=step, seconds=seconds, source="validation", name=name, value=value
            )


def _decisions(ledger: Ledger) -> None:
    ledger.write(
        "decision",
        step=0,
        seconds=0.4,
        source="fit",
        name="precision",
        detail={
            "chosen": "fp32",
            "seen": {"device": "cpu"},
            "choices": ["fp32", "bf16"],
            "reason": "this CPU has no bf16 instructions",
        },
    )
    ledger.write(
        "decision",
        step=420,
        seconds=11.2,
        source="Plateau",
        name="learning_rate",
        value=1e-3,
        detail={
            "chosen": 1e-3,
            "seen": {"loss_smooth": 0.21, "loss_trend": -1e-4},
            "choices": [1e-3, 2e-3],
            "expected": {"loss_smooth": 0.15},
            "outcome": {"loss_smooth": 0.14},
            "reason": "the loss fell no further",
        },
    )
    ledger.write(
        "warning",
        step=0,
        seconds=0.1,
        source="data",
        name="constant",
        detail={"why": "the column 'id' is constant"},
    )


def add_agents(path: Path, *, agents: int = 4, steps: int = 400, slow: Any = (1, 1, 2, 4)) -> None:
    """Agents in a run's ledger: the second is lost, the last but one leaves, another joins."""
    lost, joined, left = steps * 2 // 5, steps * 3 // 5, steps * 4 // 5
    with Ledger(path / "ledger.db") as ledger:
        _asked(ledger, agents, slow)
        for step in (1, *range(5, steps + 1, 5)):
            gone = {2 for _ in range(step > lost + 4)} | {
                agents - 1 for _ in range(step > left + 4)
            }
            there = {*range(1, agents + 1)} - gone | {agents + 1 for _ in range(step > joined)}
            _stretch(ledger, step, sorted(there))
        told = {
            lost: ("lost", {"agent": 2, "why": "died", "left": agents - 1}),
            joined: ("joined", {"agent": agents + 1, "place": "process 77"}),
            joined + 20: ("out_of_memory", {"agent": 1, "most": 24}),
            left: ("left", {"agent": agents - 1, "left": agents - 1}),
        }
        for step, (name, detail) in told.items():
            ledger.write(
                "event",
                step=step,
                seconds=step / 20,
                source="agents",
                name=f"agent_{name}",
                detail=detail,
            )
        examples = {"examples": 1258, "counted": 10_064, "fewest": 7, "most": 8}
        ledger.write(
            "event",
            step=steps,
            seconds=steps / 20,
            source="agents",
            name="agents",
            detail={"examples": examples, "time": {}},
        )


def _asked(ledger: Ledger, agents: int, slow: Any) -> None:
    seen = {"engine": "local", "slow": list(slow)}
    detail = {"chosen": agents, "seen": seen, "reason": "asked for"}
    ledger.write("decision", step=0, seconds=0.5, source="fit", name="agents", detail=detail)
    reasons = ("nothing is known yet", "all end together", "agent 2 is gone")
    for step, reason in zip((1, 2, 170), reasons, strict=True):
        chosen = [64 // agents] * agents
        took = {f"agent {number}": 0.02 * (number < 3) for number in range(1, agents + 1)}
        ledger.write(
            "decision",
            step=step,
            seconds=step / 20,
            source="scheduler",
            name="shares",
            detail={"chosen": chosen, "seen": took, "reason": reason},
        )


def _stretch(ledger: Ledger, step: int, there: list[int]) -> None:
    weights = {
        number: 1 / (1 + number % 3 + 0.2 * math.sin(step / 30 + number)) for number in there
    }
    for number in there:
        share = weights[number] / sum(weights.values())
        wobble = 0.03 * (1 + math.sin(step * 7.7 + number))
        values = {
            "samples": 64 * share,
            "compute_seconds": 0.1 - wobble,
            "wait_seconds": wobble,
            "communicate_seconds": 0.02,
        }
        for name, value in values.items():
            source = f"agent {number}"
            ledger.write(
                "reading", step=step, seconds=step / 20, source=source, name=name, value=value
            )
