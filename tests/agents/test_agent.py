"""An agent leaves the summed gradient of its rows, tells what it took, and survives nonsense."""

from __future__ import annotations

import threading
from multiprocessing import Pipe

import made_team as made
import pytest
import torch
from torch import nn

from paceline.agents.agent import Agent, memories_of
from paceline.agents.bench import buffers_of, parameters_of
from paceline.agents.wire import Wire


class Desk:
    """An agent of this process, the coordinator's end of its wire, and its memories."""

    def __init__(self, setting, **other):
        self.setting, self.model = setting, setting.model()
        self.work = made.workshop_of(setting, self.model, **other)
        here, there = Pipe()
        self.wire, self.memories = Wire(here), memories_of(self.work)
        self.put(self.model)
        self.agent = Agent(1, self.work, self.memories, Wire(there))

    def put(self, model):
        """Weights and buffers onto the bench."""
        with torch.no_grad():
            for layout, memory, known in (
                (self.work.parameters, self.memories.weights, parameters_of(model)),
                (self.work.buffers, self.memories.buffers, buffers_of(model)),
            ):
                for view, spot in zip(layout.views(memory), layout.spots, strict=True):
                    view.copy_(known[spot.names[0]])

    def train(self, *ranges, fresh=True, identity=1):
        return self.agent.train(order(*ranges, fresh=fresh, identity=identity))

    def gradients(self):
        return {
            spot.names[0]: view.clone()
            for spot, view in zip(
                self.work.parameters.spots,
                self.work.parameters.views(self.memories.gradient),
                strict=True,
            )
        }

    def by_hand(self, *ranges):
        """Summed loss and gradients."""
        feed, total = self.setting.feed(), 0.0
        for parameter in self.model.parameters():
            parameter.grad = None
        for number, first, count in ranges:
            batch = feed.pick(feed.rows(number)[first : first + count])
            loss = nn.functional.cross_entropy(
                self.model(*batch.inputs), batch.targets, reduction="sum"
            )
            loss.backward()
            total += loss.item()
        return total, {name: each.grad for name, each in self.model.named_parameters()}


def order(*ranges, fresh=True, identity=1):
    return {
        "do": "train", "id": identity, "ranges": [list(each) for each in ranges], "fresh": fresh,
        "scale": 1.0, "learning_rate": None, "together": 1,
    }  # fmt: skip


def assert_same(found, expected):
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-12)


def test_it_leaves_the_summed_gradient_of_its_rows_alone():
    desk = Desk(made.Setting())
    ranges = [(0, 3, 5), (4, 3, 5)]
    reply = desk.train(*ranges)
    loss, gradients = desk.by_hand(*ranges)
    assert_same(desk.gradients(), gradients)
    assert reply["loss"] == pytest.approx(loss, abs=1e-12)
    assert (reply["say"], reply["elements"], reply["touched"]) == ("done", 10, None)
    assert reply["seconds"] > 0


def test_more_rows_of_the_same_step_are_added():
    desk = Desk(made.Setting())
    desk.train((0, 0, 5))
    desk.train((0, 9, 2), fresh=False)
    assert_same(desk.gradients(), desk.by_hand((0, 0, 5), (0, 9, 2))[1])
    desk.train((1, 0, 4), identity=2)
    assert_same(desk.gradients(), desk.by_hand((1, 0, 4))[1])


def test_it_works_with_what_lies_on_the_bench_at_that_time():
    desk = Desk(made.Setting())
    desk.train((0, 0, 4))
    with torch.no_grad():
        for parameter in desk.model.parameters():
            parameter.mul_(1.5)
    desk.put(desk.model)
    desk.train((1, 0, 4))
    assert_same(desk.gradients(), desk.by_hand((1, 0, 4))[1])


def test_weights_that_are_sent_take_the_place_of_the_bench():
    desk = Desk(made.Setting())
    sent = b"".join(
        bytes(each.numpy().data) for each in (desk.memories.weights, desk.memories.buffers)
    )
    desk.memories.weights.zero_()
    desk.agent.train(order((0, 0, 4)), sent)
    assert_same(desk.gradients(), desk.by_hand((0, 0, 4))[1])


