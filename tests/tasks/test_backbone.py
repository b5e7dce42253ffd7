"""Backbones are found on this machine only, and what cannot be used is refused in a line."""

from __future__ import annotations

import json
import sys

import pytest

from paceline.core.errors import DataError, SettingError
from paceline.tasks.base.backbone import find_backbone, refuse_tune

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

CONFIG = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 8,
    "vocab_size": 5,
    "max_position_embeddings": 20,
    "architectures": ["BertModel"],
}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "small bert"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(CONFIG))
    (place / "model.safetensors").touch()
    model = tokenizers.models.WordLevel({"[PAD]": 0, "good": 1}, unk_token="[PAD]")
    tokenizers.Tokenizer(model).save(str(place / "tokenizer.json"))
    return place


def test_a_folder_gives_architecture_and_tokens(folder):
    found = find_backbone(f"hf:{folder}", length=99)
    assert found.tokens.length == 19
    assert found.config["hidden_size"] == 8
    assert "architectures" not in found.config
    assert json.loads(found.signed("all").removeprefix("hf:"))["place"] == str(folder)


def test_a_package_that_carries_one_is_found_by_its_name(folder, tmp_path, monkeypatch):
    home = tmp_path / "site" / "a_small_bert"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text("raise ImportError('never imported')")
    folder.rename(home / "model")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find_backbone("hf:a-small-bert", length=9).place == str(home / "model")
    assert "a_small_bert" not in sys.modules


def test_positions_count_from_behind_the_padding(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"pad_token_id": 1}))
    assert find_backbone(f"hf:{folder}", length=99).tokens.length == 18


@pytest.mark.parametrize("name", ["minilm", "hf:", "timm:resnet", "HF:x"])
def test_another_kind_of_name_is_refused(name):
    with pytest.raises(SettingError, match="must be hf:FOLDER or hf:NAME"):
        find_backbone(name, length=9)


@pytest.mark.parametrize("name", ["hf:nobody/nothing", "hf:no such thing", "hf:json"])
def test_what_is_not_here_is_not_fetched(name):
    with pytest.raises(SettingError, match="nothing is downloaded"):
        find_backbone(name, length=9)


def _remove(folder):
    (folder / "config.json").unlink()


def _pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _typeless(folder):
    (folder / "config.json").write_text("{}")


def _cut(folder):
    (folder / "config.json").write_text('{"a')


def _with_code(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"auto_map": {"AutoModel": "x.Y"}}))


def _broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"version"')


def _no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_remove, "has no config.json"),
        (_pickled, "safetensors only"),
        (_typeless, "names no model_type"),
        (_cut, "is damaged"),
        (_with_code, "code of its own, which is never run"),
        (_broken_tokenizer, "tokenizer.json is damaged"),
        (_no_tokenizer, "has no tokenizer that can be read"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, spoil, words):
    spoil(folder)
    with pytest.raises(DataError, match=words) as refusal:
        find_backbone(f"hf:{folder}", length=9)
    assert "\n" not in str(refusal.value)


def test_an_older_folder_with_a_vocabulary_alone_is_read(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\n")
    tokens = find_backbone(f"hf:{folder}", length=9).tokens
    assert tokens.encode(["good"])[0].tolist()[:4] == [2, 5, 3, 0]


def test_an_unknown_way_to_tune_names_the_nearest():
    with pytest.raises(SettingError, match=r"'frozn'.*frozen"):
        refuse_tune("frozn")
