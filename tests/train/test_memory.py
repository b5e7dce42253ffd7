"""A remembered state comes back bit for bit, wherever it was kept."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from torch import nn

from paceline.core.errors import SettingError
from paceline.train import memory as memory_module
from paceline.train.first_copy import first_copy
from paceline.train.memory import Memory

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam_fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "adam_amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adadelta": lambda p: torch.optim.Adadelta(p),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "asgd": lambda p: torch.optim.ASGD(p, lr=0.01),
    "tensor_rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01)),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
    )


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(7, 5)).square().mean().backward()
        optimizer.step()


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    return copy.deepcopy((model.state_dict(), optimizer.state_dict(), torch.get_rng_state()))


def assert_same(left: Any, right: Any) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("place", ["device", "host", "disk"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("before", "after"), [(0, 3), (4, 3), (4, 0)])
def test_what_was_kept_comes_back(name: str, place: str, before: int, after: int) -> None:
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    memory = Memory([model], optimizer, place=place)
    train(model, optimizer, before)
    memory.keep("here")
    expected = state(model, optimizer)
    train(model, optimizer, after)
    memory.restore("here", chance=True)
    assert_same(state(model, optimizer), expected)


def test_training_from_a_restored_state_repeats_itself() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    memory = Memory([model], optimizer)
    train(model, optimizer, 3)
    memory.keep("here")
    train(model, optimizer, 5)
    first = state(model, optimizer)
    memory.restore("here", chance=True)
    train(model, optimizer, 5)
    assert_same(state(model, optimizer), first)


def test_the_parameters_stay_the_same_objects() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    memory = Memory([model], optimizer)
    train(model, optimizer, 1)
    pointers = [each.data_ptr() for each in itertools.chain(model.parameters(), model.buffers())]
    memory.keep("here")
    memory.restore("here")
    assert pointers == [
        each.data_ptr() for each in itertools.chain(model.parameters(), model.buffers())
    ]


def test_keeping_again_writes_over_the_same_memory() -> None:
    model = network()
    memory = Memory([model], torch.optim.SGD(model.parameters()))
    memory.keep("here")
    before = memory._kept["here"]["tensors"][0].data_ptr()
    nn.init.ones_(model[0].weight)
    memory.keep("here")
    assert memory._kept["here"]["tensors"][0].data_ptr() == before
    nn.init.zeros_(model[0].weight)
    memory.restore("here")
    assert bool((model[0].weight == 1).all())


def test_a_learning_rate_set_meanwhile_is_left_alone() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    memory = Memory([model], optimizer)
    memory.keep("here")
    optimizer.param_groups[0].update(lr=0.7, weight_decay=0.0)
    memory.restore("here")
    assert optimizer.param_groups[0]["lr"] == 0.7
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


def test_mending_brings_back_only_what_is_not_finite() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    memory = Memory([model], optimizer)
    train(model, optimizer, 2)
    memory.keep("good")
    kept = copy.deepcopy(model.state_dict())
    train(model, optimizer, 1)
    model[1].running_mean.fill_(float("nan"))
    moved = model[0].weight.detach().clone()
    assert memory.mend("good") == 1
    assert_same(model[1].running_mean, kept["1.running_mean"])
    assert_same(model[0].weight.detach(), moved)


def test_mending_reaches_the_optimizer_state() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    memory = Memory([model], optimizer)
    train(model, optimizer, 2)
    memory.keep("good")
    optimizer.state[model[0].weight]["exp_avg"].fill_(float("inf"))
    assert memory.mend("good") == 1
    assert bool(optimizer.state[model[0].weight]["exp_avg"].isfinite().all())


def test_unknown_names_change_nothing() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters())
    memory = Memory([model], optimizer)
    before = state(model, optimizer)
    memory.restore("nobody")
    memory.forget("nobody")
    assert memory.mend("nobody") == 0
    assert_same(state(model, optimizer), before)


@pytest.mark.parametrize("place", ["device", "disk"])
def test_it_can_be_saved_and_loaded(place: str) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    memory = Memory([model], optimizer, place=place)
    train(model, optimizer, 2)
    memory.keep("a")
    expected = state(model, optimizer)[:2]
    kept = copy.deepcopy(memory.state_dict())
    train(model, optimizer, 2)
    other = Memory([model], optimizer, place=place)
    other.load_state_dict(kept)
    assert other.names == ("a",)
    other.restore("a")
    assert_same(state(model, optimizer)[:2], expected)


def test_a_member_goes_back_too() -> None:
    class Count:
        value = 1

        def state_dict(self) -> dict[str, int]:
            return {"value": self.value}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.value = state["value"]

    model, count = network(), Count()
    memory = Memory([model], torch.optim.SGD(model.parameters()), {"count": count})
    memory.keep("here")
    count.value = 5
    memory.restore("here")
    assert count.value == 1


def test_off_keeps_nothing() -> None:
    model = network()
    memory = Memory([model], torch.optim.SGD(model.parameters()), place="off")
    memory.keep("here")
    assert not memory.works
    assert memory.names == ()


@pytest.mark.parametrize(
    ("in_memory", "on_disk", "place", "line"),
    [(1e12, 1e12, "device", ""), (100, 1e12, "disk", "on disk"), (100, 100, "off", "no probes")],
)
def test_it_goes_where_there_is_room_and_says_so(
    monkeypatch: pytest.MonkeyPatch, in_memory: float, on_disk: float, place: str, line: str
) -> None:
    monkeypatch.setattr(memory_module, "available_bytes", lambda: in_memory)
    monkeypatch.setattr(memory_module, "_free_bytes", lambda: on_disk)
    said: list[str] = []
    model = network()
    memory = Memory([model], torch.optim.SGD(model.parameters()), warn=said.append)
    assert memory.place == place
    assert line in "".join(said)
    assert len(said) == (place != "device")


def test_a_model_without_values_is_refused_by_name() -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(SettingError, match=r"Sequential\.0\.weight cannot be copied"):
        Memory([model], torch.optim.SGD([torch.zeros(1, requires_grad=True)]))


def test_extra_state_that_cannot_be_put_back_is_refused_by_name() -> None:
    class Odd(nn.Linear):
        def get_extra_state(self) -> Any:
            raise RuntimeError("an open file")

    model = nn.Sequential(Odd(1, 1))
    with pytest.raises(SettingError, match=r"Sequential\.0 cannot be copied: .* an open file"):
        Memory([model], torch.optim.SGD(model.parameters()))


def test_an_unknown_place_is_refused() -> None:
    model = network()
    with pytest.raises(SettingError, match="not 'cloud'"):
        Memory([model], torch.optim.SGD(model.parameters()), place="cloud")


def test_tied_parameters_are_copied_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    memory = Memory([model], torch.optim.SGD(model.parameters()))
    assert memory.nbytes() == (9 + 3 + 3) * 4 + torch.get_rng_state().nbytes


def test_sparse_gradients_leave_states_that_can_be_kept() -> None:
    table = nn.Embedding(6, 2, sparse=True)
    optimizer = torch.optim.SparseAdam(table.parameters())
    memory = Memory([table], optimizer)
    for _ in range(2):
        optimizer.zero_grad()
        table(torch.tensor([1, 2])).square().sum().backward()
        optimizer.step()
    memory.keep("here")
    expected = state(table, optimizer)[:2]
    optimizer.step()
    memory.restore("here")
    assert_same(state(table, optimizer)[:2], expected)


def test_large_tensors_are_copied_and_brought_back_bit_for_bit() -> None:
    layer = nn.Linear(1024, 1024)
    memory = Memory([layer], torch.optim.SGD(layer.parameters()))
    before = layer.weight.detach().clone()
    memory.keep("x")
    assert memory.kept_bytes("x") >= 1024 * 1025 * 4
    assert memory.kept_bytes("y") == 0
    for value in (1.0, 2.0):
        nn.init.constant_(layer.weight, value)
        memory.restore("x")
        assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_first_copies_are_alike_whatever_their_kind(kind: torch.dtype) -> None:
    large = torch.arange(2**21).remainder(7).to(kind).view(-1, 2**10)
    for each in (large, large.t(), large[:3]):
        copy = first_copy(each, torch.device("cpu"))
        assert copy.dtype == kind and torch.equal(copy, each)
        assert copy.data_ptr() != each.data_ptr()
