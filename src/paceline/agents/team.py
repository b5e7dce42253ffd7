"""The team: several agents that compute one gradient together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from paceline.agents.accounts import Accounts
from paceline.agents.coverage import Coverage
from paceline.agents.gain import Gain
from paceline.agents.lanes import Lane
from paceline.agents.member import Member
from paceline.agents.round import Outcome, Round
from paceline.agents.scheduler import Scheduler
from paceline.agents.shards import equal, with_everybody
from paceline.agents.workshop import Workshop
from paceline.agents.writer import Bench, Writer
from paceline.core.errors import AgentsLost, SettingError
from paceline.train.alone import Draw
from paceline.train.transaction import Stateful

READY_SECONDS = 120.0
_LEAST_UNIT = 1e-30
Tell = Callable[[str, Mapping[str, Any]], None]


class Engine(Protocol):
    """Starts agents somewhere."""

    name: str

    def start(self, numbers: Sequence[int]) -> list[Member]:
        """Starts agents; they say when they are ready."""

    def close(self) -> None:
        """Gives back what it holds."""


@final
class Team:
    """Several agents that compute one gradient together.

    Every step has one global batch; agent i gets b_i of its B rows, with Σ b_i = B. Each
    sums the gradients of its rows; the coordinator adds the sums in the order of the agents
    and divides by the number of rows. So the shares never change what is learnt.

    Args:
        model: Whose weights are learnt; they are moved to the bench.
        workshop: What the agents work with.
        bench: What they share with the coordinator.
        engine: Starts agents.
        scheduler: Shares out the rows.
        min_agents: With fewer the training stops.
        watch: The batch is shared equally, and only noted what the policy would have done.
        synchronised: Whether the model normalises over the batch.
        tell: Told what happens: name and detail.
        show: Called after each step.
        learning_rate: Tells that of the agents' local steps, where they take some: then what
            stands in the gradients is the mean of what those changed.
        beside: What is saved together with it, by name.

    Attributes:
        varies: Whether the scheduler chooses how many local steps there are.
        interval: How many there were in the last step; 1 was exact.
        unit: What stands in the gradients was divided by that; None where it is gradients.
        pieces: Always 1: an agent whose memory is full cuts up its own share.
        may_fail: Always: agents can be lost.
        steps: Gradients so far.
        members: Those that are up, by number.
        accounts: How each spent its time.
        coverage: How often each example was learnt from.
    """

    pieces = 1
    may_fail = True

    def __init__(
        self,
        model: nn.Module,
        workshop: Workshop,
        bench: Bench,
        engine: Engine,
        scheduler: Scheduler,
        *,
        min_agents: int = 1,
        watch: bool = False,
        synchronised: bool = False,
        tell: Tell = lambda name, detail: None,
        show: Callable[[Team], None] = lambda team: None,
        learning_rate: Callable[[], float] | None = None,
        beside: Mapping[str, Stateful] | None = None,
    ) -> None:
        self.model, self.workshop, self.engine = model, workshop, engine
        self.scheduler, self.min_agents = scheduler, min_agents
        self.members: dict[int, Member] = {}
        self.accounts, self._beside = Accounts(), dict(beside or {})
        self.varies, self.interval = len(scheduler.choices) > 1, 1
        self.unit: float | None = None
        self._gain, self._trial = Gain(), False
        self.coverage = Coverage(workshop.rows.examples)
        self._synchronised = synchronised or workshop.shards is not None
        self._given: dict[int, int] = {}
        self._tell, self._show = tell, show
        self._watch = watch
        self.steps, self.learning_rate = 0, learning_rate
        self._identity = 0
        self._unguarded = False
        self._started = 0
        self._leaving: set[int] = set()
        self._writer = Writer(model, workshop, bench)

    # --- who belongs to it

    def start(self, count: int) -> None:
        """Starts agents and waits until they are ready.

        Raises:
            AgentsLost: Fewer than are needed came up.
        """
        self._await_ready(self._begin(count))
        self._need_enough()

    def join(self, *, price: float = 1.0) -> int:
        """Starts one more agent; gives its number.

        Raises:
            SettingError: All have data of their own, and there is none for another.
        """
        self.workshop.rows_of(self._started + 1)
        self.scheduler.join(price=price)
        (member,) = self._begin(1)
        self._await_ready([member])
        self._tell("joined", {"agent": member.number, "place": member.place})
        return member.number

    def leave(self, number: int) -> None:
        """Lets an agent go before the next step.

        Raises:
            SettingError: There is no such agent.
        """
        if number not in self.members:
            there = ", ".join(map(str, sorted(self.members)))
            raise SettingError(f"there is no agent {number}; there are: {there}")
        self._leaving.add(number)

    def _begin(self, count: int) -> list[Member]:
        numbers = range(self._started + 1, self._started + count + 1)
        self._started += count
        return self.engine.start(numbers)

    def _await_ready(self, fresh: Sequence[Member]) -> None:
        waiting = {each.wire.connection: each for each in fresh}
        end = time.perf_counter() + READY_SECONDS
        while waiting and (left := end - time.perf_counter()) > 0:
            for connection in wait(list(waiting), left):
                member = waiting.pop(connection)  # type: ignore[call-overload] # ours
                self._admit(member)
        for member in waiting.values():
            self._lost(member, f"was not ready within {READY_SECONDS:g} s")

    def _admit(self, member: Member) -> None:
        try:
            said, _ = member.wire.receive()
        except (EOFError, OSError):
            self._unguarded = True
            self._lost(member, "died before it was ready")
            return
        wanted = self.workshop.identity
        differing = [name for name, value in wanted.items() if said.get(name) != value]
        if differing:
            name = differing[0]
            member.kill()
            self._lost(
                member, f"was refused: its {name} is {said.get(name)}, here it is {wanted[name]}"
            )
            return
        member.process_id = said["process_id"]
        self.members[member.number] = member

    def _lost(self, member: Member, why: str) -> None:
        self.members.pop(member.number, None)
        self._tell("lost", {"agent": member.number, "why": why, "left": len(self.members)})

    def _need_enough(self) -> None:
        if len(self.members) >= self.min_agents:
            return
        hint = ""
        if self._unguarded:
            hint = '; in a script, put what starts the training under `if __name__ == "__main__":`'
        raise AgentsLost(
            f"{len(self.members)} agents are left and {self.min_agents} are needed{hint}"
        )

    # --- one gradient

    def gradient(
        self, draw: Draw, count: int, scaler: torch.amp.GradScaler, *, trial: bool
    ) -> float:
        """Leaves the mean gradient of some batches in the model; gives their mean loss.

        Raises:
            AgentsLost: Too few agents are left; nothing was changed.
        """
        self._trial = trial
        interval = self._next_interval()
        numbers = [draw()[0] for _ in range(count * interval)]
        scale = scaler.get_scale() if scaler.is_enabled() else 1.0
        loss = self.work_on(numbers, scale, interval=interval)
        if not trial:
            for number in numbers:
                self.coverage.commit(self._learnt_from(number))
        return loss

    def _next_interval(self) -> int:
        """Local steps of the next step, where the scheduler chooses; a trial is always exact."""
        if not self.varies or self._trial or self._watch:
            return 1
        self._let_go()
        self._need_enough()
        self._shares()
        decided = self.scheduler.decisions
        return 1 if decided is None else self.scheduler.choices[decided.choice].sync_interval

    @torch.no_grad()
    def work_on(self, numbers: Sequence[int], scale: float = 1.0, *, interval: int = 1) -> float:
        """The same for the batches of some numbers.

        Args:
            numbers: Of the batches.
            scale: What the loss is multiplied by before the backward pass.
            interval: Local steps in which that is done, where their number varies.
        """
        self._writer.publish()
        local = self.learning_rate is not None and (interval > 1 or not self.varies)
        rate = self.learning_rate() if local and self.learning_rate is not None else None
        together = len(numbers) // interval if self.varies else 1
        how = {"scale": scale, "learning_rate": rate, "together": together}
        outcome, shares, began = None, {}, 0.0
        while outcome is None:
            self._let_go()
            self._need_enough()
            shares, began = self._shares(), time.perf_counter()
            outcome = self._round(numbers, shares, how)
        self.interval, self.unit = interval, None
        if rate is not None and self.varies:
            self.unit = max(rate * interval, _LEAST_UNIT)
        unit = 1.0 if rate is None else (self.unit or 1.0) / scale  # changes were not scaled
        self._writer.collect(outcome, self.members, unit)
        self._given = shares
        self._observe(outcome, shares, time.perf_counter() - began, len(numbers))
        self.steps += 1
        self._show(self)
        return outcome.loss / max(outcome.elements, 1)

    def _learnt_from(self, number: int) -> Tensor:
        """The examples of a batch; where agents have their own, those that each gave."""
        shards = self.workshop.shards
        if shards is None:
            return self.workshop.rows.rows(number)
        return shards.learnt_from(number, self._given)

    def _shares(self) -> dict[int, int]:
        for number, known in enumerate(self.scheduler.reading.agents, 1):
            if known.is_up and number not in self.members:
                self.scheduler.leave(number - 1)
        given = self.scheduler.allocate_tasks(self.workshop.rows.batch_size)
        if self._watch:
            return equal(sorted(self.members), self.workshop.rows.batch_size)
        shares = {number: given[number - 1] for number in sorted(self.members)}
        return shares if self.workshop.shards is None else with_everybody(shares)

    def _round(
        self, numbers: Sequence[int], shares: dict[int, int], how: Mapping[str, Any]
    ) -> Outcome | None:
        self._identity += 1
        step = Round(
            self.members,
            identity=self._identity,
            numbers=numbers,
            rows=self.workshop.rows.batch_size,
            payload=self._writer.payload,
            **how,
            synchronised=self._synchronised,
            lost=self._lost,
            full=self._full,
        )
        return step.run(shares, self._expected(shares, len(numbers)))

    def _expected(self, shares: Mapping[int, int], batches: int) -> dict[int, float]:
        """Seconds for each share: what the policy thinks, or as it went last time."""
        thought = self.scheduler.expected_seconds
        found = {}
        for number, share in shares.items():
            last = self.members[number].row_seconds * share
            policy = thought[number - 1] if thought else math.nan
            found[number] = batches * (policy if policy == policy else last)
        return found

    def _full(self, member: Member, most: int) -> None:
        self._tell("out_of_memory", {"agent": member.number, "most": most})

    # --- what the scheduler is told

    def _observe(
        self, outcome: Outcome, shares: Mapping[int, int], round_seconds: float, batches: int
    ) -> None:
        seconds = {
            number: self.members[number].worked(shares.get(number, 0))
            if number in self.members
            else math.nan
            for number in range(1, self._started + 1)
        }
        slowest = max(value for value in seconds.values() if value == value)
        communication = max(0.0, round_seconds - slowest)
        if self._watch:
            thought = self.scheduler.expected_seconds
            self.accounts.watch([each * batches for each in thought], slowest)
        self.accounts.take(seconds, shares, communication=communication)
        each = [value / batches for value in seconds.values()]
        given = [shares.get(number, 0) for number in seconds]
        if not self.varies:
            self.scheduler.observe(each, communication_seconds=communication, samples=given)
            return
        progress = math.nan
        if not self._trial:
            worth = self._gain.take(self.interval, outcome.first_loss)
            progress = self.interval * sum(given) * worth
        intervals = [choice.sync_interval for choice in self.scheduler.choices]
        self.scheduler.observe(
            each,
            communication_seconds=communication * self.interval / batches,
            samples=given,
            choice=intervals.index(self.interval),
            progress=progress,
        )

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """How each agent spent the last step."""
        return self.accounts.lanes

    def _let_go(self) -> None:
        for number in sorted(self._leaving & self.members.keys()):
            member = self.members.pop(number)
            member.farewell()
            self._tell("left", {"agent": number, "left": len(self.members)})
        self._leaving.clear()

    def close(self) -> None:
        """Sends everybody home."""
        for member in self.members.values():
            member.farewell()
        self.members.clear()
        self.engine.close()

    def state_dict(self) -> dict[str, Any]:
        """Of the scheduler, the counts of the examples, and what was measured."""
        return {
            "scheduler": self.scheduler.state_dict(),
            "coverage": self.coverage.state_dict(),
            "accounts": self.accounts.state_dict(),
            "gain": self._gain.state_dict(),
            "row_seconds": {
                str(number): None if math.isnan(each.row_seconds) else each.row_seconds
                for number, each in self.members.items()
            },
            "steps": self.steps,
            "beside": {name: each.state_dict() for name, each in self._beside.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what ``state_dict`` gave; who is up now is up, whatever was then."""
        self.scheduler.load_state_dict(state["scheduler"])
        while self.scheduler.agents < self._started:
            self.scheduler.join()
        self._started = self.scheduler.agents
        for number, known in enumerate(self.scheduler.reading.agents, 1):
            if number in self.members and not known.is_up:
                self.scheduler.join(agent=number - 1)
        for number, seconds in state["row_seconds"].items():
            if int(number) in self.members and seconds is not None:
                self.members[int(number)].row_seconds = seconds
        self.coverage.load_state_dict(state["coverage"])
        self.accounts.load_state_dict(state["accounts"])
        self._gain.load_state_dict(state["gain"])
        self.steps = state["steps"]
        for name, each in self._beside.items():
            each.load_state_dict(state["beside"][name])
