"""Batches come in order, come again when asked for, and go on after a save as they would have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from paceline.train.loader import LoaderStream
from paceline.train.replay import Replay


class Count:
    def __init__(self) -> None:
        self.at = 0

    def next(self) -> int:
        self.at += 1
        return self.at

    def state_dict(self) -> dict[str, Any]:
        return {"at": self.at}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.at = state["at"]


@st.composite
def scripts(draw) -> list[tuple[int | None, bool, int]]:
    """Updates as a run has them: trials go back to numbers that are held."""
    fresh, first, steps = 0, None, []
    for _ in range(draw(st.integers(1, 30))):
        hold, draws = draw(st.booleans()), draw(st.integers(1, 3))
        first = (fresh if first is None else first) if hold else None
        number = None
        if hold and first is not None and fresh > first and draw(st.booleans()):
            number = draw(st.integers(first, fresh - 1))
        else:
            fresh += 1
        steps.append((number, hold, draws))
    return steps


def play(replay: Replay[int], steps: list[tuple[int | None, bool, int]]) -> list[list[int]]:
    given_out = []
    for number, hold, draws in steps:
        replay.begin(number, hold=hold)
        given_out.append([replay.next()[1] for _ in range(draws)])
    return given_out


@given(scripts(), st.integers(0, 30))
def test_a_saved_replay_goes_on_as_it_would_have(steps, at) -> None:
    whole = play(Replay(Count()), steps)
    first, other = Replay(Count()), Replay(Count())
    before = play(first, steps[:at])
    other.load_state_dict(first.state_dict())
    assert before + play(other, steps[at:]) == whole


@given(scripts())
def test_a_number_asked_for_again_begins_with_the_same_batches(steps) -> None:
    seen: dict[int, list[int]] = {}
    replay = Replay(Count())
    for number, hold, draws in steps:
        own = replay.fresh if number is None else number
        got = play(replay, [(number, hold, draws)])[0]
        known = seen.get(own, [])
        shared = min(len(known), len(got))
        assert got[:shared] == known[:shared]
        seen[own] = got if len(got) > len(known) else known


def test_without_trials_every_batch_comes_once() -> None:
    assert play(Replay(Count()), [(None, False, 2)] * 3) == [[1, 2], [3, 4], [5, 6]]


def loader() -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(10)), batch_size=3, shuffle=True)


def test_a_loader_that_is_loaded_stands_at_the_same_batch_of_the_same_pass() -> None:
    torch.manual_seed(3)
    stream = LoaderStream(loader())
    for _ in range(6):
        stream.next()
    state, chance = stream.state_dict(), torch.get_rng_state()
    expected = [stream.next()[0].tolist() for _ in range(7)]
    torch.manual_seed(99)
    other = LoaderStream(loader())
    torch.set_rng_state(chance)
    other.load_state_dict(state)
    assert [other.next()[0].tolist() for _ in range(7)] == expected


def test_a_pass_ends_and_the_next_begins() -> None:
    stream = LoaderStream([1, 2])
    assert [stream.next() for _ in range(5)] == [1, 2, 1, 2, 1]


def test_an_empty_loader_is_refused() -> None:
    import pytest

    from paceline.core.errors import DataError

    with pytest.raises(DataError, match="no batches"):
        LoaderStream([]).next()
