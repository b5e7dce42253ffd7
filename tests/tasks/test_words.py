"""Words become numbers, the same for the same word."""

from __future__ import annotations

import json

import numpy as np

from paceline.tasks.base.words import UNKNOWN, Words

SENTENCES = [["The", "p53", "gene", "."], ["the", "BRCA1", "gene", "x" * 40]]


def test_words_are_numbered_by_how_often_they_are_used():
    words = Words.learn(SENTENCES, most_characters=24)
    assert words.words[:2] == ("gene", "the")
    assert words.words[2 : words.singles - 2] == ()
    assert set(words.words[words.singles - 2 :]) == {"p00", ".", "brca0", "x" * 40}


def test_the_order_of_the_sentences_does_not_matter():
    assert Words.learn(SENTENCES, most_characters=9) == Words.learn(
        SENTENCES[::-1], most_characters=9
    )


def test_an_unknown_word_keeps_its_characters_and_its_shape():
    words = Words.learn(SENTENCES, most_characters=24)
    codes, letters, shapes = words.encode([["Gene", "Zebra"], []], 3)
    assert codes[0].tolist() == [2, UNKNOWN, 0] and (codes[1] == 0).all()
    assert letters[0, 1, :5].min() >= UNKNOWN and (letters[0, 2] == 0).all()
    assert shapes[0, 0] == shapes[0, 1] > 0 == shapes[0, 2]


def test_digits_count_as_one_another_but_not_as_characters():
    words = Words.learn([["p53", "p53", "p21", "p21"]], most_characters=5)
    codes, letters, _ = words.encode([["p53", "p21"]], 2)
    assert codes[0, 0] == codes[0, 1] and not np.array_equal(letters[0, 0], letters[0, 1])


def test_of_a_long_word_both_ends_are_looked_at():
    words = Words.learn([["abcdefghij"] * 2], most_characters=4)
    _, letters, _ = words.encode([["abcdefghij", "abij"]], 2)
    assert np.array_equal(letters[0, 0], letters[0, 1])


def test_text_is_cut_as_the_training_sentences_were():
    together = Words.learn([["non-small", "U.S."]], most_characters=9)
    apart = Words.learn([["non", "-", "small"]], most_characters=9)
    assert together.cut("A non-small cell.") == ["A", "non-small", "cell", "."]
    assert apart.cut("A non-small cell.") == ["A", "non", "-", "small", "cell", "."]


def test_it_comes_back_from_json():
    words = Words.learn(SENTENCES, most_characters=24)
    assert Words.from_json(json.loads(json.dumps(words.to_json()))) == words
