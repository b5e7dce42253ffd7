"""Batches in an order that follows from a seed alone, so that a count is the whole cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from paceline.core.errors import DataError
from paceline.data.base.source import Batch


class Feed(Protocol):
    """Training batches, one after the other, without end."""

    examples: int
    batch_size: int

    def next(self) -> Batch:
        """The batch at the cursor, which moves on by one."""

    def state_dict(self) -> dict[str, Any]:
        """The cursor."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts the cursor back."""


@final
class Order:
    """Which examples make batch number i: a function of (seed, i) and nothing else.

    Every epoch is a permutation of its own; batches are cut from the endless chain of
    permutations, so all have the same size and every epoch sees each example once.

    >>> order = Order(examples=5, batch_size=2, seed=0)
    >>> sorted(row for index in range(5) for row in order.rows(index).tolist())
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """

    def __init__(self, *, examples: int, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size = examples, batch_size
        self._seed = seed
        self._kept: dict[int, Tensor] = {}

    def rows(self, index: int) -> Tensor:
        """Row numbers of batch ``index``: int64 [batch_size]."""
        epoch, offset = divmod(index * self.batch_size, self.examples)
        rows = self._permutation(epoch)[offset : offset + self.batch_size]
        while len(rows) < self.batch_size:
            epoch += 1
            missing = self.batch_size - len(rows)
            rows = torch.cat([rows, self._permutation(epoch)[:missing]])
        return rows

    def _permutation(self, epoch: int) -> Tensor:
        if epoch not in self._kept:
            generator = torch.Generator().manual_seed(mixed(self._seed, epoch))
            self._kept = {key: kept for key, kept in self._kept.items() if key == epoch - 1}
            self._kept[epoch] = torch.randperm(self.examples, generator=generator)
        return self._kept[epoch]


def mixed(*numbers: int) -> int:
    """One well-spread seed from several numbers (SplitMix64's finaliser over each).

    >>> mixed(0, 1) != mixed(1, 0)
    True
    """
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


@final
class ResidentFeed:
    """Batches picked out of tensors that lie on the device.

    Args:
        inputs: Tensors with the example as first axis, on the device.
        targets: Tensor [n], on the device.
        order: Which rows make a batch.
    """

    def __init__(self, inputs: tuple[Tensor, ...], targets: Tensor, order: Order) -> None:
        self.examples, self.batch_size = order.examples, order.batch_size
        self._inputs, self._targets, self._order = inputs, targets, order
        self._index = 0

    def next(self) -> Batch:
        self._index += 1
        return self.pick(self._order.rows(self._index - 1))

    @property
    def targets(self) -> Tensor:
        """Of all examples [n]."""
        return self._targets

    def rows(self, number: int) -> Tensor:
        """Row numbers of a batch: int64 [batch_size]."""
        return self._order.rows(number)

    def pick(self, rows: Tensor) -> Batch:
        """Some examples by their row numbers."""
        rows = rows.to(self._targets.device, non_blocking=True)
        return Batch(
            inputs=tuple(part.index_select(0, rows) for part in self._inputs),
            targets=self._targets.index_select(0, rows),
        )

    def state_dict(self) -> dict[str, Any]:
        return {"index": self._index}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._index = state["index"]


@final
class Rows(Dataset[Any]):
    """A map-style dataset over parts that are indexed by row: tensors, arrays, lazy images."""

    def __init__(self, inputs: tuple[Any, ...], targets: Tensor) -> None:
        self._inputs, self._targets = inputs, targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, row: int) -> tuple[Any, ...]:
        return (*(torch.as_tensor(part[row]) for part in self._inputs), self._targets[row])


