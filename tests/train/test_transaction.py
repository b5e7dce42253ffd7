"""Whatever a run is made of comes back from memory and from disk bit for bit, or not at all."""

from __future__ import annotations

import copy
import errno
import json
import os
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from paceline.core import files
from paceline.core.errors import RunError, StorageError
from paceline.train import transaction
from paceline.train.transaction import (
    POINTER,
    RandomStates,
    Snapshot,
    Transaction,
    Vault,
    need_space,
    read_snapshot,
    write_tensors,
)

_TYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.uint8,
    torch.bool,
]


class Held:
    """A member that keeps whatever it is given."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


@st.composite
def _tensors(draw) -> torch.Tensor:
    shape = draw(st.sampled_from([(), (0,), (3,), (2, 0), (2, 3), (2, 3, 4, 5), (1, 1, 2, 2)]))
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    if draw(st.booleans()) and tensor.numel() > 1:
        tensor.view(-1)[0] = draw(st.sampled_from([float("nan"), float("inf"), -0.0]))
    kind = draw(st.sampled_from(_TYPES))
    tensor = (tensor.nan_to_num(1.0) if not kind.is_floating_point else tensor).to(kind)
    if len(shape) == 4 and draw(st.booleans()):
        tensor = tensor.to(memory_format=torch.channels_last)
    return tensor


_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    _tensors(),
)
_keys = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b", "tensor", "pairs", "tuple"]))
_states = st.dictionaries(
    _keys,
    st.recursive(
        _leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(_keys, inner, max_size=3),
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def _exactly(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and one.is_contiguous() == other.is_contiguous()
            and _bytes(one) == _bytes(other)
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(_exactly(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_exactly, one, other))
    return one == other or (one != one and other != other)


def _bytes(tensor: torch.Tensor) -> bytes:
    return (
        tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(state=_states)
def test_any_state_comes_back_exactly_from_disk(state, tmp_path_factory):
    vault = Vault(tmp_path_factory.mktemp("vault"))
    expected = copy.deepcopy(state)
    vault.write(Transaction(member=Held(state)).capture(), step=1)
    snapshot, trouble = vault.read()
    assert snapshot is not None and trouble == []
    member = Held(None)
    Transaction(member=member).restore(snapshot)
    assert _exactly(expected, member.state)


def test_two_keys_that_look_alike_do_not_overwrite_one_another():
    state = {1: torch.tensor(1.0), "1": torch.tensor(2.0), "a/b": torch.tensor(3.0)}
    state["a"] = {"b": torch.tensor(4.0)}
    transaction_, member = Transaction(member=Held(state)), Held(None)
    Transaction(member=member).restore(transaction_.capture())
    assert _exactly(state, member.state)


def test_a_snapshot_shares_nothing_with_what_it_was_taken_of():
    weight = torch.zeros(3)
    held = Transaction(member=Held({"w": weight}))
    snapshot = held.capture()
    weight.fill_(1)
    member = Held(None)
    Transaction(member=member).restore(snapshot)
    member.state["w"].fill_(2)
    Transaction(member=member).restore(snapshot)
    assert member.state["w"].tolist() == [0, 0, 0]


def test_numbers_of_numpy_become_plain_ones():
    snapshot = Transaction(member=Held({"a": np.float64(0.1), "b": np.int64(3)})).capture()
    member = Held(None)
    Transaction(member=member).restore(snapshot)
    assert _exactly(member.state, {"a": 0.1, "b": 3})


def test_a_state_that_cannot_be_kept_is_a_bug_that_names_the_place():
    with pytest.raises(TypeError, match="member/a/0: a state may not hold a set"):
        Transaction(member=Held({"a": [{1}]})).capture()


def _trained(kind: str, steps: int, model: nn.Module, optimizer: Any) -> list[bytes]:
    generator = torch.Generator().manual_seed(7)
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4, generator=generator)).square().mean().backward()
        optimizer.step()
        seen.append(b"".join(_bytes(p.detach()) for p in model.parameters()))
    return seen


def _setup(kind: str, seed: int) -> tuple[nn.Module, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    arguments = {"lr": 0.05, "weight_decay": 0.01}
    if kind == "SGD":
        arguments["momentum"] = 0.9
    return model, getattr(torch.optim, kind)(model.parameters(), **arguments)


@pytest.mark.parametrize("kind", ["AdamW", "SGD", "RMSprop", "NAdam"])
def test_steps_after_a_resume_are_bit_for_bit_those_without_one(kind, tmp_path):
    model, optimizer = _setup(kind, 0)
    _trained(kind, 5, model, optimizer)
    vault = Vault(tmp_path)
    vault.write(Transaction(model=model, optimizer=optimizer).capture(), step=5)
    expected = _trained(kind, 5, model, optimizer)
    other, its_optimizer = _setup(kind, 1)
    snapshot, _ = vault.read()
    assert snapshot is not None
    Transaction(model=other, optimizer=its_optimizer).restore(snapshot)
    assert _trained(kind, 5, other, its_optimizer) == expected


def test_every_random_generator_goes_on_from_where_it_was(tmp_path):
    def drawn() -> tuple[Any, ...]:
        return random.random(), np.random.rand(), np.random.randn(), torch.rand(2).tolist()

    vault = Vault(tmp_path)
    np.random.randn()
    vault.write(Transaction(random=RandomStates()).capture(), step=0)
    expected = drawn()
    drawn()
    snapshot, _ = vault.read()
    assert snapshot is not None
    Transaction(random=RandomStates()).restore(snapshot)
    assert drawn() == expected


def _snapshot(number: float) -> Snapshot:
    state = {"w": torch.full((50,), number), "step": number}
    return Transaction(member=Held(state)).capture()


def _read(vault: Vault) -> tuple[float, list[str]]:
    snapshot, trouble = vault.read()
    assert snapshot is not None
    member = Held(None)
    Transaction(member=member).restore(snapshot)
    assert member.state["w"].eq(member.state["step"]).all()
    return member.state["step"], trouble


def _vault(folder: Any) -> tuple[Vault, list[Any]]:
    vault = Vault(folder)
    for number in (1.0, 2.0, 3.0):
        vault.write(_snapshot(number), step=int(number))
    return vault, sorted(folder.glob("*.safetensors"), reverse=True)


def test_the_newest_and_the_one_before_are_kept(tmp_path):
    vault, kept = _vault(tmp_path)
    assert [path.name for path in kept] == [
        "000003-step-3.safetensors",
        "000002-step-2.safetensors",
    ]
    assert _read(vault) == (3.0, [])


def _truncated(content: bytes) -> bytes:
    return content[:-7]


def _flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 4]) + content[-19:]


def _emptied(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [_truncated, _flipped, _emptied])
def test_a_damaged_newest_falls_back_to_the_one_before_with_a_line(tmp_path, damage):
    vault, kept = _vault(tmp_path)
    kept[0].write_bytes(damage(kept[0].read_bytes()))
    number, trouble = _read(vault)
    assert number == 2.0
    assert len(trouble) == 1 and "000003-step-3" in trouble[0] and "checksum" in trouble[0]


def test_a_missing_newest_falls_back_to_the_one_before_with_a_line(tmp_path):
    vault, kept = _vault(tmp_path)
    kept[0].unlink()
    number, trouble = _read(vault)
    assert (number, len(trouble)) == (2.0, 1)
    assert "is missing" in trouble[0]


def test_after_a_fall_back_saving_goes_on(tmp_path):
    vault, kept = _vault(tmp_path)
    kept[0].write_bytes(b"")
    vault.write(_snapshot(4.0), step=4)
    assert _read(vault) == (4.0, [])


def test_two_damaged_ones_are_an_error_that_names_the_folder(tmp_path):
    vault, kept = _vault(tmp_path)
    for path in kept:
        path.write_bytes(_flipped(path.read_bytes()))
    with pytest.raises(RunError, match=r"no checkpoint in .* is whole: .*another --out"):
        vault.read()


def test_an_empty_vault_has_nothing_and_no_trouble(tmp_path):
    assert Vault(tmp_path / "never").read() == (None, [])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        "{}",
        '{"newest_first": 3}',
        '{"newest_first": [3]}',
        '{"newest_first": [{}]}',
    ],
)
def test_a_damaged_pointer_is_an_error_that_names_it(tmp_path, text):
    (tmp_path / POINTER).write_text(text)
    with pytest.raises(RunError, match=r"last\.json is damaged"):
        Vault(tmp_path).read()


def test_a_pointer_may_not_lead_out_of_its_folder(tmp_path):
    vault, kept = _vault(tmp_path / "vault")
    outside = tmp_path / "other.safetensors"
    outside.write_bytes(kept[0].read_bytes())
    pointer = tmp_path / "vault" / POINTER
    value = json.loads(pointer.read_text())
    value["newest_first"][0]["file"] = "../other.safetensors"
    pointer.write_text(json.dumps(value))
    with pytest.raises(RunError, match=r"last\.json is damaged"):
        vault.read()


def _failing_at(real: Any, fatal: int, calls: list[int]):
    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == fatal:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("fatal", range(1, 13))
def test_a_disk_that_fills_up_at_any_call_leaves_an_older_one_readable(
    tmp_path, monkeypatch, fatal
):
    vault, _ = _vault(tmp_path)
    calls: list[int] = []
    for home, name in (
        (os, "fsync"),
        (os, "replace"),
        (os, "chmod"),
        (transaction, "save_file"),
        (transaction, "sha256"),
        (files.tempfile, "mkstemp"),
    ):
        monkeypatch.setattr(home, name, _failing_at(getattr(home, name), fatal, calls))
    try:
        vault.write(_snapshot(4.0), step=4)
    except StorageError as error:
        assert "no space left" in str(error)
        assert len(calls) == fatal
    else:
        assert len(calls) < fatal
    monkeypatch.undo()
    number, trouble = _read(vault)
    assert trouble == []
    assert number in ((3.0, 4.0) if len(calls) >= fatal else (4.0,))
    vault.write(_snapshot(5.0), step=5)
    assert _read(vault) == (5.0, [])
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I/O error: No space left on device (os error 28)", "no space left on the disk"),
        ("I/O error: Read-only file system (os error 30)", "read-only disk"),
        ("something else", "something else"),
    ],
)
def test_what_safetensors_says_of_a_disk_is_explained(tmp_path, monkeypatch, text, words):
    def refuse(*arguments: Any, **named: Any) -> None:
        raise transaction.SafetensorError(text)

    monkeypatch.setattr(transaction, "save_file", refuse)
    with pytest.raises(StorageError, match=words):
        Vault(tmp_path).write(_snapshot(1.0), step=1)


def test_a_file_that_is_no_safetensors_is_damaged_even_without_a_checksum(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(RunError, match=r"a\.safetensors is damaged"):
        read_snapshot(path, None)


def test_tensors_are_written_with_the_checksum_of_their_file(tmp_path):
    path = tmp_path / "a.safetensors"
    digest = write_tensors(path, {"w": torch.arange(3.0)}, {"a": 1})
    assert digest == files.sha256(path)
    snapshot = read_snapshot(path, digest)
    assert (snapshot.tensors["w"].tolist(), snapshot.values) == ([0.0, 1.0, 2.0], {"a": 1})


def test_what_cannot_be_saved_is_not_begun(tmp_path):
    need_space(tmp_path, 1)
    with pytest.raises(StorageError, match=r"no space for checkpoints in .* MB are needed"):
        need_space(tmp_path, 10**18)
