"""How much memory is left, so that nothing is read that would not fit."""

from __future__ import annotations

import os
from pathlib import Path

from paceline.core.errors import DataError

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Memory that can be had without swapping; a container's own limit counts too.

    >>> available_bytes() > 0
    True
    """
    free = _from_meminfo(meminfo)
    if free is None:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is not None and used is not None:
        free = min(free, max(limit - used, 0))
    return free


def refuse_too_large(what: str, needed_bytes: int) -> None:
    """Stops before something is read that would take more than half of the free memory.

    Raises:
        DataError: It would not fit; names ``what``, its size and what is free.
    """
    free = available_bytes()
    if needed_bytes > free / 2:
        raise DataError(
            f"{what} would take {readable(needed_bytes)} of memory, but at most half of the"
            f" {readable(free)} that are free may be used; use a smaller one"
        )


def readable(size_bytes: float) -> str:
    """A size for people.

    >>> readable(2048), readable(3.2e9)
    ('2.0 KB', '3.0 GB')
    """
    for unit in ("bytes", "KB", "MB", "GB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TB"


def _from_meminfo(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
