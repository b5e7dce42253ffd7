"""A fresh head over features that were trained before begins as a linear probe."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from paceline.data.base.batches import Order, ResidentFeed
from paceline.jobs.head_start import start_head
from paceline.models.base import Headed
from paceline.train.precision import Precision

PLAIN = Precision(name="fp32", device=torch.device("cpu"), reason="")
FEATURES = 6


class Fixed(Headed):
    """A head over its inputs, multiplied; it drops them in training."""

    kinds = ("text",)

    def __init__(self, outputs: int, *, trained_before: bool = True) -> None:
        super().__init__()
        self.trained_before = trained_before
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(FEATURES, outputs)

    def features(self, *inputs):
        return self.drop(inputs[0]) * 3 + 1


class Diary:
    def __init__(self):
        self.rows = []

    def decide(self, name, chosen, **told):
        self.rows.append((name, chosen, told["seen"]))


def material(inputs, targets, loss, batch_size=10):
    feed = ResidentFeed(
        (inputs,), targets, Order(examples=len(targets), batch_size=batch_size, seed=0)
    )
    return SimpleNamespace(feed=feed, goal=SimpleNamespace(loss=loss))


def classes(count=60, seed=0):
    rng = np.random.default_rng(seed)
    inputs = torch.tensor(rng.normal(size=(count, FEATURES)), dtype=torch.float32)
    noise = torch.tensor(rng.normal(size=count), dtype=torch.float32)
    return inputs, (inputs[:, 0] - inputs[:, 1] + noise > 0).long()


def test_it_is_the_likeliest_linear_classifier_as_scikit_learn_finds_it():
    inputs, targets = classes()
    network, diary = Fixed(2), Diary()
    start_head(material(inputs, targets, nn.functional.cross_entropy), network, PLAIN, diary)
    seen = inputs * 3 + 1
    ready = (seen - seen.mean(0)) / seen.std(0, correction=0) / FEATURES**0.5
    # Two outputs w and -w cost |w|² together, so a single vector of 2 w costs half of C = 2.
    twin = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000).fit(ready.numpy(), targets.numpy())
    with torch.no_grad():
        found = network.head(seen)
    expected = twin.predict_proba(ready.numpy())
    np.testing.assert_allclose(found.softmax(1).numpy(), expected, atol=2e-3)
    [(name, chosen, told)] = diary.rows
    assert (name, chosen, told["examples"]) == ("head", "linear probe", 60)
    assert told["loss_after"] < told["loss_before"]
    assert told["loss_after"] == pytest.approx(
        float(nn.functional.cross_entropy(found, targets)), abs=1e-5
    )


def test_numbers_are_fitted_too():
    inputs, _ = classes(count=400)
    targets = inputs[:, 2] * 2

    def loss(output, target):
        return (output.squeeze(1) - target).square().mean()

    network = Fixed(1)
    start_head(material(inputs, targets, loss), network, PLAIN, Diary())
    assert float(loss(network.head(inputs * 3 + 1), targets).detach()) < 0.05


def test_nothing_else_changes_and_nothing_is_drawn():
    inputs, targets = classes()
    network = Fixed(2).train()
    given = material(inputs, targets, nn.functional.cross_entropy)
    given.feed.next()
    cursor, drawn = given.feed.state_dict(), torch.get_rng_state()
    start_head(given, network, PLAIN, Diary())
    assert given.feed.state_dict() == cursor
    assert torch.equal(torch.get_rng_state(), drawn)
    assert network.training
    assert all(each.grad is None for each in network.parameters())


def test_unlabelled_examples_are_left_out():
    inputs, targets = classes()
    hidden = targets.clone()
    hidden[::2] = -1
    partly, known = Fixed(2), Fixed(2)
    loss, diary = nn.functional.cross_entropy, Diary()
    start_head(material(inputs, hidden, loss), partly, PLAIN, diary)
    start_head(material(inputs[1::2], targets[1::2], loss), known, PLAIN, Diary())
    assert diary.rows[0][2]["examples"] == 30
    torch.testing.assert_close(partly.head.weight, known.head.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("network", [Fixed(2, trained_before=False), nn.Linear(FEATURES, 2)])
def test_what_was_not_trained_before_begins_at_random(network):
    before = [each.clone() for each in network.parameters()]
    inputs, targets = classes()
    diary = Diary()
    start_head(material(inputs, targets, nn.functional.cross_entropy), network, PLAIN, diary)
    assert not diary.rows
    assert all(map(torch.equal, before, network.parameters()))
