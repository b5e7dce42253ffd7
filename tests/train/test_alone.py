"""A gradient of this process is the mean over all micro-batches, however memory cuts them up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from paceline.data.base.batches import Order, ResidentFeed
from paceline.train.alone import Alone, is_out_of_memory
from paceline.train.precision import Precision

BATCH = 8


class Small(nn.Module):
    """Its memory holds a few rows."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.layer, self.most = nn.Linear(3, 2).double(), most

    def forward(self, inputs):
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.layer(inputs)


def made(most=100, **other):
    torch.manual_seed(0)
    model = Small(most)
    given = {
        "network": model,
        "loss": nn.functional.cross_entropy,
        "parameters": list(model.parameters()),
        "batch_size": BATCH,
        "precision": Precision(name="fp32", device=torch.device("cpu"), reason="test"),
        "channels_last": False,
        "augment": None,
        "seed": 0,
    }
    return Alone(**(given | other)), model


def feed():
    torch.manual_seed(1)
    order = Order(examples=40, batch_size=BATCH, seed=0)
    return ResidentFeed((torch.randn(40, 3).double(),), torch.randint(2, (40,)), order)


def gradient(work, model, count=1):
    rows, numbers = feed(), iter(range(count))

    def draw():
        number = next(numbers)
        return number, rows.pick(rows.rows(number))

    scaler = torch.amp.GradScaler("cpu", enabled=False)
    loss = work.gradient(draw, count, scaler, trial=False)
    return loss, torch.cat([each.grad.flatten() for each in model.parameters()])


def by_hand(count):
    _, model = made()
    rows = feed()
    losses = []
    for number in range(count):
        batch = rows.pick(rows.rows(number))
        losses.append(nn.functional.cross_entropy(model(*batch.inputs), batch.targets) / count)
    sum(losses).backward()
    return sum(losses).item(), torch.cat([each.grad.flatten() for each in model.parameters()])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("most", [100, 7, 3, 1])
def test_neither_accumulation_nor_a_small_memory_changes_the_gradient(count, most):
    work, model = made(most)
    loss, found = gradient(work, model, count)
    expected_loss, expected = by_hand(count)
    assert loss == pytest.approx(expected_loss, abs=1e-12)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert work.pieces == {100: 1, 7: 2, 3: 4, 1: 8}[most]


def test_the_pieces_are_kept_and_saved():
    work, model = made(3)
    gradient(work, model)
    other, _ = made(3)
    other.load_state_dict(work.state_dict())
    assert other.pieces == work.pieces == 4


def test_no_memory_for_one_example_is_not_hidden():
    work, model = made(0)
    with pytest.raises(torch.OutOfMemoryError):
        gradient(work, model)


def test_other_errors_are_not_taken_for_a_full_memory():
    work, model = made(loss=lambda output, targets: output @ targets)
    with pytest.raises(RuntimeError):
        gradient(work, model)
    assert work.pieces == 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("memory"), False),
    ],
)
def test_a_full_memory_is_known_by_its_words(error, full):
    assert is_out_of_memory(error) is full


def test_what_is_varied_follows_from_the_batch_alone():
    def varied(inputs, chance):
        return (inputs[0] + torch.randn(inputs[0].shape, generator=chance, dtype=torch.float64),)

    first, again = (gradient(*made(augment=varied))[1] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, gradient(*made(augment=varied, seed=1))[1])
