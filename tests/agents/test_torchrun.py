"""Ranks that torchrun started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import paceline
from paceline.agents.engines.torchrun import Torchrun
from paceline.core.errors import SettingError

SETTINGS = ("loop.precision=fp32", "loop.average=0", "controller.name=constant", "model.name=mlp")


def test_without_torchrun_one_line_says_how_to_start() -> None:
    with pytest.raises(SettingError, match=r"needs WORLD_SIZE, MASTER_ADDR, MASTER_PORT.*torchrun"):
        Torchrun.warm_up({"RANK": "0"})


def test_two_ranks_learn_what_one_process_learns(tmp_path: Path) -> None:
    alone = paceline.fit(
        "digits", steps=8, out=tmp_path / "alone", baselines=False, assignments=SETTINGS
    )
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    fit = ["-m", "paceline", "fit", "digits", "--agents", "2", "--engine", "torchrun"]
    rest = ["--steps", "8", "--no-baselines", "--out", str(tmp_path / "together")]
    given = [part for each in SETTINGS for part in ("--set", each)]
    done = subprocess.run([*run, *fit, *rest, *given], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 agents: 1: process" in done.stderr and "2: rank 1" in done.stderr
    expected = paceline.load(alone.path, weights="last").model.state_dict()
    found = paceline.load(tmp_path / "together", weights="last").model.state_dict()
    for name, value in expected.items():
        assert torch.allclose(value, found[name], atol=1e-5), name
