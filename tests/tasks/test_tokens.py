"""Tokens: learnt the same every time, 0 is padding whatever the tokenizer says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paceline.tasks.base.tokens import Tokens, without_words

tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["a good film, and long", "a bad film", "The GOOD plot", "good good bad", "the end"] * 3


def learnt(length=12, size=80):
    return Tokens.learn(TEXTS, size=size, length=length)


def with_other_padding():
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel(
            {"<s>": 0, "<pad>": 1, "good": 2, "bad": 3, "<unk>": 4}, unk_token="<unk>"
        )
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    made.add_special_tokens(["<s>", "<pad>"])
    return Tokens(text=made.to_str(), length=4, padding=1)


def test_the_same_texts_give_the_same_tokenizer():
    assert learnt().text == learnt().text


def test_json_keeps_it_whole():
    tokens = learnt()
    other = Tokens.from_json(tokens.to_json())
    assert np.array_equal(tokens.encode(TEXTS), other.encode(TEXTS))


def test_capitals_and_stray_blanks_make_no_difference():
    first, second = learnt().encode(["a good film", "  A  GOOD\tfilm "])
    assert np.array_equal(first, second)


def test_a_long_text_is_cut_and_its_length_known():
    tokens = learnt(length=5)
    assert (tokens.encode(["good " * 50]) != 0).all()
    assert tokens.lengths(["good " * 50, ""]).tolist() == [51, 1]


def test_what_was_never_seen_is_unknown_and_not_padding():
    row = learnt().encode(["漢字"])[0]
    assert row[0] == 2
    assert row[1] != 0


def test_padding_changes_places_with_zero():
    tokens = with_other_padding()
    assert tokens.encode(["good bad", ""]).tolist() == [[1, 2, 3, 0], [1, 0, 0, 0]]
    assert tokens.special[:4].tolist() == [True, True, False, False]


def test_the_mark_of_a_word_is_found_for_each_kind_of_tokenizer():
    for words, begins in (
        ({"▁a": 0, "b": 1}, [True, False]),
        ({"Ġa": 0, "b": 1}, [True, False]),
        ({"a": 0, "##b": 1}, [True, False]),
        ({"a": 0, "b": 1}, [True, True]),
    ):
        model = tokenizers.models.WordLevel(words, unk_token=next(iter(words)))
        made = Tokens(text=tokenizers.Tokenizer(model).to_str(), length=4)
        assert made.begins.tolist() == begins


def test_what_hides_a_token_is_the_mask_where_there_is_one():
    assert learnt().unknown == 1
    assert with_other_padding().unknown == 4
    model = tokenizers.models.WordLevel({"a": 0}, unk_token="a")
    assert Tokens(text=tokenizers.Tokenizer(model).to_str(), length=4).unknown == 0


def test_words_are_hidden_whole_and_special_tokens_never():
    begins = torch.tensor([False, True, True, True, False])
    special = torch.tensor([True, False, True, False, False])
    rows = torch.tensor([[2, 3, 4, 4, 3, 4, 0]]).repeat(400, 1)
    hidden = without_words(rows, begins, special, 1, 0.5, torch.Generator().manual_seed(0))
    gone = hidden == 1
    assert not gone[:, [0, 6]].any()
    assert torch.equal(gone[:, 1], gone[:, 2])
    assert torch.equal(gone[:, 1], gone[:, 3])
    assert torch.equal(gone[:, 4], gone[:, 5])
    assert 0.4 < gone[:, 1].float().mean() < 0.6
    assert not torch.equal(gone[:, 1], gone[:, 4])
