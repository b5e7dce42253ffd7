"""An agent: computes the gradient of its share of every batch."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, final

import torch
from torch import Tensor, nn

from paceline.agents.batch_norm import synchronise
from paceline.agents.bench import fill, fill_buffers
from paceline.agents.local_steps import LocalSteps
from paceline.agents.wire import Wire
from paceline.agents.workshop import Workshop
from paceline.data.base.batches import mixed
from paceline.train.alone import channels_last, counted, is_out_of_memory, nothing_of
from paceline.train.chance import WholeBatch, begin_batch, drops

_BEAT_SECONDS = 0.25
_SLICE_SECONDS = 0.05


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Memories:
    """Where an agent reads and writes; uint8, laid out as the workshop says.

    Attributes:
        weights: What the coordinator alone writes.
        buffers: Likewise.
        gradient: What this agent alone writes.
        after: Buffers as this agent leaves them.
    """

    weights: Tensor
    buffers: Tensor
    gradient: Tensor
    after: Tensor


class Abandoned(Exception):
    """The others cannot go on with this step; it is begun anew."""


@final
class Agent:
    """Computes the gradient of its share of every batch.

    Args:
        number: What it is called.
        workshop: What it works with.
        memories: Where it reads and writes.
        wire: To the coordinator.
        slow: It pretends to be this many times slower, at least 1; for experiments.
    """

    def __init__(
        self, number: int, workshop: Workshop, memories: Memories, wire: Wire, *, slow: float = 1.0
    ) -> None:
        self.number, self.workshop, self._memories, self._wire = number, workshop, memories, wire
        self.slow, self.seconds_per_example = slow, 0.0
        device = workshop.precision.device
        self._model = workshop.model.train()
        self._weights = workshop.parameters.views(memories.weights)
        self._own = [view if device.type == "cpu" else view.to(device) for view in self._weights]
        fill(self._model, workshop.parameters, self._own, trained=workshop.trained)
        self._buffers = [
            torch.empty_like(view, device=device)
            for view in workshop.buffers.views(memories.buffers)
        ]
        fill_buffers(self._model, workshop.buffers, self._buffers)
        self._row_weight = 1.0
        synchronise(self._model, self._sum_over_agents, lambda: self._row_weight)
        self._drops = drops(self._model)
        self._callable = torch.compile(self._model) if workshop.compiles else self._model
        self._generator = torch.Generator(device=device)
        self._touched: set[int] = set()
        self._rows = workshop.rows_of(number)
        self._first: tuple[float, int] = (0.0, 0)
        self._early: deque[tuple[dict[str, Any], bytes]] = deque()  # came while sums were awaited
        self._parameters = list(self._distinct())
        self._gradients = workshop.parameters.views(memories.gradient)
        self._watch_gradients()
        make = workshop.make_optimizer
        self._local = None if make is None else LocalSteps(self._model, self._parameters, make)

    def _distinct(self) -> Iterator[nn.Parameter]:
        known = dict(self._model.named_parameters(remove_duplicate=False))
        for spot in self.workshop.parameters.spots:
            yield known[spot.names[0]]

    def _watch_gradients(self) -> None:
        """Notes which parameters get a gradient at all."""
        for at, parameter in enumerate(self._parameters):
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call] # torch
                    lambda _, at=at: self._touched.add(at)
                )

    def _begin_gradient(self) -> None:
        """Gradients are summed where the coordinator reads them, where that can be."""
        self._memories.gradient.zero_()
        self._touched.clear()
        for parameter, view in zip(self._parameters, self._gradients, strict=True):
            here = parameter.requires_grad and view.device == parameter.device
            parameter.grad = view if here else None

    # --- what the coordinator asks for

    def serve(self) -> None:
        """Does what the coordinator asks until it says goodbye or is gone."""
        with contextlib.suppress(EOFError, OSError), _Heart(self._wire) as heart:
            while True:
                order, payload = self._early.popleft() if self._early else self._wire.receive()
                if order["do"] == "leave":
                    return
                if order["do"] == "pace":  # for experiments only
                    self.slow = order.get("slow", self.slow)
                    self.seconds_per_example = order.get("seconds_per_example", 0.0)
                elif order["do"] == "train":
                    with heart.beating(order["id"]):
                        reply = self.train(order, payload)
                    if reply is not None:
                        self._wire.send(reply, self._outcome(reply))

    def train(self, assignment: dict[str, Any], parameters: bytes = b"") -> dict[str, Any] | None:
        """Computes the gradient of some rows; it is left on the bench.

        Args:
            assignment: ``ranges`` ([number of the batch, first row, rows]), ``fresh``
                (whether the gradient begins at zero), ``scale`` of the loss,
                ``learning_rate`` of local steps (None where there are none) and ``together``
                (batches in each of them).
            parameters: Weights and buffers, where no memory is shared with the coordinator.

        Returns:
            What to tell the coordinator; None where the step was abandoned by it.
        """
        began = time.perf_counter()
        self._identity = assignment["id"]
        self._waited = 0.0
        self.update_model(parameters)
        if assignment["fresh"]:
            self._begin_gradient()
        exact = assignment["learning_rate"] is None
        work = self._gradients_of if exact else self._local_steps
        try:
            total, weight = work(assignment)
        except Abandoned:
            return None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return {"say": "full", "id": assignment["id"], "why": str(error).splitlines()[0]}
        self._leave_outcome()
        rows = sum(count for _, _, count in assignment["ranges"])
        self._pretend(rows, time.perf_counter() - began - self._waited)
        return {
            "say": "done",
            "id": assignment["id"],
            "ranges": assignment["ranges"],
            "loss": total,
            "elements": weight,
            "first": (total, weight) if exact else self._first,
            "touched": self._touched_spots(),
            "seconds": time.perf_counter() - began - self._waited,
        }

    def update_model(self, parameters: bytes = b"") -> None:
        """Takes over weights and buffers from the bench, or from what was sent.

        Args:
            parameters: The bytes of both, where no memory is shared.
        """
        memories = self._memories
        if parameters:
            given = torch.frombuffer(bytearray(parameters), dtype=torch.uint8)
            memories.weights.copy_(given[: len(memories.weights)])
            memories.buffers.copy_(given[len(memories.weights) :])
        with torch.no_grad():
            for own, view in zip(self._own, self._weights, strict=True):
                if own is not view:
                    own.copy_(view)
            views = self.workshop.buffers.views(memories.buffers)
            for mine, theirs in zip(self._buffers, views, strict=True):
                mine.copy_(theirs)

    # --- the work

    def _gradients_of(self, assignment: dict[str, Any]) -> tuple[float, int]:
        """Sums the gradients of all rows; gives the summed loss and what it counts."""
        total, weight = 0.0, 0
        for _, pieces in groupby(assignment["ranges"], lambda each: each[0]):
            loss, counts = self._batch([*pieces], assignment["scale"])
            total, weight = total + loss, weight + counts
        return total, weight

    def _local_steps(self, assignment: dict[str, Any]) -> tuple[float, int]:
        """One step of its own for each few batches; leaves what they changed."""
        assert self._local is not None
        self._local.begin(assignment["learning_rate"])
        self._first, total, weight, together = (0.0, 0), 0.0, 0, assignment["together"]
        batches = [[*pieces] for _, pieces in groupby(assignment["ranges"], lambda each: each[0])]
        try:
            for first in range(0, len(batches), together):
                self._local.clear()
                done = [self._batch(each, 1.0) for each in batches[first : first + together]]
                loss, counts = sum(each[0] for each in done), sum(each[1] for each in done)
                if first == 0:
                    self._first = loss, counts
                total, weight = total + loss, weight + counts
                self._local.step(max(counts, 1))
        finally:
            self._local.end(self._gradients, float(weight))
            self._touched.update(at for at, learns in enumerate(self.workshop.trained) if learns)
        return total, weight

    def _batch(self, pieces: Sequence[Sequence[int]], scale: float) -> tuple[float, int]:
        """Adds the gradient of the summed loss of its rows of a batch; gives that and its count.

        Where all have data of their own each row weighs ``own / rows``, in the loss as in the
        statistics of a batch norm: the rows together count as much as the shard is large,
        however many they were.
        """
        each, own = 1.0, self.workshop.shards is not None
        if own:
            counted = self._counted(pieces)
            each = self._rows.examples / max(counted, 1)
            self._row_weight = self._rows.examples / sum(count for _, _, count in pieces)
        total, size = 0.0, 0
        for number, first, count in pieces:
            loss, found = self._gradient(number, first, count, each * scale)
            total, size = total + loss * found * each, size + found
        return total, self._rows.examples if own and size else size

    def _counted(self, pieces: Sequence[Sequence[int]]) -> int:
        """How many values the loss of some rows is a mean over."""
        chosen = [self._rows.rows(number)[first : first + count] for number, first, count in pieces]
        return sum(counted([self._rows.pick(rows).targets for rows in chosen]))

    def _gradient(self, number: int, first: int, count: int, scale: float) -> tuple[float, int]:
        """Adds the gradient of the summed loss of some rows; gives their mean loss."""
        work = self.workshop
        inputs, targets = self._examples(number, first, count)
        if work.channels_last:
            inputs = tuple(channels_last(part) for part in inputs)
        (size,) = counted([targets])
        total = work.rows.batch_size
        if self._drops:
            begin_batch(work.seed, number)
        whole = WholeBatch(first=first, count=count, total=total) if self._drops else None
        with whole or contextlib.nullcontext(), work.precision.autocast():
            output = self._callable(*inputs)
            loss = work.loss(output, targets) if size else nothing_of(output)
        (loss * (size * scale)).backward()  # type: ignore[no-untyped-call] # torch
        return float(loss.detach()), size

    def _examples(self, number: int, first: int, count: int) -> tuple[tuple[Tensor, ...], Tensor]:
        work, device = self.workshop, self.workshop.precision.device
        rows = self._rows.rows(number)
        chosen = slice(first, first + count)
        if work.augment is None:
            batch = self._rows.pick(rows[chosen])
            return tuple(part.to(device) for part in batch.inputs), batch.targets.to(device)
        batch = self._rows.pick(rows)  # chance is drawn for all, so that shares change nothing
        chance = self._generator.manual_seed(mixed(work.seed, number))
        varied = work.augment(tuple(part.to(device) for part in batch.inputs), chance)
        return tuple(part[chosen] for part in varied), batch.targets[chosen].to(device)

    def _leave_outcome(self) -> None:
        for parameter, view in zip(self._parameters, self._gradients, strict=True):
            if parameter.grad is not None and parameter.grad is not view:
                view.copy_(parameter.grad)
        for mine, view in zip(
            self._buffers, self.workshop.buffers.views(self._memories.after), strict=True
        ):
            view.copy_(mine)

    def _touched_spots(self) -> list[int] | None:
        """Parameters that got a gradient; None stands for all."""
        learning = sum(self.workshop.trained)
        return None if len(self._touched) == learning else sorted(self._touched)

    def _outcome(self, reply: dict[str, Any]) -> bytes:
        """The gradient and the buffers, where no memory is shared with the coordinator."""
        shared = self._memories.gradient.is_shared()  # type: ignore[no-untyped-call] # torch
        if shared or reply["say"] != "done":
            return b""
        return b"".join(
            bytes(part.numpy().data) for part in (self._memories.gradient, self._memories.after)
        )

    def _sum_over_agents(self, own: Tensor) -> Tensor:
        """The sum over all that work on this step; waiting for it is no work."""
        began = time.perf_counter()
        self._wire.send({"say": "sum", "id": self._identity}, own.contiguous().numpy().tobytes())
        answer, payload = self._wire.receive()
        while answer["do"] not in ("sum", "train", "leave"):  # no reason to give up this step
            self._early.append((answer, payload))
            answer, payload = self._wire.receive()
        self._waited += time.perf_counter() - began
        if answer["do"] != "sum" or answer["id"] != self._identity:
            self._early.append((answer, payload))
            raise Abandoned
        return torch.frombuffer(bytearray(payload), dtype=torch.float64)

    def _pretend(self, rows: int, seconds: float) -> None:
        """Sleeps as long as a slower machine would have computed on."""
        wanted = max(seconds * self.slow, rows * self.seconds_per_example)
        end = time.perf_counter() + wanted - seconds
        while (left := end - time.perf_counter()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))


@final
class _Heart:
    """Tells the coordinator that work goes on, from a thread of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._work: int | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    @contextlib.contextmanager
    def beating(self, work: int) -> Iterator[None]:
        self._work = work
        try:
            yield
        finally:
            self._work = None

    def _beat(self) -> None:
        while not self._closed.wait(_BEAT_SECONDS):
            work = self._work
            if work is not None:
                with contextlib.suppress(OSError):
                    self._wire.send({"say": "alive", "id": work})


def memories_of(workshop: Workshop, given: Sequence[Tensor] | None = None) -> Memories:
    """Memories of an agent: shared ones that were given, or its own."""
    if given is not None:
        return Memories(weights=given[0], buffers=given[1], gradient=given[2], after=given[3])
    return Memories(
        weights=torch.zeros(max(workshop.parameters.size, 1), dtype=torch.uint8),
        buffers=torch.zeros(max(workshop.buffers.size, 1), dtype=torch.uint8),
        gradient=torch.zeros(max(workshop.parameters.size, 1), dtype=torch.uint8),
        after=torch.zeros(max(workshop.buffers.size, 1), dtype=torch.uint8),
    )
