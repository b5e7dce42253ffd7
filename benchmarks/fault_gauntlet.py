"""Which of fourteen faults does a training run survive without anyone's help?

    python benchmarks/fault_gauntlet.py

A run has survived where its test accuracy is at least 99 % of that of the same trainer's
run on the same seed to which nothing happened. Every trainer gets the same network, data,
budget of 1,000 updates and fault (``faults.py``), and a process of its own that is started
again, up to five times, where it dies; it may resume from its own files. Beside Paceline:

- a plain PyTorch loop: momentum, cosine to zero, clipped gradients, a checkpoint written
  atomically each epoch, and resumed;
- Lightning: the same with its ModelCheckpoint (best by validation, and last), EarlyStopping
  on a validation loss that is not finite, gradient clipping, resume from the last;
- skorch: the same with its Checkpoint, LRScheduler, GradientNormClipping, LoadInitState.

Lightning and skorch keep the best weights of validation data that were collected at the
start; where the data change midway, those are of the old kind.

The learning rate of the three was tuned on the undisturbed task (0.1 of 0.01 ... 1); for
Paceline the same number is the hint. Paceline is ``paceline.Pacer`` in the plain loop; where
the fault is about memory, processes or files it is ``paceline.fit``, compared with its own
undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from faults import BATCH, FAULTS, FILE_FAULTS, STEPS, TRAIN, Case, World, corrupt_newest, together
from harness import HERE, write_result
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import paceline

FORK = multiprocessing.get_context("fork")
RESTARTS, SURVIVED = 5, 0.99
SECONDS = 180
MOMENTUM, DECAY, CLIP = 0.9, 1e-4, 1.0


def loader(world: World) -> DataLoader:
    chance = torch.Generator().manual_seed(world.case.seed)
    return DataLoader(
        world.train,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        collate_fn=together,
        generator=chance,
    )


def valid_loader(world: World) -> DataLoader:
    return DataLoader(world.valid, batch_size=len(world.valid), collate_fn=together)


def optimizer_of(world: World, network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        network.parameters(), lr=world.rate, momentum=MOMENTUM, weight_decay=DECAY
    )


def half_precision(world: World) -> Any:
    return torch.autocast("cpu", torch.float16, enabled=world.scaler is not None)


def plain(world: World) -> nn.Module:
    """A loop as it is written by hand, with care."""
    network = world.network()
    optimizer, batches = optimizer_of(world, network), loader(world)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, world.case.steps)
    scaler = world.scaler or torch.amp.GradScaler("cpu", enabled=False)
    members = {"network": network, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    path, first = world.case.folder / "last.pt", 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        first = saved.pop("epoch") + 1
        for name, member in members.items():
            member.load_state_dict(saved[name])
    for epoch in range(first, world.epochs):
        network.train()
        for x, y in batches:
            optimizer.zero_grad()
            with half_precision(world):
                loss = cross_entropy(network(x), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
        states = {name: member.state_dict() for name, member in members.items()}
        torch.save({**states, "epoch": epoch}, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)
    return network


def lightning(world: World) -> nn.Module:
    """Lightning, with the callbacks that one would take."""
    import lightning as pl
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
    from lightning.pytorch.plugins.precision import MixedPrecision

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = world.network()

        def training_step(self, batch: Any, at: int) -> Any:
            return cross_entropy(self.network(batch[0]), batch[1])

        def validation_step(self, batch: Any, at: int) -> None:
            out = self.network(batch[0])
            self.log("val_loss", cross_entropy(out, batch[1]))
            self.log("val_accuracy", (out.argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> Any:
            optimizer = optimizer_of(world, self.network)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, world.case.steps)
            each_step = {"scheduler": schedule, "interval": "step"}
            return {"optimizer": optimizer, "lr_scheduler": each_step}

    folder = world.case.folder
    keeper = ModelCheckpoint(
        dirpath=folder, monitor="val_accuracy", mode="max", save_top_k=1, save_last=True
    )
    stopper = EarlyStopping("val_loss", patience=world.epochs, check_finite=True)
    plugins = []
    if world.scaler is not None:
        plugins = [MixedPrecision("16-mixed", "cpu", scaler=world.scaler)]
    trainer = pl.Trainer(
        max_epochs=world.epochs,
        accelerator="cpu",
        callbacks=[keeper, stopper],
        plugins=plugins,
        gradient_clip_val=CLIP,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    last = folder / "last.ckpt"
    module = Module()
    trainer.fit(
        module,
        loader(world),
        valid_loader(world),
        ckpt_path=str(last) if last.exists() else None,
        weights_only=False,
    )
    if keeper.best_model_path:
        best = torch.load(keeper.best_model_path, weights_only=False)
        module.load_state_dict(best["state_dict"])
    return module.network


def skorch(world: World) -> nn.Module:
    """skorch, with the callbacks that one would take."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Checkpoint, GradientNormClipping, LoadInitState, LRScheduler
    from skorch.helper import predefined_split

    scaler = world.scaler or torch.amp.GradScaler("cpu", enabled=False)

    class Net(NeuralNetClassifier):
        def train_step_single(self, batch: Any, **given: Any) -> Any:
            if world.scaler is None:
                return super().train_step_single(batch, **given)
            self._set_training(True)
            with half_precision(world):
                out = self.infer(batch[0])
                loss = self.get_loss(out, batch[1], X=batch[0], training=True)
            scaler.scale(loss).backward()
            scaler.unscale_(self.optimizer_)
            nn.utils.clip_grad_norm_(self.module_.parameters(), CLIP)
            return {"loss": loss, "y_pred": out}

        def train_step(self, batch: Any, **given: Any) -> Any:
            if world.scaler is None:
                return super().train_step(batch, **given)
            self._zero_grad_optimizer()
            step = self.train_step_single(batch, **given)
            scaler.step(self.optimizer_)
            scaler.update()
            return step

    folder = world.case.folder
    keeper = Checkpoint(dirname=folder, monitor="valid_acc_best", load_best=True)
    last = Checkpoint(dirname=folder / "last", monitor=None)
    net = Net(
        world.network(),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=MOMENTUM,
        optimizer__weight_decay=DECAY,
        lr=world.rate,
        max_epochs=world.epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        iterator_train__drop_last=True,
        iterator_train__collate_fn=together,
        iterator_train__generator=torch.Generator().manual_seed(world.case.seed),
        iterator_valid__collate_fn=together,
        train_split=predefined_split(world.valid),
        classes=list(range(10)),
        callbacks=[
            GradientNormClipping(CLIP),
            LRScheduler("CosineAnnealingLR", T_max=world.case.steps, step_every="batch"),
            keeper,
            last,
            *([LoadInitState(last)] if (folder / "last" / "params.pt").exists() else []),
        ],
        verbose=0,
        device="cpu",
    )
    net.fit(world.train, y=None)
    return net.module_


