"""Lanes are means over stretches of a run that get longer as it does."""

from __future__ import annotations

import pytest

from paceline.agents.lanes import NUMBERS, Lane, Lanes, in_words, summary


def lane(number, samples, compute=1.0, wait=0.0, communicate=0.0):
    return Lane(
        number=number,
        samples=samples,
        compute_seconds=compute,
        wait_seconds=wait,
        communicate_seconds=communicate,
    )


def lanes_at(times):
    rows, now = [], iter(times)
    return Lanes(lambda *row: rows.append(row), lambda: next(now)), rows


def test_each_agent_is_a_source_with_four_numbers():
    lanes, rows = lanes_at([0.0, 9.0])
    lanes.take(1, [lane(1, 4), lane(3, 8, 2.0, 0.5, 0.25)])
    assert rows == [
        *(("agent 1", name, value, 1) for name, value in zip(NUMBERS, (4, 1, 0, 0), strict=True)),
        *(("agent 3", n, v, 1) for n, v in zip(NUMBERS, (8, 2, 0.5, 0.25), strict=True)),
    ]


def test_an_agent_that_was_away_is_averaged_over_the_steps_it_was_there():
    lanes, rows = lanes_at([0.0, 0.1, 0.2, 9.0])
    lanes.take(1, [lane(1, 4), lane(2, 10)])
    lanes.take(2, [lane(1, 8)])
    lanes.take(3, [lane(1, 9), lane(2, 20)])
    assert [row[2] for row in rows if row[1] == "samples"] == [7.0, 15.0]


def test_a_stretch_begins_anew_after_it_was_written():
    lanes, rows = lanes_at([0.0, 1.0, 2.0])
    lanes.take(1, [lane(1, 4)])
    lanes.take(2, [lane(1, 8)])
    assert [row[2:] for row in rows if row[1] == "samples"] == [(4.0, 1), (8.0, 2)]
    lanes.flush(3)
    assert len(rows) == 8


def test_a_long_run_has_few_rows():
    seconds, steps = 36_000.0, 20_000
    lanes, rows = lanes_at(seconds * at / steps for at in range(steps + 2))
    for step in range(steps):
        lanes.take(step, [lane(1, 4)])
    few = len(rows) / len(NUMBERS)
    # n rows at a share of 1/300 of the time so far each: n grows with its logarithm
    assert 300 < few < 3000
    lanes.flush(steps)


def test_words_tell_a_person_what_an_agent_does():
    found = in_words([lane(1, 0, 0.0), lane(2, 48, 3.0, 0.5, 0.5)])
    assert found[1] == (0.0, "0 samples · waits 0 % · communicates 0 %")
    assert found[2][0] == pytest.approx(0.75)


def test_the_summary_is_in_shares_of_the_time():
    assert summary({2: [3.0, 1.0, 0.0], 1: [0.0, 0.0, 0.0]}) == {
        "2": {"compute": 0.75, "wait": 0.25, "communicate": 0.0},
        "1": {"compute": 0.0, "wait": 0.0, "communicate": 0.0},
    }
