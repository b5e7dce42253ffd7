"""A team that takes local steps where its link is slow, and exact ones where it is not."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import made_team as made
import pytest
import torch
from torch import Tensor, nn

from paceline.agents.either import Either
from paceline.agents.engines.local import Local
from paceline.agents.scheduler import Scheduler
from paceline.agents.team import Team
from paceline.agents.writer import Bench
from paceline.core.readings import Steer
from paceline.core.rounds import Choice
from paceline.data.base.batches import Numbers
from paceline.train.update import Updater

RATE = 0.05
PACE = 0.001  # seconds that an agent takes for an example, at least


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=RATE)


class Link:
    """A wire that takes its time to send."""

    def __init__(self, wire: Any, seconds: list[float]) -> None:
        self.connection, self._wire, self._seconds = wire.connection, wire, seconds

    def send(self, header: Any, payload: bytes = b"") -> None:
        time.sleep(self._seconds[0])
        self._wire.send(header, payload)

    def receive(self) -> Any:
        return self._wire.receive()

    def close(self) -> None:
        self._wire.close()


@dataclass
class Linked:
    team: Team
    updater: Updater
    model: nn.Module
    link: list[float]

    def learn(self, steps: int, **steer: Any) -> list[int]:
        """The interval of each step."""
        found = []
        for _ in range(steps):
            self.updater.update(Steer(**steer))
            found.append(self.team.interval)
        return found


@contextmanager
def linked(
    setting: made.Setting, policy: str = "interval", agents: int = 2, **settings: Any
) -> Iterator[Linked]:
    model = setting.model()
    work = made.workshop_of(setting, model, make_optimizer=sgd)
    bench, link = Bench(workshop=work), [0.0]
    optimizer = Either(sgd(model), lambda: team.unit)
    team = Team(
        model,
        work,
        bench,
        Local(work, bench.weights, bench.buffers, threads=1),
        Scheduler(
            agents=agents,
            policy=policy,
            choices=[Choice(sync_interval=each) for each in (1, 2, 4, 8, 16)],
            settings={"guide": "equal", **settings},
        ),
        synchronised=any(isinstance(each, nn.BatchNorm1d) for each in model.modules()),
        learning_rate=lambda: optimizer.param_groups[0]["lr"],
    )
    updater = Updater(
        work=team,
        optimizer=optimizer,
        feed=Numbers(examples=made.EXAMPLES, batch_size=made.BATCH),
        scaler=work.precision.scaler(),
        accumulate=setting.accumulate,
        clip=None,
    )
    try:
        team.start(agents)
        for member in team.members.values():
            member.wire.send({"do": "pace", "seconds_per_example": PACE})
            member.wire = Link(member.wire, link)
        yield Linked(team=team, updater=updater, model=model, link=link)
    finally:
        team.close()


def twin(setting: made.Setting, intervals: list[int], agents: int = 2) -> Tensor:
    """The same by hand: exact steps, and means of what agents change where there are several."""
    model, feed, at = setting.model(), setting.feed(), 0
    together, each_has = setting.accumulate, made.BATCH // agents
    for interval in intervals:
        step = range(at, at + interval * together)
        at += len(step)
        changes = [torch.zeros_like(each) for each in model.parameters()]
        owners = [None] if interval == 1 else [*range(agents)]
        for agent in owners:
            own = copy.deepcopy(model)
            optimizer = sgd(own)
            for first in range(0, len(step), together):
                optimizer.zero_grad()
                for number in step[first : first + together]:
                    rows = feed.rows(number)
                    if agent is not None:
                        rows = rows[agent * each_has : (agent + 1) * each_has]
                    batch = feed.pick(rows)
                    (setting.loss(own(*batch.inputs), batch.targets) / together).backward()
                optimizer.step()
            for change, old, new in zip(changes, model.parameters(), own.parameters(), strict=True):
                change += (old.detach() - new.detach()) / len(owners)
        with torch.no_grad():
            for each, change in zip(model.parameters(), changes, strict=True):
                each.sub_(change)
    return made.everything(model)


def without_load(observe: Any) -> Any:
    """As on a machine that does nothing else: there a round without a link takes no longer."""

    def told(seconds: Any, *, communication_seconds: float, **rest: Any) -> None:
        observe(seconds, communication_seconds=min(communication_seconds, 0.0005), **rest)

    return told


def test_a_slow_link_makes_it_synchronise_less_often_and_a_fast_one_as_before() -> None:
    setting = made.Setting()
    with linked(setting) as crew:  # a batch takes 12 ms
        begun = crew.learn(10)
        crew.link[0] = 0.008  # for each of two agents
        slow = crew.learn(60)
        crew.link[0] = 0.0
        crew.team.scheduler.observe = without_load(crew.team.scheduler.observe)
        fast = crew.learn(20)
        assert max(slow) >= 4 and fast[-1] == 1
        weights = twin(setting, [*begun, *slow, *fast])
        assert made.apart(made.everything(crew.model), weights) < 1e-12
        spent = sum([*begun, *slow, *fast])
        assert crew.updater.spent == spent and not crew.updater.is_even
        assert crew.team.coverage.summary()["counted"] == spent * made.BATCH


def test_accumulated_batches_make_one_local_step() -> None:
    setting = made.Setting(accumulate=2)
    with linked(setting) as crew:
        crew.link[0] = 0.02
        found = crew.learn(20)
        assert max(found) > 1
        assert made.apart(made.everything(crew.model), twin(setting, found)) < 1e-12


def test_a_trial_and_a_watched_step_are_exact() -> None:
    with linked(made.Setting()) as crew:
        crew.link[0] = 0.02
        assert crew.learn(20)[-1] > 1
        assert crew.learn(2, probing=True) == [1, 1] and crew.team.unit is None
        crew.team._watch = True
        assert crew.learn(2) == [1, 1]


def test_a_gradient_and_a_change_are_of_one_size() -> None:
    """Whoever reads the gradient's norm sees no jump where local steps begin."""
    with linked(made.Setting()) as crew:
        crew.link[0] = 0.02
        norms = {}
        for _ in range(20):
            norms[crew.team.interval] = crew.updater.update(Steer()).gradient_norm
        assert len(norms) > 1
        assert max(norms.values()) < 4 * min(norms.values())


def test_one_that_dies_in_local_steps_is_replaced_and_nothing_is_lost() -> None:
    """The helper's two orders are added: every row's change counts."""
    with linked(made.Setting(), agents=3) as crew:
        crew.link[0] = 0.02
        while crew.learn(1) == [1]:
            pass
        crew.team.members[2].wire.send({"do": "leave"})
        before = crew.team.coverage.summary()["counted"]
        (interval,) = crew.learn(1)
        assert interval > 1 and sorted(crew.team.members) == [1, 3]
        assert crew.team.coverage.summary()["counted"] == before + interval * made.BATCH


def test_a_learned_policy_may_choose() -> None:
    with linked(made.Setting(), policy="thompson") as crew:
        crew.link[0] = 0.02
        assert max(crew.learn(25)) > 1


@pytest.mark.parametrize("rounds", [3, 20])
def test_what_was_measured_is_saved_with_it(rounds: int) -> None:
    with linked(made.Setting()) as crew:
        crew.link[0] = 0.01
        crew.learn(rounds)
        state = copy.deepcopy(crew.team.state_dict())
        decided = crew.team.scheduler.decisions
        crew.learn(4)
        crew.team.load_state_dict(state)
        assert repr(crew.team.state_dict()) == repr(state)  # nan is not equal to itself
        assert repr(crew.team.scheduler.decisions) == repr(decided)
