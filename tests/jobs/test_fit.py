"""fit trains, saves, resumes and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import paceline
from paceline.core.errors import DataError, PacelineError, RunError, SettingError, StorageError
from paceline.core.ledger import read_ledger

QUICK = {"model.width": 4, "loop.save_seconds": 0.1, "loop.precision": "fp32"}


class Kill(BaseException):
    """Stands in for a kill: nothing may catch it."""


class KillAt:
    """A listener that kills the run at a share of the training."""

    def __init__(self, share):
        self.share = share

    def say(self, line):
        pass

    def warn(self, line):
        pass

    def advance(self, what, done, note=""):
        if what == "training" and done >= self.share:
            raise Kill


class Heard:
    """A listener that remembers warnings."""

    def __init__(self):
        self.warnings = []

    def say(self, line):
        pass

    def warn(self, line):
        self.warnings.append(line)

    def advance(self, what, done, note=""):
        pass


def quick(**given):
    settings = QUICK | given.pop("settings", {})
    return paceline.fit(
        "digits", **{"steps": 48, "baselines": False, **given, "settings": settings}
    )


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_digits_are_learnt_and_all_files_are_there(tmp_path):
    run = paceline.fit("digits", epochs=12, out=tmp_path / "run", settings={"model.width": 8})
    assert run.test["accuracy"] > 0.95
    assert {"majority", "logistic", "boosting"} <= set(run.baselines) or len(run.baselines) >= 3
    assert {"model.safetensors", "ledger.db", "run.json", "report.html"} <= {
        path.name for path in run.path.iterdir()
    }
    names = {entry.name for entry in read_ledger(run.path / "ledger.db", kind="decision")}
    assert {"task", "goal", "precision", "data", "model", "learning_rate", "weights"} <= names


def test_a_loaded_run_answers_as_the_fitted_one_did(tmp_path):
    run = quick(out=tmp_path / "run")
    again = paceline.load(tmp_path / "run")
    assert (again.predict("digits") == run.predict("digits")).all()
    assert again.evaluate("digits")["accuracy"] == run.evaluate("digits")["accuracy"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        quick(out=tmp_path / name, seed=seed)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loop.accumulate": 2, "loop.clip": 0.5, "loop.average": 0.0},
        {"optimizer.name": "sgd", "optimizer.lr": 0.05, "optimizer.momentum": 0.9},
        {"controller.name": "reduce_on_plateau", "controller.patience": 0},
        {"data.resident": "never", "data.workers": 0, "loop.precision": "bf16"},
    ],
    ids=["plain", "accumulate", "momentum", "plateau", "streamed"],
)
def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(tmp_path, share, settings):
    quick(out=tmp_path / "whole", settings=settings)
    with pytest.raises(Kill):
        quick(out=tmp_path / "killed", settings=settings, progress=KillAt(share))
    quick(out=tmp_path / "killed", settings=settings, resume=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


@pytest.fixture(autouse=True)
def _save_as_often_as_asked(monkeypatch):
    monkeypatch.setattr("paceline.train.loop.SAVE_SHARE", 1.0)


def test_a_resumed_ledger_holds_each_step_once(tmp_path):
    with pytest.raises(Kill):
        quick(out=tmp_path / "run", progress=KillAt(0.6))
    quick(out=tmp_path / "run", resume=True)
    losses = read_ledger(tmp_path / "run" / "ledger.db", kind="reading", name="loss")
    steps = [entry.step for entry in losses if entry.source == "loop"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 48


def test_a_finished_run_is_left_alone(tmp_path):
    quick(out=tmp_path / "run")
    before = weights(tmp_path / "run")
    assert quick(out=tmp_path / "run", resume=True).test
    assert weights(tmp_path / "run") == before


def test_a_time_budget_is_kept_testing_and_saving_included(tmp_path):
    run = quick(out=tmp_path / "run", steps=None, time=4, settings={"loop.save_seconds": 9.0})
    seconds = run.facts["result"]["seconds"]
    assert 3.0 < seconds < 4.12
    assert run.facts["result"]["stopped"] == "budget"


def test_the_callers_random_states_are_left_as_they_were(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    first = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    quick(out=tmp_path / "run", steps=4)
    assert (torch.rand(1), np.random.rand()) == first


def test_a_network_of_ones_own_learns_from_data_that_we_read(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    run = paceline.fit("digits", model=network, epochs=20, out=tmp_path / "run", baselines=False)
    assert run.test["accuracy"] > 0.9
    fresh = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    again = paceline.load(tmp_path / "run", model=fresh)
    assert again.evaluate("digits") == run.evaluate("digits")
    with pytest.raises(RunError, match="model of your own"):
        paceline.load(tmp_path / "run").predict("digits")


def blobs(count=600):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (count,), generator=generator)
    return torch.randn(count, 5, generator=generator) + 2 * y[:, None], y


def test_a_dataset_of_ones_own_is_divided_and_learnt(tmp_path):
    x, y = blobs()
    run = paceline.fit(
        TensorDataset(x, y), model=nn.Linear(5, 3), epochs=20, out=tmp_path / "run",
        settings={"optimizer.lr": 0.05},
    )  # fmt: skip
    assert run.test["accuracy"] > 0.85
    assert run.facts["data"]["train"] + run.facts["data"]["test"] < 600
    assert run.predict(x).shape == (600,)
    assert run.evaluate(TensorDataset(x, y))["accuracy"] > 0.85


def test_loaders_of_ones_own_are_used_as_they_are_and_resumed_exactly(tmp_path):
    x, y = blobs()

    def fit(out, **given):
        torch.manual_seed(0)
        return paceline.fit(
            DataLoader(TensorDataset(x[:400], y[:400]), batch_size=32, shuffle=True),
            validation=DataLoader(TensorDataset(x[400:500], y[400:500]), batch_size=50),
            test=DataLoader(TensorDataset(x[500:], y[500:]), batch_size=50),
            model=nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.2), nn.Linear(16, 3)),
            steps=64,
            out=out,
            settings={"loop.save_seconds": 0.0},
            **given,
        )

    run = fit(tmp_path / "whole")
    assert run.test["accuracy"] > 0.35
    with pytest.raises(Kill):
        fit(tmp_path / "killed", progress=KillAt(0.5))
    fit(tmp_path / "killed", resume=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_numbers_of_ones_own_take_a_loss_of_ones_own(tmp_path):
    x = torch.randn(300, 4)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 3.0])
    run = paceline.fit(
        TensorDataset(x, y), model=nn.Linear(4, 1), steps=400, out=tmp_path / "run",
        loss=lambda output, target: nn.functional.l1_loss(output.squeeze(-1), target),
        settings={"optimizer.lr": 0.05},
    )  # fmt: skip
    assert run.test["rmse"] < 0.5


def test_arrays_are_learnt(tmp_path):
    x, y = blobs()
    run = paceline.fit((x.numpy(), y.numpy()), out=tmp_path / "run", steps=100, baselines=False)
    assert run.test["accuracy"] > 0.85
    assert run.predict(x.numpy()[:7]).shape == (7,)


def test_last_weights_are_kept_beside_the_best(tmp_path):
    run = quick(out=tmp_path / "run", settings={"loop.average": 0.9})
    last = paceline.load(run.path, weights="last")
    assert last.evaluate("digits")["accuracy"] > 0.1
    with pytest.raises(RunError, match="'best' or 'last'"):
        paceline.load(run.path, weights="first").predict("digits")


# --- refusals


def test_a_run_is_never_written_over(tmp_path):
    quick(out=tmp_path / "run", steps=4)
    before = weights(tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already"):
        quick(out=tmp_path / "run", steps=4)
    assert weights(tmp_path / "run") == before


def test_a_folder_with_other_things_is_not_used(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("…")
    with pytest.raises(RunError, match="not empty"):
        quick(out=tmp_path / "letters", steps=4)


def test_resume_with_other_settings_is_refused_and_names_them(tmp_path):
    with pytest.raises(Kill):
        quick(out=tmp_path / "run", progress=KillAt(0.5))
    with pytest.raises(RunError, match=r"seed: 0 → 9"):
        quick(out=tmp_path / "run", seed=9, resume=True)


def test_resume_with_other_data_is_refused(tmp_path):
    x, y = blobs()
    given = {"out": tmp_path / "run", "steps": 32, "baselines": False}
    with pytest.raises(Kill):
        paceline.fit((x.numpy(), y.numpy()), progress=KillAt(0.5), **given)
    with pytest.raises(RunError, match="other data"):
        paceline.fit((x.numpy() + 1, y.numpy()), resume=True, **given)


def test_resume_without_a_directory_is_refused():
    with pytest.raises(RunError, match="--resume needs --out"):
        quick(resume=True)


def test_resume_of_nothing_begins(tmp_path):
    assert quick(out=tmp_path / "new", steps=4, resume=True).test


def test_a_damaged_model_is_refused(tmp_path):
    run = quick(out=tmp_path / "run", steps=4)
    file = run.path / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="checksum"):
        paceline.load(run.path).predict("digits")


def test_damaged_checkpoints_are_refused_and_the_one_before_is_used(tmp_path):
    every_step = {"settings": {"loop.save_seconds": 0.0}}
    quick(out=tmp_path / "whole", **every_step)
    with pytest.raises(Kill):
        quick(out=tmp_path / "run", progress=KillAt(0.3), **every_step)
    folder = tmp_path / "run" / "checkpoints"
    newest, _before = [
        folder / entry["file"]
        for entry in json.loads((folder / "last.json").read_text())["newest_first"]
    ]
    newest.write_bytes(newest.read_bytes()[:100])
    heard = Heard()
    quick(out=tmp_path / "run", resume=True, progress=heard, **every_step)
    assert any("the one before it is used" in line for line in heard.warnings)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    with pytest.raises(Kill):
        quick(out=tmp_path / "other", progress=KillAt(0.3), **every_step)
    for file in (tmp_path / "other" / "checkpoints").glob("*.safetensors"):
        file.write_bytes(b"nothing")
    with pytest.raises(RunError, match="no checkpoint"):
        quick(out=tmp_path / "other", resume=True, **every_step)


def test_no_space_is_said_before_the_training(tmp_path, monkeypatch):
    import shutil

    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    with pytest.raises(StorageError, match="no space for checkpoints"):
        quick(out=tmp_path / "run", steps=4)


def test_a_disk_that_fills_up_meanwhile_is_survived(tmp_path, monkeypatch):
    from paceline.train import loop

    real, calls = loop.Vault.write, []

    def unwilling(self, snapshot, *, step):
        calls.append(step)
        if len(calls) < 3:
            raise StorageError("cannot write: no space left on the disk")
        real(self, snapshot, step=step)

    monkeypatch.setattr(loop.Vault, "write", unwilling)
    heard = Heard()
    assert quick(out=tmp_path / "run", progress=heard).test
    assert any("not saved at step" in line for line in heard.warnings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": -3}, "greater than or equal to 1"),
        ({"steps": None, "time": "soon"}, "no length of time"),
        ({"steps": None, "time": -2}, "no length of time|more than nothing"),
        ({"epochs": 2}, "give one of steps, epochs and time"),
        ({"settings": {"model.widht": 3}}, "did you mean 'width'"),
        ({"settings": {"optimizer.name": "adamm"}}, "did you mean 'adam'"),
        ({"settings": {"optimizer.momentun": 0.9, "optimizer.name": "sgd"}}, "'momentum'"),
        ({"settings": {"controller.name": "cosin"}}, "did you mean 'cosine'"),
        ({"settings": {"task.trun": 3.0}}, "did you mean 'turn'"),
        ({"settings": {"loop.precision": "fp16"}}, "fp16 needs a GPU"),
        ({"model": "tabm"}, "takes table, not image"),
        ({"task": "tabular"}, "--task tabular learns from table"),
        ({"task": "imag"}, "did you mean 'image'"),
        ({"device": "cuda:77"}, "cannot be used here"),
        ({"settings": {"optimizer.lr": -1.0}}, "lr|learning rate"),
    ],
)
def test_a_wrong_setting_is_one_line_and_leaves_nothing_behind(tmp_path, given, message):
    with pytest.raises(SettingError, match=message) as caught:
        quick(out=tmp_path / "run", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TensorDataset(*blobs(30)), "needs model="),
        ("digitz", "did you mean 'digits'"),
        ((np.ones((20, 3)), np.zeros(20, int)), "at least two classes"),
        ((np.ones((20, 3)), np.full(20, np.nan)), "missing or infinite"),
    ],
)
def test_unusable_data_are_one_line(tmp_path, data, message):
    with pytest.raises(DataError, match=message) as caught:
        paceline.fit(data, steps=4, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_frozen_networks_are_refused(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).requires_grad_(False)
    with pytest.raises(SettingError, match="all are frozen"):
        paceline.fit("digits", model=network, steps=4, out=tmp_path / "run", baselines=False)


def test_predictions_of_other_things_are_refused(tmp_path):
    run = quick(out=tmp_path / "run", steps=4)
    with pytest.raises(PacelineError):
        run.predict(np.zeros((3, 1, 9, 9), np.uint8))
    with pytest.raises(RunError, match="there is no run"):
        paceline.load(tmp_path / "elsewhere")
