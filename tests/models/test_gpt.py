"""Claims of the networks that write texts on."""

from __future__ import annotations

import pytest
import torch

from paceline.core.errors import SettingError
from paceline.core.signature import Field, Signature
from paceline.models.gpt import GPT, _angles, _turned
from paceline.models.lstm import LSTM

FIELD = Field(name="tokens", shape=(8,), dtype="int64", cardinalities=(11,))
SIGNATURE = Signature(kind="language", inputs=(FIELD,), outputs=11)


def network(part, **settings):
    torch.manual_seed(0)
    return part(SIGNATURE, **({"width": 16} | settings)).eval()


def rows(count=5):
    return torch.randint(2, 11, (count, 8), generator=torch.Generator().manual_seed(1))


PARTS = [
    (GPT, {}),
    (GPT, {"positions": "learned"}),
    (LSTM, {}),
    (LSTM, {"cell": "gru"}),
]


@pytest.mark.parametrize(("part", "settings"), PARTS)
def test_what_comes_later_does_not_change_an_output(part, settings):
    made, tokens = network(part, **settings), rows()
    before = made(tokens)
    tokens[:, 5:] = 3
    torch.testing.assert_close(made(tokens)[:, :5], before[:, :5])


@pytest.mark.parametrize(("part", "settings"), PARTS)
def test_the_last_place_tells_what_comes_after_a_short_text(part, settings):
    made, tokens = network(part, **settings), rows()
    tokens[:, 3:] = 0
    output = made(tokens)
    for place in range(3, 8):
        torch.testing.assert_close(output[:, place], output[:, 2])


@pytest.mark.parametrize(("part", "settings"), PARTS)
def test_it_begins_with_all_tokens_about_equally_likely(part, settings):
    output = network(part, **settings)(rows())
    chances = output.softmax(-1)
    assert float(chances.detach().amax()) < 0.3


@pytest.mark.parametrize(("part", "settings"), PARTS)
def test_it_learns_to_repeat_in_a_moment(part, settings):
    made = network(part, dropout=0.0, **settings).train()
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-2)
    tokens = torch.arange(9).remainder(3).add(2).expand(4, -1)
    for _ in range(140):
        optimizer.zero_grad()
        output = made(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(output.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2


def test_rotary_attention_looks_at_distances_alone():
    turns = _angles(9, 4)
    query, key = torch.randn(2, 1, 1, 1, 4, generator=torch.Generator().manual_seed(0))
    query, key = (_turned(each.expand(1, 1, 9, 4), turns)[0, 0] for each in (query, key))
    alike = query @ key.T
    for apart in range(9):
        diagonal = alike.diagonal(apart)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


@pytest.mark.parametrize(
    ("part", "settings", "said"),
    [
        (GPT, {"layers": 0}, "layers must be at least 1"),
        (GPT, {"width": 10, "heads": 4}, "multiple of heads"),
        (GPT, {"positions": "none"}, "positions must be rotary or learned"),
        (GPT, {"width": 6, "heads": 2}, "even width of each head, got 3"),
        (GPT, {"dropout": 1.0}, "dropout must be"),
        (LSTM, {"cell": "rnn"}, "cell must be lstm or gru"),
        (LSTM, {"width": 0}, "at least 1"),
        (LSTM, {"dropout": -0.1}, "dropout must be"),
    ],
)
def test_settings_out_of_range_are_refused(part, settings, said):
    with pytest.raises(SettingError, match=said):
        part(SIGNATURE, **settings)
