"""How much slower are Paceline's loop and a loop with its Pacer than one written by hand?

    python benchmarks/loop_overhead.py

Beside them Lightning's. The same model, the same batches in the same order, the same optimizer
and schedule. By hand: torch's own loop with the things that every such loop has (a learning-
rate scheduler and the loss read at every step). The three take turns, short stretch after
short stretch, so that a change in the machine's speed touches all alike; the figure is the
median over the rounds of (steps per second of the one / steps per second by hand). One thread,
so that the figure is about loops and not about threads waiting for a core.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from harness import write_result
from torch import Tensor, nn

from paceline import Pacer
from paceline.controllers.linear import Linear
from paceline.core.clock import WallClock
from paceline.core.ledger import Ledger
from paceline.core.progress import Silence
from paceline.data.base.batches import Order, ResidentFeed
from paceline.jobs.assemble import build_beside, build_monitors
from paceline.tasks.base import Classification
from paceline.train.alone import Alone
from paceline.train.budget import Allowance
from paceline.train.loop import Loop, Plan
from paceline.train.precision import Precision
from paceline.train.transaction import Vault
from paceline.train.update import Updater

BATCH, CLASSES, EXAMPLES = 64, 10, 2048


def small() -> tuple[nn.Module, tuple[int, ...]]:
    """A multilayer perceptron, about a millisecond a step."""
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
        nn.Linear(256, CLASSES),
    )  # fmt: skip
    return layers, (1, 28, 28)


def million() -> tuple[nn.Module, tuple[int, ...]]:
    """A multilayer perceptron of a million parameters."""
    layers = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 768), nn.ReLU(), nn.Linear(768, 512), nn.ReLU(),
        nn.Linear(512, CLASSES),
    )  # fmt: skip
    return layers, (1, 28, 28)


def middling() -> tuple[nn.Module, tuple[int, ...]]:
    """A small convolutional network, some tens of milliseconds a step."""
    layers = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES),
    )  # fmt: skip
    return layers, (1, 28, 28)


class Setting:
    """One model with data, an optimizer and batches, all from the same seed."""

    def __init__(self, make: Callable[[], tuple[nn.Module, tuple[int, ...]]]) -> None:
        torch.manual_seed(0)
        self.model, shape = make()
        inputs, targets = torch.randn(EXAMPLES, *shape), torch.randint(CLASSES, (EXAMPLES,))
        order = Order(examples=EXAMPLES, batch_size=BATCH, seed=0)
        self.feed = ResidentFeed((inputs,), targets, order)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.pacer: Pacer | None = None


def by_hand(setting: Setting, steps: int) -> float:
    """Seconds of a plain loop."""
    schedule = torch.optim.lr_scheduler.LinearLR(setting.optimizer, 1.0, 0.01, steps)
    losses: list[float] = []
    setting.model.train()
    began = time.perf_counter()
    for _ in range(steps):
        batch = setting.feed.next()
        setting.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(setting.model(*batch.inputs), batch.targets)
        loss.backward()
        setting.optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return time.perf_counter() - began


def ours(setting: Setting, steps: int) -> float:
    """Seconds of Paceline's loop with its monitors, controller and ledger."""
    goal = Classification(list(range(CLASSES)))
    precision = Precision(name="fp32", device=torch.device("cpu"), reason="benchmark")
    work = Alone(
        network=setting.model,
        loss=goal.loss,
        parameters=list(setting.model.parameters()),
        batch_size=setting.feed.batch_size,
        precision=precision,
        channels_last=False,
        augment=None,
        seed=0,
    )
    updater = Updater(
        work=work,
        optimizer=setting.optimizer,
        feed=setting.feed,
        scaler=precision.scaler(),
        accumulate=1,
        clip=None,
    )
    plan = Plan(
        model=setting.model,
        updater=updater,
        controller=Linear(1e-3, warmup=0.0),
        beside=build_beside({}, 1e-3),
        monitors=build_monitors(),
        validate=None,
        measure=goal,
        average=None,
        allowance=Allowance(steps=steps, seconds=None),
        validations=1,
        save_seconds=3600.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        clock = WallClock()
        loop = Loop(
            plan,
            ledger=Ledger(Path(folder) / "ledger.db"),
            vault=Vault(Path(folder)),
            clock=clock,
            started=clock.now(),
            progress=Silence(),
        )
        loop.save = lambda: None  # type: ignore[method-assign] # the others save nothing either
        began = time.perf_counter()
        loop.run()
        return time.perf_counter() - began


def pacer(setting: Setting, steps: int) -> float:
    """Seconds of the loop by hand with a Pacer in it: a schedule, and the guard beside it.

    One Pacer paces all stretches, as it would one run of a few thousand steps.
    """
    paced, losses = setting.pacer, []
    assert paced is not None
    began = time.perf_counter()
    for _ in range(steps):
        batch = setting.feed.next()
        setting.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(setting.model(*batch.inputs), batch.targets)
        loss.backward()
        paced.step(loss)
        losses.append(loss.item())
    return time.perf_counter() - began


def lightning(setting: Setting, steps: int) -> float:
    """Seconds of Lightning's loop, everything that can be turned off turned off."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = setting.model
            self.began = self.ended = 0.0

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> dict[str, object]:
            schedule = torch.optim.lr_scheduler.LinearLR(setting.optimizer, 1.0, 0.01, steps)
            return {
                "optimizer": setting.optimizer,
                "lr_scheduler": {"scheduler": schedule, "interval": "step"},
            }

        def on_train_epoch_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.ended = time.perf_counter()

    class Endless(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            while True:
                batch = setting.feed.next()
                yield batch.inputs[0], batch.targets

    module = Module()
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, torch.utils.data.DataLoader(Endless(), batch_size=None))
    return module.ended - module.began


def measure(name: str, make: Callable, *, rounds: int, steps: int) -> dict[str, object]:
    """Ratios of steps per second to those by hand."""
    setting = Setting(make)
    setting.pacer = Pacer(
        setting.optimizer,
        total_steps=rounds * steps,
        modules=[setting.model],
        controller="linear",
    )
    by_hand(setting, steps // 4)
    ratios: dict[str, list[float]] = {"paceline": [], "pacer": [], "lightning": []}
    rates: list[float] = []
    for turn in range(rounds):
        if turn % 2:
            mine, hand = ours(setting, steps), by_hand(setting, steps)
        else:
            hand, mine = by_hand(setting, steps), ours(setting, steps)
        ratios["paceline"].append(hand / mine)
        ratios["pacer"].append(hand / pacer(setting, steps))
        ratios["lightning"].append(hand / lightning(setting, steps))
        rates.append(steps / hand)
    row: dict[str, object] = {"model": name, "steps_per_second_by_hand": statistics.median(rates)}
    for rival, values in ratios.items():
        ordered = sorted(values)
        row[rival] = statistics.median(values)
        row[f"{rival}_quartiles"] = [ordered[len(values) // 4], ordered[3 * len(values) // 4]]
        spread = f"{ordered[len(values) // 4]:.3f}…{ordered[3 * len(values) // 4]:.3f}"
        print(f"{name:10} {rival:10} {row[rival]:.3f} of the hand-written loop ({spread})")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    smoke = parser.parse_args().smoke
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    rounds = 2 if smoke else 9
    rows = [
        measure("small", small, rounds=rounds, steps=20 if smoke else 600),
        measure("million", million, rounds=rounds, steps=20 if smoke else 100),
        measure("middling", middling, rounds=rounds, steps=5 if smoke else 40),
    ]
    if not smoke:
        write_result(__file__, {"rounds": rounds, "rows": rows})
    sys.stdout.flush()


if __name__ == "__main__":
    main()
