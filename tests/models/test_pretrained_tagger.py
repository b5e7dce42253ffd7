"""A backbone's states are taken where words begin; what is new learns faster than it."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature

pytest.importorskip("transformers")

from paceline.models.pretrained_tagger import PretrainedTagger, _at

SIGNATURE = Signature(
    kind="tagging",
    inputs=(
        Field(name="words", shape=(6,), dtype="int64", cardinalities=(20,)),
        Field(name="characters", shape=(6, 5), dtype="int16", cardinalities=(9,)),
        Field(name="shapes", shape=(6,), dtype="int64", cardinalities=(4,)),
    ),
    outputs=3,
)


def test_states_are_taken_where_a_word_begins_and_are_zero_where_none_does():
    states = torch.arange(1.0, 9.0).view(1, 4, 2)
    assert _at(states, torch.tensor([[2, 0, 3]])).tolist() == [[[5, 6], [0, 0], [7, 8]]]


def test_what_is_new_learns_faster_than_the_backbone():
    network = PretrainedTagger(SIGNATURE, decay=0.5, slower=0.2)
    made = network.parameter_groups(0.1)
    rates = {id(p): group["rate"] for group in made for p in group["params"]}
    assert rates[id(network.chain.follow)] == 1.0
    inside = {round(rates[id(p)], 6) for p in network.encoder.parameters()}
    assert inside == {0.1, 0.05, 0.025}
    assert len(rates) == sum(1 for _ in network.parameters())
    assert all((p.ndim >= 2) == (g["weight_decay"] > 0) for g in made for p in g["params"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"decay": 0}, "decay must be over 0 and at most 1, got 0"),
        ({"slower": 1.5}, "slower must be over 0 and at most 1, got 1.5"),
        ({"dropout": 1}, "dropout must be at least 0 and under 1, got 1"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        PretrainedTagger(SIGNATURE, **settings)
