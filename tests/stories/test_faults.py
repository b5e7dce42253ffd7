"""Runs that go wrong, and end as well as those that do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import paceline
from paceline.controllers.guard import Guard

STEPS, BATCH, CLASSES = 400, 32, 6
Fault = Callable[[int, Tensor, Tensor, nn.Module], tuple[Tensor, Tensor]]


def _examples(seed: int, count: int) -> tuple[Tensor, Tensor]:
    centres = torch.randn(CLASSES, 12, generator=torch.Generator().manual_seed(7))
    chance = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (count,), generator=chance)
    return centres[y] + 0.7 * torch.randn(count, 12, generator=chance), y


class _Set(torch.utils.data.Dataset):
    """Spoils the batch of a given number; whole batches at once."""

    def __init__(self, model: nn.Module, fault: Fault) -> None:
        self.model, self.fault, self.drawn = model, fault, 0
        self.x, self.y = _examples(1, 600)

    def __len__(self) -> int:
        return len(self.y)

    def __getitems__(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        self.drawn += 1
        return self.fault(self.drawn, self.x[rows], self.y[rows], self.model)


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *[nn.Linear(12, 24), nn.BatchNorm1d(24), nn.ReLU()],
        *[nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, CLASSES)],
    )


def _nothing(at: int, x: Tensor, y: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    return x, y


def _train(
    fault: Fault = _nothing,
    *,
    lr: float = 0.05,
    model: nn.Module | None = None,
    controller: str = "probe",
) -> tuple[nn.Module, paceline.Pacer]:
    model = model or _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    pacer = paceline.Pacer(optimizer, total_steps=STEPS, modules=[model], controller=controller)
    chance = torch.Generator().manual_seed(0)
    loader = DataLoader(
        _Set(model, fault), BATCH, shuffle=True, collate_fn=lambda batch: batch, generator=chance
    )
    for x, y in pacer.batches(loader):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        pacer.step(loss)
    return model, pacer


@torch.no_grad()
def _accuracy(model: nn.Module, change: Callable[[Tensor], Tensor] = lambda x: x) -> float:
    x, y = _examples(2, 3000)
    model.eval()
    return float((model(change(x)).argmax(1) == y).float().mean())


@pytest.fixture(scope="module")
def clean() -> float:
    accuracy = _accuracy(_train()[0])
    assert accuracy > 0.9
    return accuracy


def _nan(at: int, x: Tensor, y: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    return (x * float("nan") if at in (1, 200) else x), y


def _infinite(at: int, x: Tensor, y: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    if at == 200:
        weight, handles = model[3].weight, []
        handles.append(weight.register_hook(lambda g: (handles[0].remove(), g / 0.0)[1]))
    return x, y


def _garbage(at: int, x: Tensor, y: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(at)
    return x, torch.randint(CLASSES, y.shape, generator=chance) if 160 <= at < 190 else y


def _explode(at: int, x: Tensor, y: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    if at == 200:
        with torch.no_grad():
            model[3].weight *= 1e3
    return x, y


@pytest.mark.parametrize("fault", [_nan, _infinite, _garbage, _explode])
def test_a_run_with_a_fault_ends_as_well_as_one_without(fault: Fault, clean: float) -> None:
    model, pacer = _train(fault)
    assert _accuracy(model) >= 0.98 * clean, pacer.explain()
    assert all(bool(torch.isfinite(each).all()) for each in model.state_dict().values())


@pytest.mark.parametrize("lr", [5.0, 5e-4])
def test_a_wrong_rate_at_the_start_does_not_matter(lr: float, clean: float) -> None:
    assert _accuracy(_train(lr=lr)[0]) >= 0.99 * clean


def test_a_network_that_begins_dead_is_brought_to_life(clean: float) -> None:
    model = _model()
    nn.init.constant_(model[3].bias, -30.0)
    model, pacer = _train(model=model)
    assert "get no gradient; they start anew" in pacer.explain()
    assert _accuracy(model) >= 0.98 * clean


def test_when_the_data_change_midway_the_new_ones_are_learnt(clean: float) -> None:
    model, pacer = _train(
        lambda at, x, y, model: (-x if at >= 200 else x, y), controller="linear", lr=0.03
    )
    assert "the data changed, the rate is back at 1" in pacer.explain()
    assert _accuracy(model, torch.neg) >= 0.97 * clean  # in half of the budget


def test_a_run_whose_loss_stays_nan_is_given_up_with_a_report() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    pacer = paceline.Pacer(
        optimizer, total_steps=500, modules=[model], beside=[Guard(0.05, tries=2)]
    )
    x, y = _examples(1, BATCH)
    for step in range(500):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y) * (float("nan") if step > 50 else 1.0)
        loss.backward()
        pacer.step(loss)
        if pacer.done:
            break
    assert pacer.stopped.startswith("gave up: ")
    assert pacer.step_count < 120


# --- memory and files, in paceline.fit


class _SmallMemory(nn.Module):
    """Fails from some call on where more than some examples come at once."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner, self.most, self.calls, self.sizes = _model(), most, 0, []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
            if self.calls > 20 and len(x) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            self.sizes.append(len(x))
        return self.inner(x)


def _fit(model: nn.Module, out: Path, **given: object) -> paceline.Run:
    x, y = _examples(1, 600)
    return paceline.fit(
        TensorDataset(x, y),
        model=model,
        loss=cross_entropy,
        steps=100,
        out=out,
        baselines=False,
        device="cpu",
        **given,
    )


@pytest.fixture
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.usefixtures("quiet")
def test_when_memory_is_full_the_same_batch_is_done_in_pieces(tmp_path: Path) -> None:
    model = _SmallMemory(most=8)
    _fit(model, tmp_path / "run", settings={"data.batch_size": 32})
    assert max(model.sizes[-20:]) == 8
    whole = [
        sum(model.sizes[at : at + 4]) for at in range(len(model.sizes) - 40, len(model.sizes), 4)
    ]
    assert set(whole) == {32}


@pytest.mark.usefixtures("quiet")
def test_a_memory_that_holds_no_example_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        _fit(_SmallMemory(most=0), tmp_path / "run")


@pytest.mark.usefixtures("quiet")
def test_in_pieces_the_gradient_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    def linear(most: int) -> nn.Module:
        model = _SmallMemory(most=most)
        torch.manual_seed(0)
        model.inner = nn.Linear(12, CLASSES)
        return model

    settings = {"loop.average": 0.0, "data.batch_size": 32, "controller.name": "constant"}
    weights = []
    for most in (7, 1000):
        model = linear(most)
        _fit(model, tmp_path / f"{most}", settings=settings)
        weights.append(model.inner.weight.detach())
    assert torch.allclose(*weights, atol=2e-3)  # AdamW makes of rounding a little more
