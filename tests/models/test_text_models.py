"""Networks that read tokens: padding never counts, settings have their ranges."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.text_cnn import TextCNN
from paceline.models.transformer import Transformer


def signature(length=9, outputs=2):
    field = Field(name="tokens", shape=(length,), dtype="int64", cardinalities=(20,))
    return Signature(kind="text", inputs=(field,), outputs=outputs)


ROWS = torch.tensor([[2, 5, 6, 7, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize("kind", [TextCNN, Transformer])
def test_padding_does_not_count(kind):
    network = kind(signature()).eval()
    longer = torch.cat([ROWS, torch.arange(9)[None] % 5 + 3])
    torch.testing.assert_close(network(ROWS), network(longer)[:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [TextCNN, Transformer])
def test_a_text_of_nothing_has_an_answer(kind):
    assert kind(signature()).eval()(torch.zeros(2, 9, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("kind", [TextCNN, Transformer])
def test_the_order_of_words_counts(kind):
    network = kind(signature()).eval()
    other = ROWS[:1, [0, 3, 2, 1, 4, 5, 6, 7, 8]]
    assert not torch.allclose(network(ROWS[:1]), network(other), atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_convolutions_may_be_wider_than_the_text(size):
    assert TextCNN(signature(), sizes=(size,))(ROWS).shape == (2, 2)


def test_a_convolution_and_its_maximum_are_those_of_a_slow_twin():
    network = TextCNN(signature(), width=3, channels=2, sizes=(2,), buckets=0).eval()
    (convolution,), row = network.convolutions, ROWS[0, :4]
    states = network.embedding(row)
    padded = torch.cat([torch.zeros(1, 3), states, torch.zeros(1, 3)])
    found = [
        (convolution.weight * padded[at : at + 2].T).sum((1, 2)) + convolution.bias
        for at in range(4)
    ]
    pooled = torch.cat([states.mean(0), torch.stack(found).relu().amax(0)])
    torch.testing.assert_close(network.head(pooled), network(ROWS[:1])[0])


def test_the_linear_model_beside_is_that_of_a_slow_twin():
    plain, network = (TextCNN(signature(), buckets=buckets).eval() for buckets in (0, 50))
    torch.nn.init.normal_(network.wide.weight)
    network.load_state_dict(plain.state_dict(), strict=False)
    total, before = torch.zeros(2), 0
    for token in ROWS[0, :4].tolist():
        total += network.wide.weight[token * 7_919 % 50]
        total += network.wide.weight[(token * 1_000_003 + before * 92_821) % 50]
        before = token
    expected = plain(ROWS[:1])[0] + 2 * total / 4**0.5
    torch.testing.assert_close(network(ROWS[:1])[0], expected)


def test_many_outputs_leave_fewer_buckets():
    assert TextCNN(signature(outputs=2**10)).buckets == 2**13


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (TextCNN, {"width": 0}, "at least 1, got 0"),
        (TextCNN, {"channels": 0}, "at least 1, got 64 and 0"),
        (TextCNN, {"sizes": ()}, "sizes must be numbers of 1 or more"),
        (TextCNN, {"sizes": (0, 2)}, "sizes"),
        (TextCNN, {"dropout": 1.0}, "under 1, got 1"),
        (TextCNN, {"buckets": -1}, "buckets must be 0 or more"),
        (Transformer, {"depth": 0}, "at least 1, got 128, 0 and 4"),
        (Transformer, {"heads": 5}, "5 heads do not divide a width of 128"),
        (Transformer, {"dropout": -0.1}, "at least 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(kind, given, words):
    with pytest.raises(SettingError, match=words):
        kind(signature(), **given)
