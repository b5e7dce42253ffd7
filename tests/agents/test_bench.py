"""The bench: weights side by side in shared memory, the same values, ties and order kept."""

from __future__ import annotations

import copy
import json
from itertools import pairwise

import made_team as made
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parameters_to_vector

from paceline.agents.bench import (
    Layout,
    buffers_of,
    fill,
    fill_buffers,
    hollow,
    parameters_of,
    settle,
    settle_buffers,
    trainable,
)  # fmt: skip

shapes = st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=5)


@given(shapes)
def test_a_stretch_holds_what_torch_puts_into_one_vector(sizes):
    parameters = [nn.Parameter(torch.randn(size)) for size in sizes]
    layout = Layout({str(at): each for at, each in enumerate(parameters)})
    memory = layout.memory()
    for view, parameter in zip(layout.views(memory), parameters, strict=True):
        view.copy_(parameter.detach())
    assert torch.equal(parameters_to_vector(layout.views(memory)), parameters_to_vector(parameters))
    (flat,) = layout.stretches(memory)
    assert flat.sum().item() == pytest.approx(
        parameters_to_vector(parameters).sum().item(), abs=1e-5
    )


@given(shapes)
def test_no_two_tensors_overlap_and_each_begins_on_a_cache_line(sizes):
    kinds = [torch.float32, torch.float64, torch.int64]
    tensors = {str(at): torch.zeros(s, dtype=kinds[at % 3]) for at, s in enumerate(sizes)}
    layout = Layout(tensors)
    ends = [(spot.start, spot.end) for spot in sorted(layout.spots, key=lambda spot: spot.start)]
    assert all(start % 64 == 0 for start, _ in ends)
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert layout.size >= ends[-1][1]


def test_adding_stretches_adds_every_tensor_of_every_dtype():
    tensors = {"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.float64), "c": torch.zeros(5)}
    layout = Layout(tensors)
    memories = [layout.memory() for _ in range(2)]
    for at, memory in enumerate(memories):
        for view in layout.views(memory):
            view.fill_(at + 1)
    for one, other in zip(*(layout.stretches(each) for each in memories), strict=True):
        one.add_(other)
    assert all((view == 3).all() for view in layout.views(memories[0]))


def test_strides_are_kept_where_memory_has_no_gaps():
    picture = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    gaps = torch.randn(4, 6)[:, ::2]
    layout = Layout({"picture": picture, "gaps": gaps})
    first, second = layout.views(layout.memory())
    assert first.stride() == picture.stride() and second.stride() == (3, 1)


def test_a_settled_model_computes_the_same_and_keeps_its_parameters():
    model = made.Setting(make=made.normalised).model()
    inputs = torch.randn(4, made.FEATURES, dtype=torch.float64)
    before, parameters = model.eval()(inputs), list(model.parameters())
    layout, buffers = Layout(parameters_of(model)), Layout(buffers_of(model))
    memory, other = layout.memory(), buffers.memory()
    settle(model, layout.views(memory), layout)
    settle_buffers(model, buffers.views(other), buffers)
    assert torch.equal(model(inputs), before)
    assert all(one is two for one, two in zip(parameters, model.parameters(), strict=True))
    memory.zero_()
    assert model(inputs).abs().max() == 0  # it reads what lies on the bench


def test_a_hollow_copy_holds_no_weights_and_is_filled_again_ties_kept():
    model = made.Setting(make=made.Tied).model()
    layout = Layout(parameters_of(model))
    empty = hollow(model)
    assert all(each.is_meta for each in empty.parameters())
    assert not any(each.is_meta for each in model.parameters())
    views = layout.views(layout.memory())
    settle(copy.deepcopy(model), views, layout)
    fill(empty, layout, views, trained=[True] * len(views))
    fill_buffers(empty, Layout(buffers_of(model)), [])
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(empty(tokens), model(tokens))
    assert empty.head.weight is empty.embedding.weight
    assert len(list(empty.parameters())) == len(list(model.parameters()))


def test_what_is_frozen_stays_frozen():
    model = made.Idle()
    layout = Layout(parameters_of(model))
    learning = {layout.spots[at].names[0] for at in trainable(layout, model)}
    assert "frozen" not in learning and "never" in learning


def test_the_fingerprint_tells_models_apart_by_name_shape_and_dtype():
    def of(**tensors):
        return Layout(tensors).fingerprint()

    same = of(a=torch.zeros(2, 3))
    assert same == of(a=torch.ones(2, 3)) and len(json.dumps(same)) == 18
    others = [of(b=torch.zeros(2, 3)), of(a=torch.zeros(3, 2)), of(a=torch.zeros(2, 3).double())]
    assert same not in others and len(set(others)) == 3


def test_a_model_without_buffers_has_memory_all_the_same():
    layout = Layout({})
    assert layout.size == 0 and layout.memory().shape == (1,)
    assert layout.views(layout.memory()) == []