@final
class StreamedFeed:
    """Batches read by worker processes from a map-style dataset.

    The dataset's items are ``(*inputs, target)``. The order is that of ``Order``, whatever
    the number of workers.
    """

    def __init__(
        self, dataset: Dataset[Any], order: Order, *, device: torch.device, workers: int
    ) -> None:
        self.examples, self.batch_size = order.examples, order.batch_size
        self._dataset, self._order = dataset, order
        self._device, self._workers = device, workers
        self._index = 0
        self._stream: Iterator[Any] | None = None

    def next(self) -> Batch:
        if self._stream is None:
            self._stream = iter(self._loader())
        batch = next(self._stream)
        self._index += 1
        return to_batch(batch, self._device)

    def rows(self, number: int) -> Tensor:
        """Row numbers of a batch: int64 [batch_size]."""
        return self._order.rows(number)

    def pick(self, rows: Tensor) -> Batch:
        """Some examples by their row numbers, read in this process."""
        return to_batch(
            default_collate([self._dataset[row] for row in rows.tolist()]), self._device
        )

    def state_dict(self) -> dict[str, Any]:
        return {"index": self._index}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._index, self._stream = state["index"], None

    def _loader(self) -> DataLoader[Any]:
        return DataLoader(
            self._dataset,
            batch_sampler=_Endless(self._order, self._index),
            num_workers=self._workers,
            pin_memory=self._device.type == "cuda",
            collate_fn=default_collate,
            generator=torch.Generator().manual_seed(0),
        )


@final
class Numbers:
    """Stands where batches are drawn by others: it only counts them.

    Args:
        examples: How many there are.
        batch_size: In a batch.
    """

    def __init__(self, *, examples: int, batch_size: int) -> None:
        self.examples, self.batch_size = examples, batch_size
        self._index = 0

    def next(self) -> Batch:
        self._index += 1
        return Batch(inputs=(), targets=torch.empty(0))

    def state_dict(self) -> dict[str, Any]:
        return {"index": self._index}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._index = state["index"]


class _Endless:
    def __init__(self, order: Order, start: int) -> None:
        self._order, self._start = order, start

    def __iter__(self) -> Iterator[list[int]]:
        index = self._start
        while True:
            yield self._order.rows(index).tolist()
            index += 1


@final
class LoaderFeed:
    """Batches of a DataLoader of the user's own, epoch after epoch.

    The loader may draw from torch's global random generator; the feed gives it a state of
    its own, which follows from (seed, epoch), so that a resumed run sees the same batches.
    """

    def __init__(self, loader: DataLoader[Any], *, seed: int, device: torch.device) -> None:
        self.examples = len(loader.dataset)  # type: ignore[arg-type] # sized, checked on opening
        self.batches = len(loader)
        self.batch_size = max(1, -(-self.examples // max(self.batches, 1)))
        self._loader, self._seed, self._device = loader, seed, device
        self._chance: Tensor | None = None
        self._index = 0
        self._stream: Iterator[Any] | None = None

    def next(self) -> Batch:
        with self._own_chance():
            if self._stream is None or self._index % self.batches == 0:
                self._begin_epoch()
            assert self._stream is not None
            batch = next(self._stream)
        self._index += 1
        return to_batch(batch, self._device)

    def state_dict(self) -> dict[str, Any]:
        return {"index": self._index}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._index, self._stream = state["index"], None

    def _begin_epoch(self) -> None:
        epoch, skipped = divmod(self._index, self.batches)
        torch.default_generator.manual_seed(mixed(self._seed, epoch))
        if isinstance(self._loader.generator, torch.Generator):
            self._loader.generator.manual_seed(mixed(self._seed, epoch, 1))
        self._stream = iter(self._loader)
        for _ in range(skipped):
            next(self._stream)

    @contextmanager
    def _own_chance(self) -> Iterator[None]:
        """Samplers and datasets draw when a batch is asked for, not when an epoch begins."""
        outside = torch.get_rng_state()
        if self._chance is not None:
            torch.set_rng_state(self._chance)
        try:
            yield
        finally:
            self._chance = torch.get_rng_state()
            torch.set_rng_state(outside)


def to_batch(item: Any, device: torch.device) -> Batch:
    """A collated ``(*inputs, target)`` on the device.

    Raises:
        DataError: The item is something else.
    """
    if not isinstance(item, (tuple, list)) or len(item) < 2:
        raise DataError(
            f"a batch must be (*inputs, targets), got {type(item).__name__}; let the dataset"
            " return (input, target)"
        )
    parts = [torch.as_tensor(part).to(device, non_blocking=True) for part in item]
    return Batch(inputs=tuple(parts[:-1]), targets=parts[-1])
