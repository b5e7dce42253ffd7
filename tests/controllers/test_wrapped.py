"""Methods of kept packages: they step as the package does, and their state can be kept."""

from __future__ import annotations

import copy
import importlib
import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

from paceline.controllers.base.wrapped import falling, groups_of, is_adaptive, rising
from paceline.controllers.dog import DoG
from paceline.controllers.mechanic import Mechanic
from paceline.controllers.prodigy import Prodigy
from paceline.controllers.schedule_free import ScheduleFree
from paceline.core.errors import MissingExtra, SettingError
from paceline.core.readings import Reading
from paceline.train.memory import Memory
from paceline.train.pacer import Pacer
from paceline.train.transaction import Transaction, Vault

PACKAGES = {
    Mechanic: "mechanic_pytorch",
    Prodigy: "prodigyopt",
    DoG: "dog",
    ScheduleFree: "schedulefree",
}
METHODS = list(PACKAGES)
BASES = {
    "sgd": lambda groups: SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda groups: AdamW(groups, lr=0.01),
    "rmsprop": lambda groups: RMSprop(groups, lr=0.01),
    "adagrad": lambda groups: Adagrad(groups, lr=0.1),
}


class Problem:
    """A small network on fixed noise: two groups of parameters, one rate half of the other."""

    def __init__(self, method: Any, base: str = "adamw", *, device: str = "cpu") -> None:
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
        self.inputs, self.targets = torch.randn(64, 6), torch.randn(64, 1)
        self.controller = method(0.05)
        given = BASES[base]([{"params": self.model[0].parameters()}])
        given.add_param_group(
            {"params": self.model[2].parameters(), "lr": given.param_groups[0]["lr"] / 2}
        )
        self.optimizer = self.controller.wrap(given)

    def loss(self) -> torch.Tensor:
        return nn.functional.mse_loss(self.model(self.inputs), self.targets)

    def run(self, begin: int, end: int, total: int = 40) -> list[float]:
        losses, ratios = [], [group["lr"] for group in self.optimizer.param_groups]
        for step in range(begin, end):
            reading = Reading(step=step, progress=step / total, total_steps=total)
            rate = self.controller.decide(reading).learning_rate
            first = self.optimizer.param_groups[0]["lr"]
            for group in self.optimizer.param_groups:
                group["lr"] *= rate / first
            rows = torch.arange(step * 7, step * 7 + 16) % 64
            self.optimizer.zero_grad()
            loss = nn.functional.mse_loss(self.model(self.inputs[rows]), self.targets[rows])
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses if ratios else []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("method", METHODS)
def test_twenty_steps_and_twenty_more_are_forty_to_the_bit(method, base, tmp_path):
    pytest.importorskip(PACKAGES[method])
    whole, again = Problem(method, base), Problem(method, base)
    first = whole.run(0, 20)
    vault = Vault(tmp_path)
    vault.write(Transaction(model=whole.model, optimizer=whole.optimizer).capture(), step=20)
    rest = whole.run(20, 40)
    found, trouble = vault.read()
    assert trouble == []
    assert found is not None
    Transaction(model=again.model, optimizer=again.optimizer).restore(found)
    assert again.run(20, 40) == rest
    assert len(set(first)) == 20
    for one, other in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("before", [0, 1, 10])
@pytest.mark.parametrize("method", METHODS)
def test_a_remembered_state_leads_to_the_same_steps_again(method, before):
    pytest.importorskip(PACKAGES[method])
    problem = Problem(method)
    memory = Memory([problem.model], problem.optimizer)
    problem.run(0, before)
    memory.keep("here")
    once = problem.run(before, before + 5)
    memory.restore("here")
    assert problem.run(before, before + 5) == once


@pytest.mark.parametrize("method", METHODS)
def test_tensors_rest_with_their_parameters_and_groups_hold_numbers(method):
    pytest.importorskip(PACKAGES[method])
    problem = Problem(method)
    problem.run(0, 3)
    parameters = set(problem.model.parameters())
    assert set(problem.optimizer.state) <= parameters
    for group in problem.optimizer.param_groups:
        rest = {name: value for name, value in group.items() if name != "params"}
        assert json.loads(json.dumps(rest)) == json.loads(json.dumps(copy.deepcopy(rest)))