def pacer(world: World) -> nn.Module:
    """``paceline.Pacer`` in the plain loop; it needs no schedule and no clipping."""
    network = world.network()
    optimizer, scaler = optimizer_of(world, network), world.scaler
    pacer = paceline.Pacer(optimizer, total_steps=world.case.steps, modules=[network])
    network.train()
    for x, y in pacer.batches(loader(world)):
        optimizer.zero_grad()
        with half_precision(world):
            loss = cross_entropy(network(x), y)
        (loss if scaler is None else scaler.scale(loss)).backward()
        pacer.step(loss, scaler)
    if "PACELINE_TELL" in os.environ:
        print(pacer.explain())
    return network


class Steps:
    """A clock by which an update takes 10 ms: saves come each epoch, as the others' do.

    By the wall's clock ``paceline.fit`` spends 2 % of a run on saving at most, which in a run
    of a second is once or twice.
    """

    def __init__(self, network: nn.Module) -> None:
        self.steps = 0
        network.register_forward_pre_hook(self._step)

    def _step(self, network: nn.Module, inputs: Any) -> None:
        self.steps += network.training

    def now(self) -> float:
        return 0.01 * self.steps


def fit(world: World) -> nn.Module:
    """``paceline.fit`` with the same network and loader."""
    network, valid = world.network(), valid_loader(world)
    clock = Steps(network)
    out = world.case.folder / "run"
    run = paceline.fit(
        loader(world),
        model=network,
        loss=cross_entropy,
        validation=valid,
        test=valid,
        seed=world.case.seed,
        steps=world.case.steps,
        out=out,
        resume=out.exists(),
        baselines=False,
        device="cpu",
        clock=clock,
        settings={
            "optimizer.name": "sgd",
            "optimizer.lr": world.rate,
            "optimizer.momentum": MOMENTUM,
            "optimizer.weight_decay": DECAY,
            "loop.save_seconds": 0.01 * TRAIN / BATCH,
        },
    )
    return run.model


TRAINERS: dict[str, Callable[[World], nn.Module]] = {
    "plain loop": plain,
    "Lightning": lightning,
    "skorch": skorch,
    "Paceline": pacer,
    "Paceline fit": fit,
}


def trainer_of(name: str, fault: str) -> str:
    """Paceline's own loop is for what goes beyond a loop: memory, processes and files."""
    return "Paceline fit" if name == "Paceline" and fault in FILE_FAULTS else name


def warm_up(trainers: list[str]) -> None:
    """Everything is imported and called once, before the processes fork."""
    torch.set_num_threads(1)
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 # a device
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        for name in trainers:
            with tempfile.TemporaryDirectory() as folder:
                TRAINERS[name](World(Case(fault="clean", seed=0, folder=Path(folder), steps=40)))


