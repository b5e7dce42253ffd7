"""The order of batches follows from a seed and a number, whoever reads them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from paceline.core.errors import DataError
from paceline.data.base.batches import (
    LoaderFeed,
    Order,
    ResidentFeed,
    Rows,
    StreamedFeed,
    mixed,
    to_batch,
)

_CPU = torch.device("cpu")
_INPUTS = torch.arange(46.0).view(23, 2)
_TARGETS = torch.arange(23)
_sizes = {"examples": st.integers(1, 40), "batch_size": st.integers(1, 60)}


@given(**_sizes, seed=st.integers(0, 2**63 - 1))
@settings(deadline=None)
def test_every_epoch_has_every_example_once(examples, batch_size, seed):
    order = Order(examples=examples, batch_size=batch_size, seed=seed)
    batches = -(-3 * examples // batch_size)
    rows = torch.cat([order.rows(index) for index in range(batches)])
    for epoch in range(3):
        part = rows[epoch * examples : (epoch + 1) * examples]
        assert sorted(part.tolist()) == list(range(examples))


@given(**_sizes, indices=st.lists(st.integers(0, 30), max_size=10))
@settings(deadline=None)
def test_a_batch_depends_on_its_number_alone(examples, batch_size, indices):
    used = Order(examples=examples, batch_size=batch_size, seed=3)
    for index in indices:
        fresh = Order(examples=examples, batch_size=batch_size, seed=3)
        assert used.rows(index).tolist() == fresh.rows(index).tolist()
        assert len(used.rows(index)) == batch_size


def test_seeds_and_epochs_give_orders_of_their_own():
    orders = [Order(examples=50, batch_size=50, seed=seed) for seed in (0, 1)]
    chains = [tuple(order.rows(index).tolist()) for order in orders for index in (0, 1)]
    assert len(set(chains)) == 4


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
def test_a_mixed_seed_is_one_that_torch_takes(numbers):
    torch.Generator().manual_seed(mixed(*numbers))
    assert mixed(*numbers) == mixed(*numbers) < 2**63


def _resident() -> ResidentFeed:
    return ResidentFeed((_INPUTS,), _TARGETS, Order(examples=23, batch_size=5, seed=1))


def _streamed(workers: int) -> StreamedFeed:
    order = Order(examples=23, batch_size=5, seed=1)
    return StreamedFeed(Rows((_INPUTS,), _TARGETS), order, device=_CPU, workers=workers)


def _seen(feed, count: int) -> list[tuple[list, list]]:
    batches = [feed.next() for _ in range(count)]
    return [(batch.inputs[0].tolist(), batch.targets.tolist()) for batch in batches]


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_batches_are_those_that_lie_on_the_device(workers):
    assert _seen(_streamed(workers), 11) == _seen(_resident(), 11)


@pytest.mark.parametrize("make", [_resident, lambda: _streamed(0)])
@pytest.mark.parametrize("cursor", [0, 1, 4, 5, 13])
def test_a_feed_goes_on_from_any_cursor(make, cursor):
    feed, other = make(), make()
    _seen(feed, cursor)
    _seen(other, 2)
    other.load_state_dict(feed.state_dict())
    assert _seen(other, 6) == _seen(feed, 6)


def test_an_input_stays_with_its_target():
    for inputs, targets in _seen(_resident(), 10):
        assert [row[0] / 2 for row in inputs] == targets


def test_rows_of_arrays_and_tensors_are_tensors():
    rows = Rows((np.arange(3, dtype=np.uint8), _INPUTS), _TARGETS[:3])
    assert len(rows) == 3
    assert [part.tolist() for part in rows[1]] == [1, [2.0, 3.0], 1]


def _loader(generator: torch.Generator | None = None) -> DataLoader:
    data = TensorDataset(_INPUTS, _TARGETS)
    return DataLoader(data, batch_size=5, shuffle=True, generator=generator)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("cursor", [0, 1, 4, 5, 12])
def test_a_shuffling_loader_of_the_users_own_resumes_exactly(own, cursor):
    def make() -> LoaderFeed:
        generator = torch.Generator().manual_seed(99) if own else None
        return LoaderFeed(_loader(generator), seed=4, device=_CPU)

    feed, other = make(), make()
    _seen(feed, cursor)
    torch.rand(3)
    _seen(other, 3)
    other.load_state_dict(feed.state_dict())
    assert _seen(other, 11) == _seen(feed, 11)


def test_a_loader_shuffles_anew_every_epoch_and_leaves_the_global_generator_alone():
    feed = LoaderFeed(_loader(), seed=4, device=_CPU)
    before = torch.get_rng_state()
    first, second = _seen(feed, 5), _seen(feed, 5)
    assert torch.equal(before, torch.get_rng_state())
    assert first != second
    for epoch in (first, second):
        assert sorted(target for _, targets in epoch for target in targets) == list(range(23))
    assert (feed.examples, feed.batches, feed.batch_size) == (23, 5, 5)


@pytest.mark.parametrize("item", [torch.zeros(3), [torch.zeros(3)], {"x": 1}, "text"])
def test_a_batch_without_targets_is_refused_with_what_it_must_be(item):
    with pytest.raises(DataError, match=r"a batch must be \(\*inputs, targets\), got"):
        to_batch(item, _CPU)


def test_a_batch_may_have_several_inputs():
    batch = to_batch([np.zeros((2, 3)), torch.ones(2), [0, 1]], _CPU)
    assert [list(part.shape) for part in batch.inputs] == [[2, 3], [2]]
    assert (batch.targets.tolist(), len(batch)) == ([0, 1], 2)
