"""What a person sees in a folder, and what to call it."""

from __future__ import annotations

import re
from pathlib import Path

_UNSEEN = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_ENDINGS = re.compile(
    r"(\.(zip|tar|tgz|txz|tbz2?|gz|xz|bz2|csv|tsv|txt|data|parquet|feather|npz))+$", re.IGNORECASE
)


def visible(folder: Path) -> list[Path]:
    """Everything in a folder that is not hidden, in the order of its names."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".") and entry.name not in _UNSEEN
    )


def short_name(place: Path) -> str:
    """A place's name without endings, fit for a folder's name.

    >>> short_name(Path("big data/Photos of cats.tar.gz")), short_name(Path("adult.v2.csv"))
    ('Photos-of-cats', 'adult.v2')
    """
    stem = _ENDINGS.sub("", place.resolve().name)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "data"