def one_sitting(name: str, case: Case, pipe: Any) -> None:
    """Trains in this process, and sends the accuracy on the test part."""
    torch.set_num_threads(1)
    if "PACELINE_TELL" not in os.environ:
        sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 # until it ends
    try:
        world = World(case)
        pipe.send({"accuracy": world.accuracy(TRAINERS[name](world))})
    except Exception as error:
        if "PACELINE_TELL" in os.environ:
            traceback.print_exc()
        pipe.send({"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]})
        os._exit(1)
    os._exit(0)


def run(name: str, fault: str, seed: int, steps: int) -> dict[str, Any]:
    """One run to its end, its process started again where it dies."""
    began, found, errors = time.monotonic(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        case = Case(fault=fault, seed=seed, folder=Path(folder), steps=steps)
        for attempt in range(RESTARTS + 1):
            ours, theirs = FORK.Pipe(duplex=False)
            process = FORK.Process(target=one_sitting, args=(name, case, theirs))
            process.start()
            theirs.close()
            found = {"error": "killed"}
            if ours.poll(SECONDS):
                with contextlib.suppress(EOFError):
                    found = ours.recv()
            else:
                found = {"error": f"no end after {SECONDS} s"}
                process.kill()
            process.join()
            if "accuracy" in found:
                break
            errors.append(found["error"])
            if fault == "corrupt_checkpoint" and attempt == 0:
                corrupt_newest(Path(folder))
    accuracy = found.get("accuracy", 0.0)
    return {"accuracy": accuracy, "errors": errors, "seconds": time.monotonic() - began}


def gauntlet(
    trainers: list[str], faults: list[str], seeds: list[int], steps: int
) -> dict[str, dict[str, Any]]:
    """Accuracy, ratio to the undisturbed run and survival, by trainer and fault."""
    table: dict[str, dict[str, Any]] = {}
    for name in trainers:
        clean: dict[str, list[float]] = {}
        for fault in faults:
            used = trainer_of(name, fault)
            if used not in clean:
                runs = [run(used, "clean", seed, steps) for seed in seeds]
                clean[used] = [each["accuracy"] for each in runs]
                table.setdefault(used, {})["clean"] = row(runs, clean[used])
                tell(used, "clean", table[used]["clean"])
            if fault == "clean":
                continue
            runs = [run(used, fault, seed, steps) for seed in seeds]
            table.setdefault(name, {})[fault] = row(runs, clean[used])
            tell(used, fault, table[name][fault])
    return table


def row(runs: list[dict[str, Any]], clean: list[float]) -> dict[str, Any]:
    """What came of one fault, over the seeds."""
    accuracies = [each["accuracy"] for each in runs]
    ratios = [
        found / whole if whole else 0.0 for found, whole in zip(accuracies, clean, strict=True)
    ]
    errors = sorted({error for each in runs for error in each["errors"]})
    return {
        "survived": sum(ratio >= SURVIVED for ratio in ratios),
        "of": len(runs),
        "ratio_median": statistics.median(ratios),
        "ratio_worst": min(ratios),
        "accuracy": accuracies,
        "errors": errors,
        "seconds_median": statistics.median(each["seconds"] for each in runs),
    }


def tell(name: str, fault: str, found: dict[str, Any]) -> None:
    print(
        f"{name:13} {fault:19} survived {found['survived']} of {found['of']},"
        f" ratio {found['ratio_median']:.3f} (worst {found['ratio_worst']:.3f}),"
        f" {found['seconds_median']:.1f} s {'; '.join(found['errors'])[:110]}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one seed, a tenth of the steps")
    parser.add_argument("--trainers", default=",".join([*TRAINERS][:4]), help="by name")
    parser.add_argument("--faults", default=",".join(FAULTS), help="by name")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--keep", action="store_true", help="the others' rows of the last run")
    parser.add_argument("--out", help="where to write the figures, instead of results/")
    given = parser.parse_args()
    seeds = list(range(1 if given.smoke else given.seeds))
    steps = STEPS // 10 if given.smoke else STEPS
    trainers = given.trainers.split(",")
    warm_up([*trainers, "Paceline fit"] if "Paceline" in trainers else trainers)
    table = gauntlet(trainers, given.faults.split(","), seeds, steps)
    figures = {"seeds": seeds, "steps": steps, "faults": FAULTS, "trainers": table}
    if given.keep:
        last = json.loads((HERE / "results" / "fault_gauntlet.json").read_text(encoding="utf-8"))
        kept = {name: rows for name, rows in last["trainers"].items() if name not in table}
        figures["kept"] = {"of": list(kept), "when": last["when"], "commit": last["commit"]}
        figures["trainers"] = table = kept | table
    figures["faults_survived"] = {
        name: sum(
            found["survived"] == found["of"] for fault, found in rows.items() if fault != "clean"
        )
        for name, rows in table.items()
        if len(rows) > 1
    }
    print(json.dumps(figures["faults_survived"]))
    if given.out:
        Path(given.out).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    elif not given.smoke:
        write_result(__file__, figures)


if __name__ == "__main__":
    main()
