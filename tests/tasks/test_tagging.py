"""Sentences are encoded, varied, answered and measured as a person would expect."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import paceline
from paceline.core.errors import DataError, SettingError
from paceline.core.progress import Silence
from paceline.data.base import Corpus, Examples
from paceline.tasks.base import Judged
from paceline.tasks.base.tag_baselines import measure_tag_baselines
from paceline.tasks.base.words import UNKNOWN
from paceline.tasks.tagging import Tagging


def column(rows: list) -> np.ndarray:
    made = np.empty(len(rows), dtype=object)
    for at, row in enumerate(rows):
        made[at] = row
    return made


def examples(*pairs: tuple[str, str]) -> Examples:
    """Each a sentence and the first letters of its tags."""
    return Examples(
        inputs=column([words.split() for words, _ in pairs]),
        targets=column([["O" if t == "O" else f"{t}-PER" for t in tags] for _, tags in pairs]),
    )


TRAIN = examples(("Ada Lovelace lives", "BIO"), ("Ada lives", "BO"), ("he lives here now", "OOOO"))


def corpus(train: Examples, **facts: object) -> Corpus:
    return Corpus(name="x", kind="tagging", train=train, fingerprint="0", facts=facts)


def task_of(train: Examples, **settings: object) -> Tagging:
    goal = Tagging.find_goal(corpus(train), None, dict(settings))
    return Tagging.from_corpus(corpus(train), train, goal, **settings)


def test_inputs_are_padded_to_the_longest_training_sentence_or_longer():
    task = task_of(TRAIN)
    encoded = task.encode(TRAIN)
    assert encoded.inputs[0].shape == (3, 4) and encoded.targets.shape == (3, 4)
    assert (encoded.targets[1] == torch.tensor([4, 0, -100, -100])).all()
    longer = task.encode(Examples(inputs=column([["he"] * 9]), targets=None))
    assert longer.inputs[0].shape == (1, 9)


def test_a_text_is_cut_into_words():
    task = task_of(TRAIN)
    cut = task.encode(Examples(inputs=column(["Ada lives here!"]), targets=None))
    plain = task.encode(Examples(inputs=column([["Ada", "lives", "here", "!"]]), targets=None))
    assert all(torch.equal(a, b) for a, b in zip(cut.inputs, plain.inputs, strict=True))


def test_words_seen_once_are_sometimes_taken_for_unknown():
    task = task_of(TRAIN, rare=1.0, unknown=0.0)
    words = task.encode(TRAIN).inputs[0]
    varied = task.augment((words,), torch.Generator().manual_seed(0))[0]
    seen_once = words >= task.words.singles
    assert (varied[seen_once] == UNKNOWN).all()
    assert torch.equal(varied[~seen_once], words[~seen_once])


def test_long_training_sentences_are_cut_between_entities():
    words, tags = ["w"] * 150, ["O"] * 150
    tags[60:68] = ["B-PER", *["I-PER"] * 7]
    short = examples(*[("Ada lives", "BO")] * 300)
    train = Examples(inputs=column([*short.inputs, words]), targets=column([*short.targets, tags]))
    goal = Tagging.find_goal(corpus(train), None, {})
    parts = Tagging.divide(corpus(train), goal, seed=0, validation=0.0, test=0.0)
    pieces = [len(each) for each in parts.train.inputs if len(each) > 2]
    assert sum(pieces) == 150 and max(pieces) <= 64 and pieces[0] == 60
    assert "1 training sentences of more than 64 words" in parts.notes[0]


def test_what_is_no_sentence_is_refused():
    task = task_of(TRAIN)
    with pytest.raises(DataError, match="example 0 is a int"):
        task.encode(Examples(inputs=column([3]), targets=None))
    with pytest.raises(DataError, match="sentence 0 has 2 words but 1 tags"):
        task.encode(Examples(inputs=column([["a", "b"]]), targets=column([["O"]])))


def test_wrong_orders_are_refused_in_strict_mode():
    wrong = corpus(TRAIN, wrong=["O to I-PER in line 3 of x.txt"])
    with pytest.raises(DataError, match=r"wrong order \(the first: from O to I-PER in line 3"):
        Tagging.find_goal(wrong, None, {"strict": True})
    assert Tagging.find_goal(wrong, None, {}).types == ["PER"]


@pytest.mark.parametrize("settings", [{"rare": 2.0}, {"unknown": -0.1}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(SettingError, match="must lie between 0 and 1"):
        task_of(TRAIN, **settings)


def test_a_goal_of_another_task_is_refused():
    with pytest.raises(SettingError, match="--task regression does not fit tags"):
        Tagging.find_goal(corpus(TRAIN), "regression", {})
    with pytest.raises(DataError, match="there are no tags to learn"):
        Tagging.find_goal(corpus(Examples(inputs=TRAIN.inputs, targets=None)), None, {})


def test_the_worst_mistakes_are_shown_with_brackets():
    task = task_of(TRAIN)
    target = task.encode(TRAIN).targets
    answer = torch.cat([torch.zeros(3, 4), torch.tensor([[5.0], [2.0], [1.0]])], 1).double()
    judged = Judged(answer=answer, target=target, examples=TRAIN, train=TRAIN, ask=lambda _: answer)
    _, found = task.findings(judged)
    assert [each.title for each in found] == ["Each type", "Mistakes", "Worst mistakes"]
    assert found[-1].rows[0] == ("[Ada Lovelace]PER lives", "Ada Lovelace lives", 5.0)
    assert len(found[-1].rows) == 2


def test_plain_rivals_know_what_they_have_seen():
    goal = task_of(TRAIN).goal
    test = examples(("Ada Lovelace", "BI"), ("Ada here", "BO"), ("now Lovelace", "OO"))
    found = measure_tag_baselines(goal, TRAIN, test, seed=0, progress=Silence())
    assert found["known_names"].metrics["f1"] == 1.0
    # By itself "Lovelace" is inside, and so begins something.
    assert found["tag_of_word"].metrics["precision"] == pytest.approx(2 / 3)
    assert set(found) == {"tag_of_word", "known_names", "logistic_regression"}


def test_plain_rivals_are_cut_short_by_little_time_and_say_so():
    pytest.importorskip("sklearn")
    goal = task_of(TRAIN).goal
    found = measure_tag_baselines(goal, TRAIN, TRAIN, seed=0, progress=Silence(), effort=1e-5)
    assert found["logistic_regression"].note == "learnt from 1 of 3 sentences to keep it short"


def test_a_run_learns_saves_and_answers(tmp_path):
    random = np.random.default_rng(0)
    names, places, rest = ("Ada", "Grace", "Emmy"), ("Rome", "Goa", "Oslo"), ("met", "saw", "left")
    lines = []
    for _ in range(120):
        name, verb, place = (random.choice(each) for each in (names, rest, places))
        lines += [f"{name} B-PER", "Hopper I-PER", f"{verb} O", f"{place} B-LOC", ". O", ""]
    (tmp_path / "data.conll").write_text("\n".join(lines))
    run = paceline.fit(tmp_path / "data.conll", out=tmp_path / "run", steps=60, baselines=False)
    assert run.test["f1"] > 0.9 and set(run.test) >= {"precision", "recall", "token_accuracy"}
    again = paceline.load(tmp_path / "run")
    said = again.answers([["Grace", "Hopper", "saw", "Oslo"], ["Goa"]])
    assert said["prediction"][0] == ["B-PER", "I-PER", "O", "B-LOC"]
    assert said["entities"][1] == [{"type": "LOC", "first": 0, "end": 1, "text": "Goa"}]
    assert again.evaluate(tmp_path / "data.conll")["f1"] > 0.9
