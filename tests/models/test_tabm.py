"""Claims of the network for tables."""

from __future__ import annotations

import builtins
import sys
import warnings

import pytest
import torch

from paceline.core.catalog import build
from paceline.core.errors import MissingExtra, SettingError
from paceline.core.signature import Field, Signature
from paceline.models.tabm import TabM

pytest.importorskip("tabm")

NUMERIC = Field(
    name="numeric",
    shape=(3,),
    dtype="float32",
    mean=(10.0, -1e6, 0.5),
    scale=(2.0, 1e5, 0.5),
    bins=((6.0, 9.0, 11.0, 14.0), (-2e6, -1e6, 0.0), (0.0, 1.0)),
)
CATEGORY = Field(name="category", shape=(2,), dtype="int64", cardinalities=(4, 300))
BOTH = (NUMERIC, CATEGORY)


def signature(*fields: Field, outputs: int = 3) -> Signature:
    return Signature(kind="table", inputs=fields, outputs=outputs)


def inputs(fields: tuple[Field, ...], count: int = 7) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    parts = []
    for field in fields:
        if field.cardinalities:
            draw = torch.rand(count, len(field.cardinalities), generator=generator)
            parts.append((draw * torch.tensor(field.cardinalities)).long())
        else:
            noise = torch.randn(count, field.shape[0], generator=generator)
            parts.append(noise * torch.tensor(field.scale) + torch.tensor(field.mean))
    return parts


def network(*fields: Field, seed: int = 0, **settings: object) -> TabM:
    torch.manual_seed(seed)
    return TabM(signature(*fields), **{"width": 16, "members": 5, **settings})


@pytest.mark.parametrize("fields", [BOTH, (NUMERIC,), (CATEGORY,)], ids=len)
@pytest.mark.parametrize("numbers", ["piecewise", "periodic"])
def test_outputs_are_one_a_member_for_any_fields(fields, numbers):
    net = network(*fields, numbers=numbers)
    assert net(*inputs(fields)).shape == (7, 5, 3)


def test_members_differ_from_the_start():
    output = network(*BOTH)(*inputs(BOTH))
    assert (output.std(1) > 1e-4).all()


def test_same_seed_gives_the_same_network():
    one, other, third = (network(*BOTH, seed=seed)(*inputs(BOTH)) for seed in (3, 3, 4))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_units_of_a_column_do_not_matter():
    def rescaled(values):
        return tuple(1000 * value - 50 for value in values)

    changed = Field(
        name="numeric",
        shape=(3,),
        dtype="float32",
        mean=rescaled(NUMERIC.mean),
        scale=tuple(1000 * value for value in NUMERIC.scale),
        bins=tuple(map(rescaled, NUMERIC.bins)),
    )
    (values,) = inputs((NUMERIC,))
    one, other = network(NUMERIC)(values), network(changed)(1000 * values - 50)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_numbers_beyond_those_seen_in_training_count_as_the_outermost():
    net = network(NUMERIC)
    low, high = (torch.tensor([[edges[at] for edges in NUMERIC.bins]]) for at in (0, -1))
    assert torch.equal(net(low - 1e9), net(low))
    assert torch.equal(net(high + 1e9), net(high))


def test_standardised_inputs_are_part_of_the_saved_state():
    net = network(*BOTH)
    assert {"embeddings.0.mean", "embeddings.0.scale"} <= set(net.state_dict())
    other = network(*BOTH, seed=5)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(*inputs(BOTH)), other(*inputs(BOTH)))


def test_few_codes_are_one_hot_and_many_are_embedded():
    assert network(CATEGORY, one_hot=64, category_embedding=6).embeddings[0].sizes == [4, 6]
    assert network(CATEGORY, one_hot=0, category_embedding=6).embeddings[0].sizes == [6, 6]
    assert network(CATEGORY, one_hot=300).embeddings[0].sizes == [4, 300]


def test_edges_that_float32_cannot_part_still_give_bins():
    field = Field(
        name="numeric",
        shape=(2,),
        dtype="float32",
        mean=(1e8, 5.0),
        scale=(1.0, 1e-3),
        bins=((1e8, 1e8 + 1), (5.0, 5.000001)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = network(field)(torch.tensor([[1e8, 5.0], [1e8, 5.1]]))
    assert output.isfinite().all()


def test_every_parameter_learns():
    net = network(*BOTH)
    for step in range(2):  # the piecewise part starts at zero
        net.zero_grad()
        net(*inputs(BOTH)).square().sum().backward()
        if not step:
            with torch.no_grad():
                for each in net.parameters():
                    each -= 1e-2 * each.grad
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in net.parameters())


def test_dropout_is_for_training_only():
    net = network(*BOTH, dropout=0.5)
    assert not torch.equal(net(*inputs(BOTH)), net(*inputs(BOTH)))
    net.eval()
    assert torch.equal(net(*inputs(BOTH)), net(*inputs(BOTH)))


def test_an_answer_does_not_depend_on_the_others_in_the_batch():
    net = network(*BOTH).eval()
    whole = net(*inputs(BOTH))
    alone = net(*[part[2:3] for part in inputs(BOTH)])
    torch.testing.assert_close(whole[2:3], alone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("depth", 0),
        ("members", 0),
        ("embedding", 0),
        ("category_embedding", 0),
        ("one_hot", -1),
        ("dropout", 1.5),
        ("dropout", -0.1),
        ("numbers", "sines"),
    ],
)
def test_setting_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(SettingError, match=f"tabm: {name} must be .*, got {value!r}"):
        TabM(signature(*BOTH), **{name: value})


def test_settings_are_typed_for_recipes():
    assert isinstance(build(TabM, {"width": 8, "members": 2}, signature(*BOTH)), TabM)
    with pytest.raises(SettingError, match="numbers must be"):
        build(TabM, {"numbers": "sines"}, signature(*BOTH))


@pytest.mark.parametrize("package", ["tabm", "rtdl_num_embeddings"])
def test_missing_package_is_named_with_its_extra(package, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r'needs the package .*pip install "paceline\[tables\]"'):
        network(NUMERIC)
