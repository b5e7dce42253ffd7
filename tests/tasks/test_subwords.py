"""Each word is found again among the tokens of a backbone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import paceline
from paceline.core.errors import SettingError
from paceline.tasks.base.subwords import Subwords
from paceline.tasks.base.tokens import Tokens

tokenizers = pytest.importorskip("tokenizers")

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "love", "##lace", "##s", "met", "rome"]


def tokenizer():
    vocabulary = {piece: at for at, piece in enumerate(PIECES)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def test_the_first_token_of_each_word_is_known():
    subwords = Subwords(Tokens(text=tokenizer().to_str(), length=99))
    rows, firsts, cut = subwords.encode([["Ada", "Lovelaces", "met"], ["Rome"]], 4)
    assert rows.tolist() == [[2, 4, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0, 0]]
    assert firsts.tolist() == [[1, 2, 5, 0], [1, 0, 0, 0]] and cut == 0


def test_words_behind_the_room_there_is_have_no_token():
    subwords = Subwords(Tokens(text=tokenizer().to_str(), length=5))
    rows, firsts, cut = subwords.encode([["Ada", "Lovelaces", "met"]], 3)
    assert rows.shape == (1, 5) and rows[0, -1] == 3
    assert firsts.tolist() == [[1, 2, 0]] and cut == 1


def test_zero_is_padding_whatever_the_backbone_has_for_it():
    plain = Subwords(Tokens(text=tokenizer().to_str(), length=9)).encode([["Ada"], []], 1)[0]
    other = Subwords(Tokens(text=tokenizer().to_str(), length=9, padding=4)).encode(
        [["Rome"], []], 1
    )[0]
    assert plain.tolist() == [[2, 4, 3], [2, 3, 0]] and other.tolist() == [[2, 9, 3], [2, 3, 0]]


def test_it_comes_back_from_json():
    subwords = Subwords(Tokens(text=tokenizer().to_str(), length=9), 7)
    other = Subwords.from_json(json.loads(json.dumps(subwords.to_json())))
    pairs = zip(subwords.encode([["Ada"]], 2), other.encode([["Ada"]], 2), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_run_with_a_backbone_is_saved_and_answers_without_its_folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "tiny"
    config = transformers.BertConfig(
        vocab_size=len(PIECES),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    data = [(["Ada", "Lovelace", "met", "Rome"], ["B-PER", "I-PER", "O", "B-LOC"])] * 12
    run = paceline.fit(
        data,
        settings={"task.backbone": f"hf:{folder}", "task.tune": "last"},
        steps=4,
        out=tmp_path / "run",
        baselines=False,
    )
    sentences = [["Ada", "met", "Rome"], ["Rome"]]
    before = run.answers(sentences)
    shutil.rmtree(folder)
    assert paceline.load(tmp_path / "run").answers(sentences) == before
    assert [len(tags) for tags in before["prediction"]] == [3, 1]


def test_a_way_to_tune_without_a_backbone_is_refused():
    with pytest.raises(SettingError, match="tune goes with a backbone"):
        paceline.fit([(["a"], ["B-X"])] * 9, settings={"task.tune": "last"}, out="run")
