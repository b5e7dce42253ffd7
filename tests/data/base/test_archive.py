import io
import os
import shutil
import stat
import tarfile
import zipfile

import pytest

from paceline.core.errors import DataError, StorageError
from paceline.core.progress import Silence
from paceline.data.base import archive as room
from paceline.data.base.archive import Limits, is_archive, unpacked

FILES = {"a/1.txt": b"one", "b/2.txt": b"two" * 1000}


def as_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_tar(path, files=FILES, mode="w:gz", links=()):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return path


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("x.zip", ""),
        ("x.tar", "w"),
        ("x.tgz", "w:gz"),
        ("x.tar.xz", "w:xz"),
        ("x.tar.bz2", "w:bz2"),
    ],
)
def test_every_kind_of_archive_is_unpacked_and_kept(tmp_path, name, mode):
    path = as_tar(tmp_path / name, mode=mode) if mode else as_zip(tmp_path / name)
    assert is_archive(path)
    folder = unpacked(path, Silence())
    assert content_of(folder) == FILES and folder.name == "x"
    assert unpacked(path, Silence()) == folder


def test_a_lone_folder_or_file_is_entered_but_not_a_part(tmp_path):
    wrapped = as_zip(
        tmp_path / "a.zip", {"top/x/1.txt": b"1", "top/y/1.txt": b"1", "__MACOSX/z": b""}
    )
    assert unpacked(wrapped, Silence()).name == "top"
    assert unpacked(as_zip(tmp_path / "b.zip", {"d/t.csv": b"1"}), Silence()).name == "t.csv"
    assert unpacked(as_zip(tmp_path / "c.zip", {"train/x/1": b"1"}), Silence()).name == "c"


def test_folders_are_members_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.mkdir("a")
        archive.writestr("b.txt", b"")
    assert (unpacked(tmp_path / "x.zip", Silence()) / "a").is_dir()
    links = [("a", tarfile.DIRTYPE, ""), ("b", tarfile.DIRTYPE, "")]
    assert (unpacked(as_tar(tmp_path / "x.tar.gz", {}, links=links), Silence()) / "b").is_dir()


def test_a_link_within_the_archive_becomes_a_copy(tmp_path):
    links = [("b/3.txt", tarfile.SYMTYPE, "../a/1.txt"), ("4.txt", tarfile.LNKTYPE, "a/1.txt")]
    found = content_of(unpacked(as_tar(tmp_path / "x.tar", mode="w", links=links), Silence()))
    assert found["b/3.txt"] == found["4.txt"] == b"one"


@pytest.mark.parametrize("name", ["../out", "/abs", "a/../../out", "..\\out", "C:\\out"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    for path in (
        as_zip(tmp_path / "x.zip", {name: b"1"}),
        as_tar(tmp_path / "x.tgz", {name: b"1"}),
    ):
        with pytest.raises(DataError, match="out of its folder"):
            unpacked(path, Silence())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        (tarfile.SYMTYPE, "../../etc/passwd", "out of its folder"),
        (tarfile.SYMTYPE, "/etc/passwd", "out of its folder"),
        (tarfile.LNKTYPE, "../x", "out of its folder"),
        (tarfile.SYMTYPE, "nowhere", "points at nothing"),
        (tarfile.FIFOTYPE, "", "a device"),
        (tarfile.CHRTYPE, "", "a device"),
    ],
)
def test_links_out_and_devices_are_refused(tmp_path, kind, target, said):
    path = as_tar(tmp_path / "x.tar", mode="w", links=[("a/link", kind, target)])
    with pytest.raises(DataError, match=said):
        unpacked(path, Silence())


def test_a_link_in_a_zip_is_refused(tmp_path):
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(DataError, match="a link or a device"):
        unpacked(tmp_path / "x.zip", Silence())


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(total_bytes=100), "looks like a bomb"),
        (Limits(ratio=2, ratio_from_bytes=1000), "looks like a bomb"),
        (Limits(members=1), "more than 1 members"),
    ],
)
def test_bombs_are_refused_and_leave_nothing_behind(tmp_path, monkeypatch, limits, said):
    monkeypatch.setattr(room.tempfile, "tempdir", str(tmp_path))
    for path in (as_zip(tmp_path / "x.zip"), as_tar(tmp_path / "x.tgz")):
        with pytest.raises(DataError, match=said):
            unpacked(path, Silence(), limits=limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tgz", "x.zip"]


def test_an_encrypted_zip_is_refused(tmp_path):
    path = as_zip(tmp_path / "x.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        unpacked(path, Silence())


def test_damaged_and_empty_archives_are_refused(tmp_path):
    for name in ("x.zip", "x.tar", "x.tar.xz"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(DataError, match="damaged or no archive"):
            unpacked(tmp_path / name, Silence())
    whole = as_tar(tmp_path / "y.tgz", {"a": os.urandom(50_000)})
    whole.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(DataError, match="damaged"):
        unpacked(whole, Silence())
    with pytest.raises(DataError, match="is empty"):
        unpacked(as_zip(tmp_path / "z.zip", {}), Silence())


def test_a_full_or_unwilling_disk_is_named(tmp_path, monkeypatch):
    path = as_zip(tmp_path / "x.zip")
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    with monkeypatch.context() as patched:
        patched.setattr(room.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(StorageError, match="10 bytes free; free some, or set TMPDIR"):
            unpacked(path, Silence())
    with pytest.raises(StorageError, match="File name too long"):
        unpacked(as_zip(tmp_path / "y.zip", {"n" * 300: b""}), Silence())


def test_only_the_process_that_unpacked_removes(tmp_path):
    room._remove(tmp_path, os.getpid() + 1)
    assert tmp_path.exists()
    room._remove(tmp_path, os.getpid())
    assert not tmp_path.exists()