@pytest.mark.parametrize("method", METHODS)
def test_the_parameters_and_the_ratio_of_the_groups_rates_stay(method):
    pytest.importorskip(PACKAGES[method])
    problem = Problem(method)
    stepped = [each for group in problem.optimizer.param_groups for each in group["params"]]
    assert all(one is other for one, other in zip(stepped, problem.model.parameters(), strict=True))
    problem.run(0, 4)
    first, second = (group["lr"] for group in problem.optimizer.param_groups)
    assert second / first == pytest.approx(0.5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_the_noise_by_heart(method):
    pytest.importorskip(PACKAGES[method])
    problem = Problem(method, "sgd" if method is DoG else "adamw")
    before = problem.loss().item()
    problem.run(0, 600, total=600)
    assert problem.loss().item() < 0.9 * before


@pytest.mark.parametrize("method", METHODS)
def test_a_parameter_that_gets_no_gradient_is_left_alone_until_it_gets_one(method):
    pytest.importorskip(PACKAGES[method])
    used, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = method(0.1).wrap(Adam([used, idle], lr=0.1))
    for step in range(60):
        optimizer.zero_grad()
        (used.square().sum() + (idle.square().sum() if step >= 30 else 0)).backward()
        optimizer.step()
        if step == 29:
            assert torch.equal(idle, torch.ones(2))
            assert not torch.equal(used, torch.ones(2))
    assert not torch.equal(idle, torch.ones(2))


@pytest.mark.parametrize("method", METHODS)
def test_a_step_without_any_gradient_changes_nothing(method):
    pytest.importorskip(PACKAGES[method])
    weight = nn.Parameter(torch.ones(2))
    optimizer = method(0.1).wrap(SGD([weight], lr=0.1))
    optimizer.step()
    assert torch.equal(weight, torch.ones(2))


@pytest.mark.parametrize("method", METHODS)
def test_a_closure_is_called_with_gradients(method):
    pytest.importorskip(PACKAGES[method])
    weight = nn.Parameter(torch.ones(2))
    optimizer = method(0.1).wrap(SGD([weight], lr=0.1))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert not torch.equal(weight, torch.ones(2))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_package_is_named_with_its_extra(method, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[method], None)
    with pytest.raises(MissingExtra, match=r"paceline\[optimizers\]"):
        method(0.1).wrap(SGD([torch.zeros(1, requires_grad=True)], lr=0.1))


@pytest.mark.parametrize("method", METHODS)
def test_what_no_method_can_stand_in_for_is_refused(method):
    weight = torch.zeros(1, requires_grad=True)
    with pytest.raises(SettingError, match="cannot stand in for LBFGS"):
        method(0.1).wrap(torch.optim.LBFGS([weight]))
    with pytest.raises(SettingError, match="cannot maximise; negate the loss"):
        method(0.1).wrap(SGD([weight], lr=0.1, maximize=True))


@pytest.mark.parametrize("method", [Mechanic, Prodigy, DoG])
def test_sparse_gradients_are_refused_in_one_line(method):
    pytest.importorskip(PACKAGES[method])
    table = nn.Embedding(4, 2, sparse=True)
    optimizer = method(0.1).wrap(SGD(table.parameters(), lr=0.1))
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(SettingError, match="set sparse=False in the embedding"):
        optimizer.step()


def _paced(method, begin, end, state=None):
    """Steps a problem by a pacer, from the state of another one where there is one."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    inputs = torch.randn(50, 16, 4)
    given = AdamW(model.parameters(), lr=0.01)
    pacer = Pacer(given, total_steps=50, modules=[model], controller=method(0.01))
    if state is not None:
        state = copy.deepcopy(state)  # torch's optimizers go on in the tensors that they load
        model.load_state_dict(state["model"])
        given.load_state_dict(state["given"])
        pacer.load_state_dict(state["pacer"])
    losses = []
    for step in range(begin, end):
        given.zero_grad()
        loss = (model(inputs[step]) - inputs[step].sum(1, keepdim=True)).square().mean()
        loss.backward()
        pacer.step(loss)
        losses.append(loss.item())
    with pacer.averaged(), torch.no_grad():
        losses.append(model(inputs[0]).sum().item())
    parts = {"model": model, "given": given, "pacer": pacer}
    return losses, {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}


@pytest.mark.parametrize("method", METHODS)
def test_a_pacer_goes_on_with_it_to_the_bit(method):
    pytest.importorskip(PACKAGES[method])
    first, state = _paced(method, 0, 23)
    again, _ = _paced(method, 0, 23)
    assert again == first
    rest, end = _paced(method, 23, 50, state)
    again, _ = _paced(method, 23, 50, state)
    assert again == rest
    assert end["pacer"]["step_count"] == 50
    # Measured once more on the way, the average of Schedule-Free is rounded once more.
    whole, _ = _paced(method, 0, 50)
    assert whole[:23] == first[:23]
    if method is not ScheduleFree:
        assert whole[23:] == rest


def test_mechanic_steps_as_its_package_does():
    package = pytest.importorskip("mechanic_pytorch")
    ours, theirs = Problem(Mechanic, "sgd"), Problem(Mechanic, "sgd")
    groups = groups_of(theirs.optimizer, 1.0)
    plain = package.mechanize(SGD, store_delta=True)(
        groups, lr=1.0, momentum=0.9, weight_decay=1e-3
    )
    theirs.optimizer = plain
    assert ours.run(0, 30) == theirs.run(0, 30)


def test_dog_steps_as_its_package_does():
    package = pytest.importorskip("dog")
    ours, theirs = Problem(DoG, "sgd"), Problem(DoG, "sgd")
    theirs.optimizer = package.DoG(
        [
            {"params": group["params"], "lr": group["lr"], "weight_decay": 1e-3}
            for group in ours.optimizer.param_groups
        ]
    )
    for one, other in zip(theirs.optimizer.param_groups, theirs.model[::2], strict=True):
        one["params"] = list(other.parameters())
    assert ours.run(0, 30) == theirs.run(0, 30)


def test_prodigy_steps_as_its_package_does_where_all_rates_are_alike():
    package = pytest.importorskip("prodigyopt")
    ours, theirs = (_Quadratic() for _ in range(2))
    wrapped = Prodigy(0.1).wrap(AdamW(ours.parameters(), lr=0.3, weight_decay=0.0))
    plain = package.Prodigy(theirs.parameters(), lr=1.0)
    for _ in range(50):
        assert ours.step(wrapped) == theirs.step(plain)


def test_a_group_with_half_the_rate_makes_half_of_prodigys_step():
    pytest.importorskip("prodigyopt")
    one, other = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = Prodigy(0.1).wrap(
        AdamW([{"params": [one]}, {"params": [other], "lr": 0.05}], lr=0.1, weight_decay=0.0)
    )
    (one.square().sum() + other.square().sum()).backward()
    optimizer.step()
    # The step is of the order of 1e-6, so that rounding in float32 is seen.
    assert (1 - other).sum().item() == pytest.approx(0.5 * (1 - one).sum().item(), rel=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.5]


def test_prodigy_says_nothing_about_its_weight_decay():
    pytest.importorskip("prodigyopt")
    weight = [nn.Parameter(torch.ones(3))]
    with redirect_stdout(io.StringIO()) as said:
        decoupled = Prodigy(0.1).wrap(AdamW(weight, lr=0.1, weight_decay=0.1))
        coupled = Prodigy(0.1).wrap(Adam(weight, lr=0.1, weight_decay=0.2))
    assert said.getvalue() == ""
    kept = [
        (made.param_groups[0]["weight_decay"], made.param_groups[0]["decouple"])
        for made in (decoupled, coupled)
    ]
    assert kept == [(0.1, True), (0.2, False)]


def test_schedule_free_takes_the_kind_and_the_settings_of_the_optimizer():
    package = pytest.importorskip("schedulefree")
    weight = [nn.Parameter(torch.ones(3))]
    adaptive = ScheduleFree(0.1).wrap(Adam(weight, lr=0.1, betas=(0.8, 0.99), eps=1e-6))
    plain = ScheduleFree(0.1).wrap(SGD(weight, lr=0.1, weight_decay=0.5))
    assert isinstance(adaptive, package.AdamWScheduleFree)
    assert isinstance(plain, package.SGDScheduleFree)
    assert (adaptive.param_groups[0]["betas"], adaptive.param_groups[0]["eps"]) == (
        (0.8, 0.99),
        1e-6,
    )
    assert (plain.param_groups[0]["momentum"], plain.param_groups[0]["weight_decay"]) == (0.9, 0.5)
    with pytest.raises(SettingError, match=r"a momentum of 0 to under 1, got 1\.5"):
        ScheduleFree(0.1).wrap(SGD(weight, lr=0.1, momentum=1.5))


def test_schedule_free_evaluates_at_the_average():
    pytest.importorskip("schedulefree")
    problem = _Quadratic()
    optimizer: Any = ScheduleFree(0.1).wrap(SGD(problem.parameters(), lr=0.1))
    iterates = []
    for _ in range(4):
        problem.step(optimizer)
        iterates.append(optimizer.state[problem.weight]["z"].clone())
    optimizer.eval()
    assert torch.allclose(problem.weight, torch.stack(iterates).mean(0))
    optimizer.train()
    problem.step(optimizer)


def test_mechanic_leaves_fused_kernels_and_a_schedulers_step_behind():
    pytest.importorskip("mechanic_pytorch")
    weight = [nn.Parameter(torch.ones(3))]
    given = Adam(weight, lr=0.1, fused=True)
    torch.optim.lr_scheduler.ConstantLR(given)
    optimizer = Mechanic(0.1).wrap(given)
    assert optimizer.param_groups[0]["fused"] is None
    assert not {"step", "_step_supports_amp_scaling"} & set(vars(optimizer))
    assert type(optimizer).__name__ == "MechanicAdam"
    assert isinstance(optimizer, Adam)


def test_hooks_of_the_users_optimizer_are_called_once_a_step():
    pytest.importorskip("mechanic_pytorch")
    problem, calls = _Quadratic(), []
    given = SGD(problem.parameters(), lr=0.1)
    given.register_step_post_hook(lambda *heard: calls.append(1))
    optimizer = Mechanic(0.1).wrap(given)
    problem.step(optimizer)
    problem.step(optimizer)
    assert calls == [1, 1]


def test_a_group_that_comes_later_is_taken_up():
    pytest.importorskip("mechanic_pytorch")
    problem, late = _Quadratic(), nn.Parameter(torch.ones(2))
    optimizer = Mechanic(0.1).wrap(SGD(problem.parameters(), lr=0.1))
    problem.step(optimizer)
    optimizer.add_param_group({"params": [late]})
    for _ in range(3):
        late.grad = torch.ones(2)
        problem.step(optimizer, clear=False)
    assert not torch.equal(late, torch.ones(2))


def test_a_line_rises_then_falls_to_zero():
    def at(step: int, warmup: float) -> float:
        return falling(Reading(step=step, progress=step / 10, total_steps=10), warmup)

    assert [at(step, 0.0) for step in (0, 5, 10, 12)] == [1.0, 0.5, 0.0, 0.0]
    assert [round(at(step, 0.2), 3) for step in (0, 1, 2, 6)] == [0.333, 0.667, 1.0, 0.5]


def test_without_an_end_a_line_rises_and_stays():
    heard = [Reading(step=step, progress=0.0) for step in (0, 100, 5000)]
    assert [rising(each, 0.05) for each in heard] == [1 / 101, 1.0, 1.0]
    assert [falling(each, 0.05) for each in heard] == [1 / 101, 1.0, 1.0]
    halfway = Reading(step=50, progress=0.5)
    assert falling(halfway, 0.0) == 0.5


def test_rates_without_a_positive_first_one_become_alike():
    one, other = torch.zeros(1), torch.zeros(1)
    given = SGD([{"params": [one]}, {"params": [other], "lr": 0.3}], lr=0.0)
    assert [group["lr"] for group in groups_of(given, 2.0)] == [2.0, 2.0]


def test_what_divides_by_the_gradient_is_adaptive():
    weight = [torch.zeros(1, requires_grad=True)]
    kinds = {kind.__name__: is_adaptive(kind(weight, lr=0.1)) for kind in (SGD, Adam, RMSprop)}
    assert kinds == {"SGD": False, "Adam": True, "RMSprop": True}
    if importlib.util.find_spec("mechanic_pytorch"):
        assert not is_adaptive(Mechanic(0.1).wrap(SGD(weight, lr=0.1)))


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        (Mechanic, {"decay": -0.1}, "decay must be at least 0 and finite"),
        (Mechanic, {"start": 0.0}, "start must be over 0"),
        (Prodigy, {"start": -1.0}, "start must be over 0"),
        (Prodigy, {"scale": 0.0}, "scale must be over 0"),
        (DoG, {"reps_rel": 0.0}, "reps_rel must be over 0"),
        (ScheduleFree, {"warmup": 1.0}, "warmup must be at least 0 and under 1"),
    ],
)
def test_settings_out_of_range_are_refused(method, settings, said):
    with pytest.raises(SettingError, match=said):
        method(0.1, **settings)


class _Quadratic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))

    def step(self, optimizer: Any, *, clear: bool = True) -> float:
        if clear:
            optimizer.zero_grad()
        self.weight.grad = None
        loss = (self.weight.square() * torch.tensor([1.0, 3.0])).sum()
        loss.backward()
        optimizer.step()
        return loss.item()
