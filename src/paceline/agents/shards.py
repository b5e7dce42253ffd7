"""Data that cannot move: each agent learns from examples of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from paceline.core.errors import SettingError
from paceline.data.base import Batch
from paceline.data.base.batches import Order, mixed
from paceline.data.base.rows import Pickable


@final
class Shard:
    """The examples of one agent, in an order of their own.

    Args:
        rows: All examples.
        own: Which of them are this agent's.
        seed: Of their order.

    Attributes:
        examples: How many are its own: what its part of a model counts when models are merged.
    """

    def __init__(self, rows: Pickable, own: Tensor, seed: int) -> None:
        self.batch_size, self.examples = rows.batch_size, len(own)
        self._rows, self._own = rows, own
        self._order = Order(examples=len(own), batch_size=rows.batch_size, seed=seed)

    def rows(self, number: int) -> Tensor:
        """Which examples make the batch of a number: int64 [batch_size]."""
        return self._own[self._order.rows(number)]

    def pick(self, rows: Tensor) -> Batch:
        """Some examples as a batch."""
        return self._rows.pick(rows)


@final
class Shards:
    """Examples that are divided among agents for good.

    Args:
        rows: All examples.
        parts: Rows of each agent: int64 [examples], none empty.
        seed: Of all orders.

    Raises:
        SettingError: A part is empty.

    >>> from paceline.data.base.batches import ResidentFeed
    >>> order = Order(examples=5, batch_size=2, seed=0)
    >>> feed = ResidentFeed((torch.arange(5),), torch.arange(5), order)
    >>> shards = Shards(feed, [torch.tensor([0, 1, 2]), torch.tensor([3, 4])], seed=0)
    >>> sorted(shards.of(2).rows(0).tolist()), shards.of(1).examples
    ([3, 4], 3)
    """

    def __init__(self, rows: Pickable, parts: Sequence[Tensor], seed: int) -> None:
        empty = [number for number, part in enumerate(parts, 1) if not len(part)]
        if empty:
            raise SettingError(f"agent {empty[0]} would have no examples of its own")
        self._shards = [Shard(rows, part, mixed(seed, number)) for number, part in enumerate(parts)]

    def __len__(self) -> int:
        return len(self._shards)

    def of(self, number: int) -> Shard:
        """The shard of an agent, by its number from 1.

        Raises:
            SettingError: There is no such shard.
        """
        if not 1 <= number <= len(self):
            raise SettingError(
                f"agent {number} has no data of its own: there are {len(self)} shards"
            )
        return self._shards[number - 1]

    def learnt_from(self, number: int, given: Mapping[int, int]) -> Tensor:
        """The examples that agents give to the batch of a number.

        Args:
            number: Of the batch.
            given: How many rows each agent has of it, in their order.
        """
        first, parts = 0, []
        for agent, count in given.items():
            parts.append(self.of(agent).rows(number)[first : first + count])
            first += count
        return torch.cat(parts)


def divided(targets: Tensor, agents: int, how: str, seed: int) -> list[Tensor]:
    """Row numbers for each agent, to try out what shards do to a training.

    Args:
        targets: Of all examples [n].
        agents: How many there are.
        how: ``random``, or ``labels``: sorted by target, so that each has few labels.
        seed: Of the division.

    >>> [part.tolist() for part in divided(torch.tensor([1, 0, 1, 0]), 2, "labels", 0)]
    [[1, 3], [0, 2]]
    """
    if how == "labels":
        order = torch.argsort(targets, stable=True)
    else:
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    return [part.sort().values for part in order.cpu().tensor_split(agents)]


def with_everybody(shares: Mapping[int, int]) -> dict[int, int]:
    """Shares in which nobody is left out: who is, takes the examples that nobody else has along.

    Each gets at least a quarter of an equal share; the largest give what that needs.

    >>> with_everybody({1: 64, 2: 0, 4: 0})
    {1: 54, 2: 5, 4: 5}
    """
    least = max(1, sum(shares.values()) // (4 * len(shares)))
    found = {number: max(count, least) for number, count in shares.items()}
    while (over := sum(found.values()) - sum(shares.values())) > 0:
        largest = max(found, key=lambda number: found[number])
        found[largest] -= min(over, max(1, found[largest] - least))
    return found


def equal(numbers: Sequence[int], total: int) -> dict[int, int]:
    """Shares that differ by one at most.

    >>> equal([1, 2, 4], 8)
    {1: 3, 2: 3, 4: 2}
    """
    each, more = divmod(total, len(numbers))
    return {number: each + (at < more) for at, number in enumerate(numbers)}
