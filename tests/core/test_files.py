"""A write happens whole or not at all, wherever it breaks off."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from paceline.core.errors import StorageError
from paceline.core.files import explained, publish, sha256, write_atomically, write_json


def _failing(number: int):
    def fail(*arguments, **named):
        raise OSError(number, os.strerror(number))

    return fail


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"one", b"", b"\0" * 5000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert _names(tmp_path) == ["a.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod", "fdopen"])
def test_a_disk_that_fills_up_at_any_call_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")
    handles: list[int] = []
    if call == "fdopen":
        monkeypatch.setattr(os, call, lambda handle, mode: handles.append(handle) or _failing(28)())
    else:
        monkeypatch.setattr(os, call, _failing(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"cannot write .*a\.bin: no space left on the disk"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    for handle in handles:
        os.close(handle)
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not allowed"),
        (errno.EPERM, "not allowed"),
        (errno.ENOTDIR, "is a file, not a folder"),
    ],
)
def test_an_unwilling_disk_is_explained_in_one_line(tmp_path, number, words):
    with pytest.raises(StorageError, match=words) as caught, explained(tmp_path):
        _failing(number)()
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_error_that_nobody_can_mend_keeps_its_kind(tmp_path):
    with pytest.raises(OSError, match="Input/output") as caught, explained(tmp_path):
        _failing(errno.EIO)()
    assert not isinstance(caught.value, StorageError)


def test_a_line_that_was_explained_is_not_explained_again(tmp_path):
    with pytest.raises(StorageError, match="as it is"), explained(tmp_path):
        raise StorageError("as it is")


def test_a_folder_that_is_a_file_is_a_mistake_of_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        write_atomically(tmp_path / "file" / "a.bin", b"new")


def test_ctrl_c_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def interrupted(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.bin"]


def test_the_file_and_its_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    calls: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), real_sync(handle)))
    monkeypatch.setattr(
        os, "replace", lambda old, new: (calls.append("rename"), real_replace(old, new))
    )
    write_atomically(tmp_path / "a.bin", b"new")
    assert calls == ["sync", "rename", "sync"]


def test_publishing_moves_a_file_into_place(tmp_path):
    (tmp_path / "ready").write_bytes(b"x")
    publish(tmp_path / "ready", tmp_path / "there")
    assert _names(tmp_path) == ["there"]


def test_json_is_sorted_readable_and_ends_with_a_line(tmp_path):
    write_json(tmp_path / "a.json", {"b": "ä", "a": [1, 2]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [1, 2], "b": "ä"}
    assert text.index('"a"') < text.index('"b"')
    assert "ä" in text and text.endswith("}\n")


def test_a_checksum_is_that_of_the_bytes(tmp_path):
    content = b"x" * 100_000
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
