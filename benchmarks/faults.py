"""Fourteen things that go wrong in training, done to any trainer in the same way.

A world holds one small task (scikit-learn's digits, a network of four layers) and one
fault. The trainer gets a network, datasets, a learning rate and a folder of it, and notices
nothing: the fault sits in the dataset (what a batch holds), in the network's hooks (what a
forward or backward pass does), in the learning rate, or in the process and its files.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

FAULTS = {
    "clean": "nothing happens",
    "nan_batch": "a batch of pixels is not a number",
    "inf_gradient": "one gradient is infinite",
    "rate_too_high": "the learning rate is 100 times what was tuned",
    "rate_too_low": "the learning rate is a hundredth of what was tuned",
    "garbage_labels": "fifty batches have labels drawn at random",
    "out_of_memory": "from some step on half a batch is all that fits in memory",
    "kill": "the process is killed in the middle of an epoch, and started again",
    "corrupt_checkpoint": "killed near the end, and the newest file lost its second half",
    "disk_full": "for some hundred steps no file can be written beyond a kilobyte",
    "plateau": "the weights begin ten times too small, at a tenth of the tuned rate: a flat start",
    "dead_relu": "two hidden layers begin with biases of -10: no unit ever fires",
    "amp_overflow": "the gradient scaler's factor is 2³² at the start and again midway",
    "data_changed": "midway light and dark are exchanged; the test is of the new kind",
    "exploding_layer": "the weights of one layer are multiplied by a thousand",
}
FILE_FAULTS = ("out_of_memory", "kill", "corrupt_checkpoint", "disk_full")
TRAIN, VALID = 800, 200
BATCH, RATE, STEPS = 40, 0.1, 1000
SCALE, TINY = 2.0**32, 0.1
FULL_SHARE, FULL_BYTES, GARBAGE_STEPS = 0.3, 1024, 50


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run: what goes wrong, with which seed, for how long, and where files may lie."""

    fault: str
    seed: int
    folder: Path
    steps: int = STEPS


class Pictures(Dataset):
    """Digits by number, whole batches at once; counts the batches that were drawn."""

    def __init__(self, x: Tensor, y: Tensor, case: Case | None = None) -> None:
        self.x, self.y, self.case, self.drawn = x, y, case, 0

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        return self.x[at], self.y[at]

    def __getitems__(self, at: Sequence[int]) -> tuple[Tensor, Tensor]:
        x, y = self.x[list(at)], self.y[list(at)]
        if self.case is None:
            return x, y
        self.drawn += 1
        return _spoilt(x, y, self.case, self.drawn)


def _spoilt(x: Tensor, y: Tensor, case: Case, drawn: int) -> tuple[Tensor, Tensor]:
    half = case.steps // 2
    match case.fault:
        case "nan_batch" if drawn == half:
            return x * float("nan"), y
        case "garbage_labels" if half <= drawn < half + GARBAGE_STEPS:
            chance = torch.Generator().manual_seed(drawn)
            return x, torch.randint(10, y.shape, generator=chance)
        case "data_changed" if drawn >= half:
            return changed(x), y
    return x, y


def changed(x: Tensor) -> Tensor:
    """Pictures with light and dark exchanged."""
    return 1 - x


def together(batch: Any) -> Any:
    """Batches come whole from the dataset: nothing is left to put together."""
    return batch


class World:
    """A task with a fault.

    Args:
        case: The run.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        x, y = load_digits(return_X_y=True)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(case.seed))
        x, y = torch.tensor(x, dtype=torch.float32)[order] / 16, torch.tensor(y)[order]
        self.train = Pictures(x[:TRAIN], y[:TRAIN], case)
        self.valid = Pictures(x[TRAIN : TRAIN + VALID], y[TRAIN : TRAIN + VALID])
        x, y = x[TRAIN + VALID :], y[TRAIN + VALID :]
        self._test = (changed(x) if case.fault == "data_changed" else x), y
        factor = {"rate_too_high": 100.0, "rate_too_low": 0.01, "plateau": 0.1}.get(case.fault, 1.0)
        self.rate = RATE * factor
        self.epochs = case.steps * BATCH // TRAIN
        self.scaler = None
        if case.fault == "amp_overflow":
            self.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)

    def network(self) -> nn.Sequential:
        """The network, with whatever happens to it."""
        torch.manual_seed(self.case.seed)
        network = nn.Sequential(
            *[nn.Linear(64, 96, bias=False), nn.BatchNorm1d(96), nn.ReLU()],
            *[nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 10)],
        )
        layers = [layer for layer in network if isinstance(layer, nn.Linear)]
        if self.case.fault == "plateau":
            for layer in layers:
                nn.init.normal_(layer.weight, std=TINY * layer.in_features**-0.5)
        if self.case.fault == "dead_relu":
            for layer in layers[1:3]:
                nn.init.constant_(layer.bias, -10.0)
        _Happening(self.case, network, self.scaler).watch()
        return network

    @torch.no_grad()
    def accuracy(self, network: nn.Module) -> float:
        """On the test part."""
        network.eval()
        x, y = self._test
        return float((network(x).argmax(1) == y).float().mean())


class _Happening:
    """What happens to the network, its process and its files while it is trained."""

    def __init__(
        self, case: Case, network: nn.Sequential, scaler: torch.amp.GradScaler | None
    ) -> None:
        self.case, self.network, self.scaler, self.forwards = case, network, scaler, 0
        self.half = case.steps // 2
        self.once = case.folder / "happened"
        self.count = case.folder / "steps_on_a_full_disk"

    def watch(self) -> None:
        self.network.register_forward_pre_hook(self._forward)
        if self.case.fault == "inf_gradient":
            self.network[3].weight.register_hook(
                lambda gradient: gradient * float("inf") if self.forwards == self.half else None
            )

    def _forward(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not network.training or not torch.is_grad_enabled():
            return
        self.forwards += 1
        act = getattr(self, f"_{self.case.fault}", None)
        if act is not None:
            act(inputs[0])

    def _exploding_layer(self, x: Tensor) -> None:
        if self.forwards == self.half:
            with torch.no_grad():
                self.network[3].weight *= 1e3

    def _amp_overflow(self, x: Tensor) -> None:
        if self.forwards == self.half and self.scaler is not None:
            self.scaler.update(SCALE)

    def _out_of_memory(self, x: Tensor) -> None:
        if self.forwards >= self.half:
            self.once.touch()
        if self.once.exists() and len(x) > BATCH // 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def _kill(self, x: Tensor, at: float = 0.5) -> None:
        due = int(at * self.case.steps) + max(1, 7 * self.case.steps // 1000)
        if self.forwards == due and not self.once.exists():
            self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _corrupt_checkpoint(self, x: Tensor) -> None:
        self._kill(x, 0.95)

    def _disk_full(self, x: Tensor) -> None:
        begun = self.forwards >= int(0.4 * self.case.steps) or self.count.exists()
        if not begun:
            return
        with self.count.open("ab") as file:
            file.write(b".")
            full = file.tell() < min(FULL_SHARE * self.case.steps, FULL_BYTES - 1)
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES if full else most, most))


def corrupt_newest(folder: Path) -> str:
    """Cuts the newest file of a folder's checkpoints in half; says which it was."""
    kinds = {".pt", ".ckpt", ".safetensors"}
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix in kinds]
    newest = max(files, key=lambda file: file.stat().st_mtime_ns)
    os.truncate(newest, newest.stat().st_size // 2)
    return newest.name
