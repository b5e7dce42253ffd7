"""Claims of the task for text that is written on."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch

from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples
from paceline.tasks.base.next_token import NextToken
from paceline.tasks.base.ngrams import NGrams
from paceline.tasks.base.vocabulary import Vocabulary
from paceline.tasks.language import Language, write_on

WORDS = ("the cat", "sat on", "the mat", "and ate", "a rat.\n")


def made(count=900, seed=0):
    random = np.random.default_rng(seed)
    return " ".join(random.choice(WORDS, count))


def texts(*some):
    return np.array([*some, None], dtype=object)[:-1]


def corpus_of(text, **parts):
    everything = Examples(inputs=texts(text), targets=texts(text))
    return Corpus(
        name="made", kind="language", train=everything, fingerprint="0", facts={}, **parts
    )


def learnt(text, validation=0.1, test=0.2, **settings):
    corpus = corpus_of(text)
    goal = Language.find_goal(corpus, None, settings)
    parts = Language.divide(corpus, goal, seed=0, validation=validation, test=test)
    assert settings == {}
    return Language.from_corpus(corpus, parts.train, goal), parts


def test_parts_lie_one_after_the_other_and_the_end_is_the_test():
    text = made()
    _, parts = learnt(text, context=16)
    last = len(text) - round(0.2 * len(text))
    first = last - round(0.1 * len(text))
    for name, begin, end in (("validation", first, last), ("test", last, len(text))):
        passages = getattr(parts, name).inputs.tolist()
        joined = passages[0] + "".join(passage[1:] for passage in passages[1:])
        assert joined == text[begin:end]
    assert "validation part is 10%" in parts.notes[0] and "test part is 20%" in parts.notes[0]


def test_each_token_of_a_held_out_part_is_foretold_once():
    task, parts = learnt(made(), context=16)
    _, target = task.goal.windows(parts.test.inputs)
    text = "".join([parts.test.inputs[0][:1], *(each[1:] for each in parts.test.inputs)])
    kept = target[target != -100].tolist()
    assert task.goal.vocabulary.decode(kept) == text[1:]


def test_training_windows_are_full_and_every_token_is_in_one():
    task, parts = learnt(made(), context=16, stride=5)
    encoded = task.encode(parts.train)
    assert len(encoded) == len(parts.train)
    assert int(encoded.inputs[0].min()) > 0 and int(encoded.targets.min()) > 0
    begins = [parts.train.inputs[0]]
    for passage in parts.train.inputs[1:-1]:
        assert begins[-1][5:] == passage[:-5]
        begins.append(passage)


def test_targets_are_the_inputs_one_token_later():
    task, parts = learnt(made(), context=16)
    encoded = task.encode(parts.train)
    assert torch.equal(encoded.inputs[0][:, 1:], encoded.targets[:, :-1])


def test_a_text_without_targets_is_one_row_with_its_end():
    task, _ = learnt(made(), context=8)
    rows = task.encode(Examples(inputs=texts("the cat sat on the mat", "cat", ""), targets=None))
    decode = task.goal.vocabulary.decode
    assert [decode(row) for row in rows.inputs[0].tolist()] == [" the mat", "cat", ""]


@pytest.mark.parametrize("text", ["the cat sat on the mat and ate a rat.", "a rat.\nthe"])
def test_pieces_of_words_give_the_text_back(text):
    vocabulary = Vocabulary.learn(made(), tokens="bpe", size=300)
    ids = vocabulary.encode(text)
    assert len(ids) < len(text)
    assert vocabulary.decode(ids) == text
    assert int(vocabulary.lengths()[ids].sum()) == len(text)


def test_letters_of_several_bytes_count_once():
    vocabulary = Vocabulary.learn("Grüße aus Köln 🙂 " * 9, tokens="bpe", size=300)
    ids = vocabulary.encode("Grüße 🙂ß")
    assert int(vocabulary.lengths()[ids].sum()) == 8
    assert (
        vocabulary.unseen("日本") == [] and vocabulary.decode(vocabulary.encode("日本")) == "日本"
    )


def test_passages_of_pieces_begin_and_end_with_words():
    task, parts = learnt(made(3000), context=12, tokens="bpe", vocabulary=300)
    whole = made(3000)
    assert all(passage in whole for passage in parts.train.inputs)
    counts = (task.encode(parts.train).inputs[0] != 0).sum(1)
    assert int(counts.min()) >= 6 and int(counts.max()) <= 12
    assert "".join(parts.test.inputs.tolist()) == whole[-round(0.2 * len(whole)) :]


def test_it_is_exactly_the_same_after_a_round_trip_through_json():
    for settings in ({"context": 16}, {"context": 16, "tokens": "bpe", "vocabulary": 300}):
        task, parts = learnt(made(), **settings)
        again = Language.from_json(json.loads(json.dumps(task.to_json())))
        assert again.to_json() == task.to_json()
        assert again.signature() == task.signature()
        one, two = task.encode(parts.test), again.encode(parts.test)
        assert torch.equal(one.inputs[0], two.inputs[0]) and torch.equal(one.targets, two.targets)


def test_metrics_are_means_over_what_counts():
    goal = NextToken(context=3, vocabulary=Vocabulary("ab"))
    output = torch.zeros(2, 3, 4)
    target = torch.tensor([[2, 3, -100], [2, -100, -100]])
    measured = goal.metrics(goal.judged(output, target), target)
    assert measured["cross_entropy"] == pytest.approx(math.log(4))
    assert measured["bits_per_character"] == pytest.approx(2.0)
    assert measured["perplexity"] == pytest.approx(4.0)
    assert goal.loss(output, target).item() == pytest.approx(math.log(4))


def test_bits_count_characters_and_not_pieces():
    vocabulary = Vocabulary.learn(made(), tokens="bpe", size=300)
    goal = NextToken(context=50, vocabulary=vocabulary)
    inputs, target = goal.windows(texts("the cat sat on the mat"))
    measured = goal.metrics(goal.judged(torch.zeros(1, 50, goal.outputs), target), target)
    kept = int((target != -100).sum())
    characters = len("the cat sat on the mat") - int(vocabulary.lengths()[inputs[0, 0]])
    assert measured["bits_per_character"] == pytest.approx(
        kept * math.log2(goal.outputs) / characters
    )


def slow_witten_bell(tokens, row, at, order, vocabulary):
    """The formula as it stands, by walking through the text."""
    chance = 1.0 / vocabulary
    for length in range(order):
        if length > at:
            break
        history = tuple(row[at - length : at])
        after = Counter(
            tokens[place + length]
            for place in range(len(tokens) - length)
            if tuple(tokens[place : place + length]) == history
        )
        total, kinds = sum(after.values()), len(after)
        if not total:
            break
        chance = (after[row[at]] + kinds * chance) / (total + kinds)
    return -math.log(chance)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngrams_cost_what_a_slow_twin_counts(order):
    random = np.random.default_rng(order)
    tokens, rows = random.integers(0, 4, 80), random.integers(0, 5, (3, 9))
    found = NGrams(tokens, vocabulary=5, order=order).nats(rows)
    wanted = [
        [slow_witten_bell(tokens.tolist(), row, at, order, 5) for at in range(9)]
        for row in rows.tolist()
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_longer_ngrams_foretell_a_plain_text_better():
    task, parts = learnt(made(2000), context=16)
    found = task.baselines(parts, seed=0, progress=Silence())
    costs = [each.metrics["cross_entropy"] for each in found.values()]
    assert list(found) == ["unigram", "bigram", "trigram", "5-gram"]
    assert costs == sorted(costs, reverse=True)


def test_a_text_is_written_on_by_what_is_likely():
    goal = NextToken(context=4, vocabulary=Vocabulary("ab"))

    def alternates(so_far):
        return torch.tensor(
            [[0, 0, 0.0, 1] if text.endswith("a") else [0, 0, 1.0, 0] for text in so_far]
        )

    written = write_on(
        alternates, goal, ["a", "ab"], count=3, chance=torch.Generator().manual_seed(0)
    )
    assert written == ["bab", "aba"]


def test_characters_that_only_a_held_out_part_has_are_named():
    _, parts = learnt(made() + " é", context=16)
    assert "the test part has characters that are not in the training part: 'é'" in parts.notes[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"context": 1}, "context must be a whole number, at least 2, got 1"),
        ({"stride": 0}, "stride must be a whole number, at least 1"),
        ({"tokens": "words"}, "tokens must be characters or bpe, got 'words'"),
        ({"tokens": "characters", "vocabulary": 400}, "vocabulary goes with tokens=bpe"),
        ({"vocabulary": 5}, "vocabulary must be at least 300, got 5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        learnt(made(), **settings)


def test_a_text_shorter_than_two_windows_is_refused():
    with pytest.raises(DataError, match="at least two windows of 128 are needed"):
        learnt("much too short " * 10)


def test_shares_that_leave_nothing_are_refused():
    with pytest.raises(SettingError, match="together under 1"):
        learnt(made(), validation=0.5, test=0.5)


def test_another_goal_is_refused():
    with pytest.raises(SettingError, match="no goal but the next token"):
        Language.find_goal(corpus_of(made()), "regression", {})


def test_parts_that_the_source_brings_stay_as_they_are():
    other = Examples(inputs=texts("the cat"), targets=texts("the cat"))
    corpus = corpus_of(made(), test=other, validation=other)
    goal = Language.find_goal(corpus, None, {"context": 16})
    parts = Language.divide(corpus, goal, seed=0, validation=0.1, test=0.2)
    assert parts.test.inputs.tolist() == ["the cat"] == parts.validation.inputs.tolist()
    assert parts.notes == ()