def test_it_tells_which_parameters_got_a_gradient():
    desk = Desk(made.Setting(make=made.Idle))
    reply = desk.train((0, 0, 2))
    names = {desk.work.parameters.spots[at].names[0] for at in reply["touched"]}
    assert "never" not in names and "frozen" not in names and "inner.0.weight" in names


def test_a_full_memory_is_told_and_nothing_else_is_hidden():
    reply = Desk(made.Setting(make=made.Full)).train((0, 0, 9))
    assert (reply["say"], reply["id"]) == ("full", 1) and "out of memory" in reply["why"]
    broken = Desk(made.Setting(), loss=torch.matmul)
    with pytest.raises(RuntimeError, match="size mismatch"):
        broken.train((0, 0, 9))


def test_rows_without_a_target_that_counts_bring_nothing():
    desk = Desk(made.Setting(data=nothing_counts))
    reply = desk.train((0, 0, 3))
    assert (reply["loss"], reply["elements"]) == (0.0, 0)
    assert all(gradient.abs().max() == 0 for gradient in desk.gradients().values())


def nothing_counts():
    inputs, targets = made.class_data()
    return inputs, torch.full_like(targets, -100)


def test_a_pretended_speed_is_what_it_takes():
    desk = Desk(made.Setting())
    desk.agent.seconds_per_example = 0.01
    assert desk.train((0, 0, 6))["seconds"] >= 0.06


@pytest.fixture
def served():
    """An agent that serves in a thread."""
    desks = []

    def serve(setting):
        desk = Desk(setting)
        desk.thread = threading.Thread(target=desk.agent.serve)
        desk.thread.start()
        desks.append(desk)
        return desk

    yield serve
    for desk in desks:
        desk.wire.close()
        desk.thread.join(20)
        assert not desk.thread.is_alive()


def test_one_that_shares_no_memory_sends_its_gradient_along(served):
    desk = served(made.Setting(make=made.normalised))
    desk.wire.send(order((0, 0, 8)))
    while (answer := desk.wire.receive())[0]["say"] == "sum":
        desk.wire.send({"do": "sum", "id": 1}, answer[1])
    said, payload = answer
    assert said["say"] == "done"
    assert payload == bytes(desk.memories.gradient.numpy().data) + bytes(
        desk.memories.after.numpy().data
    )


def test_it_gives_signs_of_life_while_it_works(served):
    desk = served(made.Setting())
    desk.wire.send({"do": "pace", "seconds_per_example": 0.1})
    desk.wire.send(order((0, 0, 4), identity=9))
    first, _ = desk.wire.receive()
    assert first == {"say": "alive", "id": 9}


def test_a_step_that_is_begun_anew_takes_the_place_of_the_old_one(served):
    desk = served(made.Setting(make=made.normalised))
    desk.wire.send(order((0, 0, 8)))
    assert desk.wire.receive()[0] == {"say": "sum", "id": 1}
    desk.wire.send(order((0, 0, 24), identity=2))
    while (answer := desk.wire.receive())[0]["say"] == "sum":
        assert answer[0]["id"] == 2
        desk.wire.send({"do": "sum", "id": 2}, answer[1])
    assert (answer[0]["id"], answer[0]["elements"]) == (2, 24)


def test_an_order_that_is_no_sum_waits_until_the_step_is_over(served):
    desk = served(made.Setting(make=made.normalised))
    desk.wire.send(order((0, 0, 8)))
    while (answer := desk.wire.receive())[0]["say"] == "sum":
        assert answer[0]["id"] == 1
        desk.wire.send({"do": "pace", "seconds_per_example": 0.01})
        desk.wire.send({"do": "sum", "id": 1}, answer[1])
    assert (answer[0]["say"], answer[0]["id"]) == ("done", 1)
    assert desk.agent.seconds_per_example in (0.0, 0.01)  # it is taken up after the step
    desk.wire.send(order((0, 0, 8), identity=2))
    while (answer := desk.wire.receive())[0]["say"] in ("sum", "alive"):
        if answer[0]["say"] == "sum":
            desk.wire.send({"do": "sum", "id": 2}, answer[1])
    assert answer[0]["seconds"] >= 0.08


def test_it_leaves_when_it_is_told(served):
    desk = served(made.Setting())
    desk.wire.send({"do": "leave"})
    desk.thread.join(20)
    assert not desk.thread.is_alive()
