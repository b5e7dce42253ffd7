"""Claims of the task for texts, on made-up and on real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import paceline
from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples, Parts
from paceline.tasks.base import Judged, find_goal
from paceline.tasks.text import Text

pytest.importorskip("tokenizers")

GOOD, BAD = ("good", "fine", "lovely"), ("bad", "poor", "dull")
PLACES = ("the film was", "i found the plot", "what we saw is", "her songs are")


def written(count=120, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 2)
    texts = [
        f"{random.choice(PLACES)} {random.choice(GOOD if label else BAD)} at {random.integers(99)}"
        for label in labels
    ]
    return texts, np.where(labels == 1, "yes", "no").astype(object)


def table(count=120, **more):
    texts, labels = written(count)
    return pd.DataFrame({"review": texts, **more, "label": labels})


def corpus_of(frame, **facts):
    train = Examples(
        inputs=frame.drop(columns="label"), targets=frame["label"].to_numpy(dtype=object)
    )
    return Corpus(name="made", kind="table", train=train, fingerprint="0", facts=facts)


def learnt(targets=None, **settings):
    texts, labels = written()
    inputs = np.array([*texts, None], dtype=object)[:-1]
    train = Examples(inputs=inputs, targets=labels if targets is None else targets)
    corpus = Corpus(name="made", kind="text", train=train, fingerprint="0", facts={})
    return Text.from_corpus(corpus, train, find_goal(train.targets), **settings), train


# --- which tables are its own


def test_a_table_of_sentences_alone_is_claimed():
    claim = Text.claim(corpus_of(table()), {})
    assert claim is not None
    assert claim.strength > 0.5
    assert "review" in claim.reason
    assert claim.corpus.kind == "text"
    assert claim.corpus.train.inputs[0] == table()["review"][0]


@pytest.mark.parametrize(
    "more",
    [
        {"id": np.arange(120)},
        {"code": [f"k{at}" for at in range(120)]},
        {"nothing": np.full(120, np.nan)},
        {"same": "x"},
    ],
)
def test_columns_that_cannot_help_do_not_count(more):
    assert Text.claim(corpus_of(table(**more)), {}) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"stars": np.arange(120) * 7 % 11},
        {"where": np.array(["here", "there"] * 60)},
        {"reply": written(seed=5)[0]},
    ],
)
def test_a_table_with_more_to_learn_from_is_left_to_others(more):
    assert Text.claim(corpus_of(table(**more)), {}) is None


def test_a_person_may_name_the_column():
    corpus = corpus_of(table(reply=written(seed=5)[0]))
    claim = Text.claim(corpus, {"text": "reply"})
    assert claim is not None
    assert claim.strength == 1.0
    with pytest.raises(DataError, match=r"no column 'replay'.*reply"):
        Text.claim(corpus, {"text": "replay"})


def test_missing_texts_are_empty_and_this_is_said():
    frame = table()
    frame.loc[3, "review"] = None
    corpus = Text.claim(corpus_of(frame), {}).corpus
    assert corpus.train.inputs[3] == ""
    assert corpus.notes == ("1 of 120 training texts are empty",)


# --- encoding


def test_a_table_is_encoded_by_the_column_that_was_learnt():
    frame = table(code=[f"k{at}" for at in range(120)])
    corpus = Text.claim(corpus_of(frame), {}).corpus
    task = Text.from_corpus(corpus, corpus.train, find_goal(corpus.train.targets), text="review")
    from_table = task.encode(Examples(inputs=frame[["label", "review"]], targets=None))
    assert torch.equal(from_table.inputs[0], task.encode(corpus.train).inputs[0])
    with pytest.raises(DataError, match="the column 'review' is missing"):
        task.encode(Examples(inputs=frame[["label"]], targets=None))


def test_texts_without_a_name_may_come_in_a_table_of_one_column():
    task, train = learnt()
    frame = pd.DataFrame({"any": train.inputs})
    encoded = task.encode(Examples(inputs=frame, targets=None))
    assert torch.equal(encoded.inputs[0], task.encode(train).inputs[0])
    with pytest.raises(DataError, match="2 columns"):
        task.encode(Examples(inputs=frame.assign(other=1), targets=None))


def test_what_is_no_text_is_named():
    task, _ = learnt()
    with pytest.raises(DataError, match="example 2 is a int"):
        task.encode(Examples(inputs=np.array(["a", 3], dtype=object), targets=None))


def test_long_texts_are_cut_and_counted():
    texts, labels = written()
    inputs = np.array([*texts[:-1], "so " * 90, None], dtype=object)[:-1]
    train = Examples(inputs=inputs, targets=labels)
    corpus = Corpus(name="made", kind="text", train=train, fingerprint="0", facts={})
    task = Text.from_corpus(corpus, train, find_goal(labels), length=40)
    assert task.encode(train).inputs[0].shape == (120, 40)
    assert "1 of 120 training texts have more than 40 tokens" in task.notes()[0]


def test_words_are_hidden_in_training_as_far_as_is_said():
    task, train = learnt(drop=0.5)
    (rows,) = task.encode(train).inputs
    (varied,) = task.augment((rows,), torch.Generator().manual_seed(0))
    changed = varied != rows
    assert 0.3 < changed[:, 1:6].float().mean() < 0.7
    assert (varied[changed] == 1).all()
    plain, _ = learnt(drop=0)
    assert plain.augment((rows,), torch.Generator())[0] is rows


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"length": 3}, "length must be a whole number of 4 or more, got 3"),
        ({"length": 4.5}, "length"),
        ({"vocabulary": 9}, "vocabulary must lie in 10 to"),
        ({"drop": 1.0}, "drop must be at least 0 and under 1"),
        ({"drop": "much"}, "drop"),
        ({"tune": "all"}, "tune goes with a backbone"),
        ({"tune": "al", "backbone": "hf:x"}, "no way to tune 'al'"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, words):
    with pytest.raises(SettingError, match=words):
        learnt(**settings)


# --- rivals and findings


def parts_of(targets=None):
    task, train = learnt(targets)
    test = train.take(np.arange(60))
    return task, Parts(train=train, validation=test, test=test)


def test_plain_rivals_count_words():
    task, parts = parts_of()
    found = task.baselines(parts, seed=0, progress=Silence())
    assert set(found) == {"majority", "naive_bayes", "tfidf_logistic", "bayes_logistic"}
    assert not any(each.note for each in found.values())
    assert found["majority"].metrics["accuracy"] < 0.7
    assert all(found[name].metrics["accuracy"] == 1.0 for name in found if name != "majority")


def test_numbers_have_rivals_of_their_own():
    _, labels = written()
    numbers = (labels == "yes") * 2.0 + np.linspace(0, 0.1, 120)
    task, parts = parts_of(numbers)
    found = task.baselines(parts, seed=0, progress=Silence())
    assert found["tfidf_ridge"].metrics["rmse"] < found["mean"].metrics["rmse"] / 2


def test_rivals_learn_from_fewer_texts_where_there_is_too_much(monkeypatch):
    from paceline.tasks.base import text_baselines

    monkeypatch.setattr(text_baselines, "_LEAST_ROWS", 50)
    task, parts = parts_of()
    found = task.baselines(parts, seed=0, progress=Silence(), effort=1e-9)
    assert found["majority"].note == "learnt from 50 of 120 texts to keep it short"


def test_a_rival_that_fails_is_told_and_not_raised():
    task, parts = parts_of()
    silent = replace(parts.train, inputs=np.array([*[""] * 120, None], dtype=object)[:-1])
    found = task.baselines(replace(parts, train=silent), seed=0, progress=Silence())
    assert found["naive_bayes"].note.startswith("failed: ValueError")


def judged_by(task, parts, sense):
    def ask(examples):
        return sense(examples.inputs)

    target = task.goal.encode(parts.test.targets)
    return Judged(
        answer=sense(parts.test.inputs),
        target=target,
        examples=parts.test,
        train=parts.train,
        ask=ask,
    )


def test_words_tell_what_the_network_goes_by():
    task, parts = parts_of()

    def sense(texts):  # a network that goes by two words alone
        score = torch.tensor([("good" in text) * 2.0 - ("dull" in text) for text in texts])
        return torch.stack([-score, score], 1).double().softmax(-1)

    _, findings = task.findings(judged_by(task, parts, sense))
    telling = {each.title: each for each in findings}["Most telling words"]
    by_class = {row[0]: row for row in reversed(telling.rows)}
    assert by_class["yes"][1] == "good"
    assert by_class["yes"][2] == pytest.approx(4.0, abs=0.01)
    assert by_class["no"][1:3] == ("dull", pytest.approx(2.0, abs=0.01))


def test_the_surest_mistakes_come_first():
    task, parts = parts_of()
    target = task.goal.encode(parts.test.targets)
    answer = torch.nn.functional.one_hot(target, 2).double() * 0.8 + 0.1
    answer[7] = answer[7].flip(0)
    answer[9] = 0.7 * answer[9].flip(0) + 0.3 * answer[9]
    judged = judged_by(task, parts, lambda texts: answer[[0] * len(texts)])
    judged = replace(judged, answer=answer)
    found = {each.title: each for each in task.findings(judged)[1]}["Surest mistakes"]
    assert [row[0] for row in found.rows] == [parts.test.inputs[7], parts.test.inputs[9]]
    assert found.rows[0][1:] == (*map(str, task.goal.classes[:: 1 - 2 * int(target[7])]), 0.9)


def test_numbers_have_largest_errors_and_words_that_raise_them():
    _, labels = written()
    task, parts = parts_of((labels == "yes") * 2.0 + np.linspace(0, 0.1, 120))

    def sense(texts):
        return torch.tensor([3.0 * ("good" in text) for text in texts], dtype=torch.float64)

    titles = {each.title: each for each in task.findings(judged_by(task, parts, sense))[1]}
    assert titles["Most telling words"].rows[0][:3] == ("higher", "good", 3.0)
    assert len(titles["Largest errors"].rows) == 8


# --- stories


def test_a_saved_run_answers_new_texts(tmp_path):
    frame = table(300)
    settings = {"model.width": 16, "model.channels": 8, "data.batch_size": 32}
    run = paceline.fit(
        frame, target="label", steps=60, out=tmp_path / "run", baselines=False, settings=settings
    )
    assert run.facts["task"]["name"] == "text"
    assert run.test["accuracy"] > 0.8
    again = paceline.load(tmp_path / "run")
    assert again.predict(["the plot is lovely", "the plot is dull"]).tolist() == ["yes", "no"]
    frame = pd.DataFrame({"other": [1, 2], "review": ["so good", "so bad"]})
    assert again.predict(frame).tolist() == ["yes", "no"]


def test_sst2_is_text_without_a_word_from_anybody(shared_data):
    from paceline.core.recipe import read_recipe
    from paceline.jobs.prepare import prepare

    recipe = read_recipe(overrides={"target": "last", "task.vocabulary": 300})
    found = prepare(shared_data / "sst2", recipe, Silence())
    assert found.task_name == "text"
    assert found.counts == {"train": 6920, "validation": 872, "test": 1821}
