"""A signature survives JSON whole."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paceline.core.signature import Field, Signature

_sizes = st.lists(st.integers(1, 10**6), max_size=4).map(tuple)
_numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(tuple)
_fields = st.builds(
    Field,
    name=st.text(max_size=10),
    shape=_sizes,
    dtype=st.sampled_from(["uint8", "float32", "int64"]),
    cardinalities=_sizes,
    mean=_numbers,
    scale=_numbers,
    bins=st.lists(_numbers, max_size=3).map(tuple),
)
_signatures = st.builds(
    Signature,
    kind=st.sampled_from(["image", "table", "tensors"]),
    inputs=st.lists(_fields, max_size=3).map(tuple),
    outputs=st.integers(1, 10_000),
)


@given(_signatures)
def test_a_signature_is_the_same_after_json(signature):
    text = json.dumps(signature.to_json())
    assert Signature.from_json(json.loads(text)) == signature


def test_a_signature_cannot_be_changed():
    signature = Signature(kind="image", inputs=(), outputs=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        signature.outputs = 3
