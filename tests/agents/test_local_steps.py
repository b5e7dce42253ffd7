"""Local steps: what agents change by themselves, and the outer step that takes it over."""

from __future__ import annotations

from typing import Any

import made_team as made
import pytest
import torch
from torch import Tensor, nn

from paceline.agents.engines.local import Local
from paceline.agents.local_steps import LocalSteps
from paceline.agents.outer import Outer
from paceline.agents.scheduler import Scheduler
from paceline.agents.team import Team
from paceline.agents.writer import Bench
from paceline.core.errors import SettingError

RATE = 0.1


def plain_sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=RATE)


def twin(shares: list[int], rounds: int, interval: int, *, momentum: float) -> Tensor:
    """The same by hand: every agent trains a copy, the mean change is the outer gradient."""
    setting = made.Setting()
    model, feed = setting.model(), setting.feed()
    speeds = [torch.zeros_like(each) for each in model.parameters()]
    for turn in range(rounds):
        changes = [torch.zeros_like(each) for each in model.parameters()]
        first = 0
        for count in shares:
            own = setting.model()
            own.load_state_dict(model.state_dict())
            optimizer = plain_sgd(own)
            for number in range(turn * interval, (turn + 1) * interval):
                batch = feed.pick(feed.rows(number)[first : first + count])
                optimizer.zero_grad()
                setting.loss(own(*batch.inputs), batch.targets).backward()
                optimizer.step()
            first += count
            for change, old, new in zip(changes, model.parameters(), own.parameters(), strict=True):
                change += (old.detach() - new.detach()) * count / sum(shares)
        with torch.no_grad():
            for each, speed, change in zip(model.parameters(), speeds, changes, strict=True):
                speed.mul_(momentum).add_(change)
                each.sub_(0.7 * (change + momentum * speed))
    return made.everything(model)


def by_agents(shares: list[int], rounds: int, interval: int, *, momentum: float) -> Tensor:
    setting = made.Setting()
    model = setting.model()
    work = made.workshop_of(setting, model, make_optimizer=plain_sgd)
    bench = Bench(workshop=work)
    outer = Outer(model.parameters(), lr=RATE, outer_rate=0.7, momentum=momentum)
    team = Team(
        model,
        work,
        bench,
        Local(work, bench.weights, bench.buffers, threads=1),
        Scheduler(
            agents=len(shares), policy="fixed", settings={"shares": [float(s) for s in shares]}
        ),
        learning_rate=lambda: outer.param_groups[0]["lr"],
    )
    try:
        team.start(len(shares))
        for turn in range(rounds):
            team.work_on(range(turn * interval, (turn + 1) * interval))
            outer.step()
    finally:
        team.close()
    return made.everything(model)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_mean_of_what_unequal_agents_change_is_that_of_a_loop_by_hand(momentum: float) -> None:
    shares = [4, 20]
    found = by_agents(shares, 4, 3, momentum=momentum)
    assert made.apart(found, twin(shares, 4, 3, momentum=momentum)) < 1e-12


def test_the_shared_weights_are_left_alone_by_local_steps() -> None:
    model = nn.Linear(2, 1)
    parameters = list(model.parameters())
    before = [each.detach().clone() for each in parameters]
    places = [torch.zeros_like(each) for each in parameters]
    steps = LocalSteps(model, parameters, plain_sgd)
    steps.begin(RATE)
    steps.clear()
    model(torch.ones(1, 2)).sum().backward()
    steps.step()
    steps.end(places, 3.0)
    for each, old, place in zip(parameters, before, places, strict=True):
        assert torch.equal(each.detach(), old)
        assert torch.allclose(place, torch.full_like(place, 3 * RATE))


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"outer_rate": 0.0}, "outer_rate must be over 0"), ({"momentum": 1.0}, "momentum must be")],
)
def test_the_outer_step_refuses_what_cannot_work(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingError, match=why):
        Outer([torch.zeros(1, requires_grad=True)], lr=0.1, **settings)


def test_the_outer_step_leaves_alone_what_got_no_gradient() -> None:
    idle = torch.ones(1, requires_grad=True)
    Outer([idle], lr=0.1).step()
    assert idle.item() == 1
