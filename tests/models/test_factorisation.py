"""Claims of the networks for ratings."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.factorisation import Factorisation
from paceline.models.two_towers import TwoTowers

FIELDS = (
    Field(name="user", shape=(), dtype="int64", cardinalities=(5,)),
    Field(name="item", shape=(), dtype="int64", cardinalities=(7,)),
)
SIDE = Field(name="side", shape=(3,), dtype="float32")
PLAIN = Signature(kind="ratings", inputs=FIELDS, outputs=2)
FULL = Signature(kind="ratings", inputs=(*FIELDS, SIDE), outputs=2)
USERS, ITEMS = torch.tensor([1, 2, 0, 3, 0]), torch.tensor([6, 0, 2, 4, 0])


def network(part, signature=PLAIN, **settings):
    torch.manual_seed(0)
    made = part(signature, **settings).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def test_a_rating_is_biases_and_the_product_of_vectors():
    made = network(Factorisation, width=3, members=2)
    output = made(USERS, ITEMS)
    assert output.shape == (5, 2, 2)
    vectors = made.users.weight[1].view(2, 3) * made.items.weight[6].view(2, 3)
    wanted = made.user_bias.weight[1] + made.item_bias.weight[6] + vectors.sum(1)
    torch.testing.assert_close(output[0, :, 0], wanted)


def test_an_unknown_user_or_item_is_answered_by_the_others_bias():
    made = network(Factorisation, width=3, members=2)
    output = made(USERS, ITEMS)
    torch.testing.assert_close(output[1, :, 0], made.user_bias.weight[2])
    torch.testing.assert_close(output[2, :, 0], made.item_bias.weight[2])
    assert output[4, :, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("part", [Factorisation, TwoTowers])
def test_it_says_who_was_known(part):
    output = network(part)(USERS, ITEMS)
    known = output[..., 1].reshape(5, -1)[:, 0]
    assert known.tolist() == [3.0, 1.0, 2.0, 3.0, 0.0]


def test_columns_of_an_item_tell_towers_about_one_that_nobody_rated():
    made = network(TwoTowers, FULL)
    sides = torch.eye(3)
    output = made(torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), sides)
    assert len(set(output[:, 0].tolist())) == 3


def test_towers_do_without_columns():
    assert network(TwoTowers)(USERS, ITEMS).shape == (5, 2)


@pytest.mark.parametrize("part", [Factorisation, TwoTowers])
def test_it_learns_a_made_up_table_in_a_moment(part):
    torch.manual_seed(0)
    made = part(PLAIN, dropout=0.0).train()
    users, items = torch.arange(24) % 4 + 1, torch.arange(24) // 4 + 1
    ratings = torch.sin(users * 2.0) * torch.cos(items * 3.0)
    optimizer = torch.optim.Adam(made.parameters(), lr=2e-2)
    for _ in range(100):
        optimizer.zero_grad()
        guess = made(users, items)[..., 0].reshape(24, -1).mean(1)
        loss = (guess - ratings).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.02


@pytest.mark.parametrize(
    ("part", "settings", "said"),
    [
        (Factorisation, {"width": 0}, "width and members must be at least 1"),
        (Factorisation, {"dropout": 1.0}, "dropout must be"),
        (TwoTowers, {"width": 0}, "width must be at least 1"),
        (TwoTowers, {"dropout": -0.5}, "dropout must be"),
    ],
)
def test_settings_out_of_range_are_refused(part, settings, said):
    with pytest.raises(SettingError, match=said):
        part(PLAIN, **settings)
