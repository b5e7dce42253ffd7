from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paceline.core.progress import Silence
from paceline.data.base import Corpus, Opening, open_source

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def opening(target: str | None = None, **given: Any) -> Opening:
    return Opening(target=target, **({"skip_bad": False, "progress": Silence()} | given))


@pytest.fixture
def opened():
    """Opens a place as a person would, and gives the corpus."""

    def _open(place: Any, target: str | None = None, **given: Any) -> Corpus:
        said = opening(target, **given)
        _, source, found = open_source(place, said)
        return source.read(found, said)

    return _open


@pytest.fixture
def inputs_of():
    """Opens a place to predict it, and gives the examples."""

    def _open(place: Any, target: str | None = None, **given: Any):
        said = opening(target, **given)
        _, source, found = open_source(place, said)
        return source.read_inputs(found, said)

    return _open


@pytest.fixture
def shared():
    """A data set that lies beside a checkout; not every machine has it."""

    def _find(name: str) -> Path:
        if not (SHARED / name).exists():
            pytest.skip(f"the data set {name} is not on this machine")
        return SHARED / name

    return _find


@pytest.fixture
def said() -> Any:
    return opening
