"""A sentence is scored by itself, whatever it is padded with."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.base.chain import NO_WORD, dropped
from paceline.models.char_bilstm import CharBilstm

SIGNATURE = Signature(
    kind="tagging",
    inputs=(
        Field(name="words", shape=(6,), dtype="int64", cardinalities=(20,)),
        Field(name="characters", shape=(6, 5), dtype="int16", cardinalities=(9,)),
        Field(name="shapes", shape=(6,), dtype="int64", cardinalities=(4,)),
    ),
    outputs=3,
)


def inputs(lengths: list[int]) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    words = torch.randint(1, 20, (len(lengths), 6), generator=random)
    letters = torch.randint(0, 9, (len(lengths), 6, 5), generator=random).to(torch.int16)
    letters[:, :, 0] = 1
    shapes = torch.randint(1, 4, (len(lengths), 6), generator=random)
    for row, length in enumerate(lengths):
        for each in (words, letters, shapes):
            each[row, length:] = 0
    return words, letters, shapes


def model(**settings: float) -> CharBilstm:
    torch.manual_seed(0)
    return CharBilstm(SIGNATURE, **settings).eval()


@pytest.mark.parametrize("depth", [1, 2])
def test_padding_changes_nothing(depth):
    network, whole = model(depth=depth), inputs([3, 6, 1])
    together = network(*whole)
    for row, length in enumerate([3, 6, 1]):
        alone = network(*(each[row : row + 1, :length] for each in whole))
        assert torch.allclose(alone[0], together[row, :length], atol=1e-5)
        assert (together[row, length:] == NO_WORD).all()


def test_both_directions_reach_every_word():
    network, whole = model(), inputs([4])
    first = network(*whole)
    for changed, seen in ((0, 3), (3, 0)):
        other = [each.clone() for each in whole]
        other[0][0, changed] = 1 + other[0][0, changed] % 19
        assert not torch.equal(network(*other)[0, seen], first[0, seen])


def test_emissions_and_transitions_add_up():
    network, whole = model(), inputs([3])
    with torch.no_grad():
        network.chain.follow[0, 1], network.chain.begin[2], network.chain.end[1] = 5.0, 7.0, 11.0
        potentials = network(*whole)[0]
        network.chain.follow.zero_(), network.chain.begin.zero_(), network.chain.end.zero_()
        plain = network(*whole)[0]
    added = potentials - plain
    assert torch.allclose(added[0, :, 2], torch.tensor(7.0), atol=1e-4)
    assert added[1, 0, 1] == pytest.approx(5, abs=1e-4) and added[1, 1, 1].abs() < 1e-4
    assert added[2, 2, 1] == pytest.approx(11, abs=1e-4)
    assert added[2, 0, 1] == pytest.approx(16, abs=1e-4)


def test_dropout_is_the_same_for_all_words_of_a_sentence():
    network = model(dropout=0.5).train()
    kept = dropped(network.dropout, torch.ones(2, 7, 50))
    assert (kept == kept[:, :1]).all() and 0 < (kept == 0).double().mean() < 1


def test_no_words_at_all_are_answered():
    assert (model()(*inputs([0, 0])) == NO_WORD).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"filters": -1}, "filters must be at least 1, got -1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and under 1, got 1"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        CharBilstm(SIGNATURE, **settings)
