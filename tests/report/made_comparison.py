"""A comparison's directory without a training: for tests of whatever only reads one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from paceline.core.ledger import Ledger

STEPS = 200
CLASSES = [str(digit) for digit in range(10)]
_BEST = {"sgd": -0.5, "momentum": -1.5, "adam": -2.5, "rmsprop": -2.7, "adamw": -2.5}


def reached(optimizer: str, controller: str, rate: float | None, seed: int) -> float:
    """A made-up validation loss: a basin around each optimizer's own rate, flat for probe."""
    away = 0.0 if rate is None else abs(math.log10(rate) - _BEST.get(optimizer, -2.0))
    away = away * (0.05 if controller in ("probe", optimizer) else 1.0)
    if controller == "constant" and rate is not None and math.log10(rate) > -0.75:
        return math.nan
    level = {"constant": 0.16, "cosine": 0.1, "probe": 0.085}.get(controller, 0.12)
    return level * (1 + 0.12 * math.sin(9.7 * seed + 3 * len(optimizer))) * 10 ** (0.45 * away)


def make_run(path: Path, loss: float, rate: float, controller: str, seed: int) -> None:
    """A finished run's run.json and ledger."""
    path.mkdir(parents=True)
    accuracy = math.nan if math.isnan(loss) else 1 - loss / 4
    facts: dict[str, Any] = {
        "format": 1,
        "name": path.name,
        "created": "2026-03-01T12:30:00+00:00",
        "paceline": "0.1.0",
        "state": "finished",
        "place": "digits",
        "data": {"fingerprint": "5f2c", "train": 1258, "validation": 180, "test": 359},
        "task": {"name": "image", "goal": {"name": "classification", "classes": CLASSES}},
        "model": {"name": "conv", "settings": {}, "parameters": 176_586},
        "recipe": {"seed": seed},
        "result": {
            "validation": {"accuracy": accuracy, "log_loss": loss},
            "test": {"accuracy": accuracy - 0.004},
            "steps": STEPS,
            "best_step": STEPS,
            "seconds": 4.0 + seed,
            "cpu_seconds": 3.5 + seed,
            "stopped": "budget",
        },
    }
    (path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (path / "report.html").write_text("<!doctype html>", encoding="utf-8")
    with Ledger(path / "ledger.db") as ledger:
        for step in range(1, STEPS + 1, 2):
            _readings(ledger, step, loss, rate, controller, seed)


def _readings(
    ledger: Ledger, step: int, loss: float, rate: float, controller: str, seed: int
) -> None:
    done = step / STEPS
    left = {"constant": 1.0, "cosine": 0.5 + 0.5 * math.cos(math.pi * done)}.get(
        controller, 1 - done
    )
    if controller == "probe" and done < 0.1:
        left = 10 ** (-4 + 40 * done)
    end = 2.0 if math.isnan(loss) else loss
    noise = 1 + 0.1 * math.sin(step * 12.9 + seed)
    now = (end + (2.4 - end) * math.exp(-6 * done)) * noise
    if math.isnan(loss) and done > 0.3:
        now = math.nan
    for name, value in (("loss", now), ("learning_rate", rate * left)):
        ledger.write("reading", step=step, seconds=done, source="loop", name=name, value=value)
    if step % 40 == 1:
        judged = loss * (1 + 2 * (1 - done))
        if step + 40 > STEPS:
            judged = loss
        ledger.write(
            "reading", step=step, seconds=done, source="validation", name="loss", value=judged
        )
