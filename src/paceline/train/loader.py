"""A loader of the user's own, batch after batch and pass after pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, final

import torch

from paceline.core.errors import DataError

Item = TypeVar("Item")


@final
class LoaderStream(Generic[Item]):
    """Reads an iterable over and over; a resumed one stands at the same batch of the same pass.

    A loader shuffles with torch's generator, or one of its own, when a pass begins; both are
    remembered as they were then, and put back before the pass is begun again.

    Args:
        loader: Read again from its start after each pass; an iterator that cannot be is
            read once.
    """

    def __init__(self, loader: Iterable[Item]) -> None:
        self._loader, self._stream = loader, None if not isinstance(loader, Iterator) else loader
        self._at = 0
        self._chance: dict[str, Any] = {}

    def next(self) -> Item:
        """The next batch.

        Raises:
            StopIteration: An iterator that can be read only once has come to its end.
            DataError: The loader is empty.
        """
        try:
            item = next(self._stream or self._begin())
        except StopIteration:
            if isinstance(self._loader, Iterator):
                raise
            if self._at == 0:
                raise DataError("the loader gives no batches") from None
            self._begin()
            item = next(self._begin())
        self._at += 1
        return item

    def _begin(self) -> Iterator[Item]:
        self._at = 0
        self._chance = {"torch": torch.get_rng_state()}
        generator = getattr(self._loader, "generator", None)
        if isinstance(generator, torch.Generator):
            self._chance["own"] = generator.get_state()
        self._stream = iter(self._loader)
        return self._stream

    def state_dict(self) -> dict[str, Any]:
        """The place in this pass, and the generators as they were at its beginning."""
        return {"at": self._at, "chance": dict(self._chance)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begins the same pass again and skips what was read; torch's generator stays as it is."""
        at, chance = state["at"], state["chance"]
        if not isinstance(self._loader, Iterator):
            self._stream = None
        if not chance and not at:
            return
        now = torch.get_rng_state()
        if chance and self._stream is None:
            torch.set_rng_state(chance["torch"])
            generator = getattr(self._loader, "generator", None)
            if "own" in chance and isinstance(generator, torch.Generator):
                generator.set_state(chance["own"])
            self._begin()
        for _ in range(at):
            self.next()
        torch.set_rng_state(now)
