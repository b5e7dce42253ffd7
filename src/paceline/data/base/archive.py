"""Archives, unpacked without trusting them."""

from __future__ import annotations

import atexit
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from paceline.core.errors import DataError, PacelineError, StorageError
from paceline.core.progress import Progress
from paceline.data.base.folders import short_name, visible
from paceline.data.base.memory import readable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz")
_SPLITS = {"train", "training", "test", "val", "valid", "validation"}
_CHUNK_BYTES = 1 << 20
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    UnicodeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an archive may hold at most.

    Attributes:
        total_bytes: Unpacked.
        ratio: Unpacked over packed bytes, counted from ``ratio_from_bytes`` on.
        members: Files and folders.
    """

    total_bytes: int = 20_000_000_000
    ratio: float = 100.0
    ratio_from_bytes: int = 1_000_000_000
    members: int = 2_000_000


_DEFAULTS = Limits()
_kept: dict[tuple[str, int, int], Path] = {}


def is_archive(path: Path) -> bool:
    """Whether a name ends like an archive's.

    >>> is_archive(Path("photos.tar.xz")), is_archive(Path("photos.npz"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES)


def unpacked(path: Path, progress: Progress, *, limits: Limits = _DEFAULTS) -> Path:
    """Where an archive's content lies, for as long as this process lives.

    A folder or file that everything else lies in is entered, so that ``photos.zip`` with
    ``photos/cat/1.jpg`` gives ``…/photos``. Asked again, the same folder is given.

    Raises:
        DataError: The archive is damaged, encrypted, empty, a bomb, or reaches out of its
            folder.
        StorageError: It does not fit on the disk.
    """
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size)
    if key not in _kept or not _kept[key].exists():
        room = Path(tempfile.mkdtemp(prefix="paceline-"))
        atexit.register(_remove, room, os.getpid())
        folder = room / short_name(path)
        try:
            _unpack(path, folder, progress, limits)
            _kept[key] = _entered(folder, path)
        except BaseException:
            shutil.rmtree(room, ignore_errors=True)
            raise
    return _kept[key]


def _remove(room: Path, owner: int) -> None:
    # A worker that was forked off must not take the folder away from the others.
    if os.getpid() == owner:
        shutil.rmtree(room, ignore_errors=True)


def _entered(folder: Path, archive: Path) -> Path:
    while True:
        entries = visible(folder)
        if not entries:
            raise DataError(f"{archive} is empty")
        if len(entries) > 1 or entries[0].name.lower() in _SPLITS:
            return folder
        if entries[0].is_file():
            return entries[0]
        folder = entries[0]


def _unpack(path: Path, folder: Path, progress: Progress, limits: Limits) -> None:
    folder.mkdir()
    meter = _Meter(path, folder, limits)
    with _explained(path):
        if path.name.lower().endswith(".zip"):
            _unpack_zip(path, meter, progress)
        else:
            _unpack_tar(path, meter, progress)
    progress.advance(f"unpacking {path.name}", 1.0)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except PacelineError:
        raise
    except _BROKEN as error:
        raise DataError(f"{path} is damaged or no archive of its kind: {error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"cannot unpack {path} to {tempfile.gettempdir()}: {reason}") from error


@dataclass(slots=True)
class _Meter:
    """Counts what has been unpacked, and writes it only where it may lie."""

    archive: Path
    folder: Path
    limits: Limits
    total_bytes: int = 0
    members: int = 0
    free_bytes: int = field(init=False)
    packed_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.free_bytes = shutil.disk_usage(self.folder).free
        self.packed_bytes = self.archive.stat().st_size

    def place(self, name: str) -> Path:
        """Where a member goes."""
        self.members += 1
        if self.members > self.limits.members:
            raise DataError(f"{self.archive} holds more than {self.limits.members} members")
        return self.folder / self.inside(name)

    def inside(self, name: str) -> PurePosixPath:
        """A member's name, once it is sure that it stays in the folder."""
        inner = PurePosixPath(name.replace("\\", "/"))
        drive = bool(inner.parts) and inner.parts[0].endswith(":")
        if inner.is_absolute() or drive or ".." in inner.parts:
            raise DataError(
                f"{self.archive} would write out of its folder: {name!r}; nothing was read"
            )
        return inner

    def charge(self, size_bytes: int) -> None:
        """Takes bytes into account before they are written."""
        self.total_bytes += size_bytes
        limits, total = self.limits, self.total_bytes
        bomb = total > limits.ratio_from_bytes and total > limits.ratio * self.packed_bytes
        if bomb or total > limits.total_bytes:
            raise DataError(
                f"{self.archive} ({readable(self.packed_bytes)}) unpacks to more than"
                f" {readable(total)} and looks like a bomb; unpack it yourself if you trust it"
            )
        if total > self.free_bytes:
            raise StorageError(
                f"{self.archive} does not fit in {tempfile.gettempdir()}, which has"
                f" {readable(self.free_bytes)} free; free some, or set TMPDIR"
            )

    def write(self, target: Path, source: IO[bytes]) -> None:
        """Copies one member."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                self.charge(len(chunk))
                file.write(chunk)


def _unpack_zip(path: Path, meter: _Meter, progress: Progress) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        declared = _Meter(path, meter.folder, meter.limits)
        for member in members:
            _check_zip_member(member, declared)
        for done, member in enumerate(members):
            target = meter.place(member.filename)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with archive.open(member) as source:
                    meter.write(target, source)
            progress.advance(f"unpacking {path.name}", done / len(members))


def _check_zip_member(member: zipfile.ZipInfo, declared: _Meter) -> None:
    if member.flag_bits & 1:
        raise DataError(f"{declared.archive} is encrypted; unpack it yourself first")
    declared.place(member.filename)
    declared.charge(member.file_size)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(
            f"{declared.archive} holds a link or a device, {member.filename!r}; nothing was read"
        )


def _unpack_tar(path: Path, meter: _Meter, progress: Progress) -> None:
    with path.open("rb") as raw, tarfile.open(fileobj=raw) as archive:
        for member in archive:
            target = meter.place(member.name)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                with _content(archive, member, meter) as source:
                    meter.write(target, source)
            share = min(raw.tell() / max(meter.packed_bytes, 1), 1.0)
            progress.advance(f"unpacking {path.name}", share)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, meter: _Meter) -> IO[bytes]:
    """A member's bytes; those of what it points at where it is a link within the archive."""
    if member.issym() or member.islnk():
        base = PurePosixPath(member.name).parent if member.issym() else PurePosixPath()
        meter.inside(os.path.normpath(str(base / member.linkname)))
    elif not member.isfile():
        raise DataError(f"{meter.archive} holds a device, {member.name!r}; nothing was read")
    try:
        source = archive.extractfile(member)
    except KeyError:
        source = None
    if source is None:
        raise DataError(f"{meter.archive}: the link {member.name!r} points at nothing in it")
    return source
