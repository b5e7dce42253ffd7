"""A gradient of this process is the mean over all micro-batches, however memory cuts them up."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from paceline.data.base.batches import Order, ResidentFeed
from paceline.data.base.source import Batch
from paceline.train import alone
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


def ignoring(share):
    """Batches of which a part of the targets does not count, in some of them none at all."""
    rows, chance = feed(), torch.Generator().manual_seed(5)

    def pick(number):
        batch = rows.pick(rows.rows(number))
        targets = batch.targets.clone()
        targets[torch.rand(BATCH, generator=chance) < share * (number + 1) / 2] = -100
        return batch.inputs, targets

    return [pick(number) for number in range(4)]


@pytest.mark.parametrize("most", [100, 7, 3, 1])
@pytest.mark.parametrize("numbers", [(0,), (0, 1), (0, 1, 3), (3, 0)])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_ignored_targets_count_nowhere_as_in_one_whole_batch(most, numbers, share):
    work, model = made(most)
    batches = ignoring(share)
    given = iter([(n, Batch(inputs=batches[n][0], targets=batches[n][1])) for n in numbers])
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    loss = work.gradient(lambda: next(given), len(numbers), scaler, trial=False)
    _, whole = made()
    inputs = torch.cat([batches[n][0][0] for n in numbers])
    targets = torch.cat([batches[n][1] for n in numbers])
    wanted = nn.functional.cross_entropy(whole(inputs), targets)
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), abs=1e-12)
    for mine, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=0, atol=1e-12)


def test_batches_of_unequal_numbers_of_tokens_are_one_large_batch():
    torch.manual_seed(2)
    tokens = [torch.randint(5, (4, length)) for length in (3, 7)]
    network = nn.Embedding(5, 5).double()

    def loss(output, targets):
        return nn.functional.cross_entropy(output.flatten(0, 1), targets.flatten())

    work, _ = made(network=network, loss=loss, parameters=list(network.parameters()))
    given = iter([(at, Batch(inputs=(each,), targets=each)) for at, each in enumerate(tokens)])
    work.gradient(lambda: next(given), 2, torch.amp.GradScaler("cpu", enabled=False), trial=False)
    found, network.weight.grad = network.weight.grad, None
    flat = torch.cat([each.flatten() for each in tokens])
    nn.functional.cross_entropy(network(flat), flat).backward()
    torch.testing.assert_close(found, network.weight.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("most", [100, 3])
@pytest.mark.parametrize("numbers", ["whole", "real"])
def test_where_nothing_is_ignored_not_one_bit_differs_from_means_of_means(count, most, numbers):
    """What it did before it counted: each piece by its rows, each micro-batch alike."""

    def loss(output, targets):
        if numbers == "whole":
            return nn.functional.cross_entropy(output, targets)
        return nn.functional.mse_loss(output[:, 0], targets)

    work, model = made(most, loss=loss)
    rows = feed()
    batches = [rows.pick(rows.rows(number)) for number in range(count)]
    if numbers == "real":
        batches = [Batch(inputs=each.inputs, targets=each.targets.double()) for each in batches]
    given = iter(enumerate(batches))
    found = work.gradient(
        lambda: next(given), count, torch.amp.GradScaler("cpu", enabled=False), trial=False
    )
    _, twin = made()
    total, pieces = 0.0, {100: 1, 3: 4}[most]
    for batch in batches:
        losses, ends = [], [BATCH * at // pieces for at in range(pieces + 1)]
        for first, end in pairwise(ends):
            share = 1 / count if pieces == 1 else (end - first) / BATCH / count
            each = loss(twin(batch.inputs[0][first:end]), batch.targets[first:end])
            each = each * share if share < 1 else each
            each.backward()
            losses.append(each.detach())
        total = total + (losses[0] if pieces == 1 else torch.stack(losses).sum())
    assert found == float(total)
    for mine, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)


def test_one_whole_batch_is_not_counted(monkeypatch):
    """On a GPU that would wait for what was computed before."""

    def refuse(targets):
        raise AssertionError("it was counted")

    monkeypatch.setattr(alone, "counted", refuse)
    gradient(*made())


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
