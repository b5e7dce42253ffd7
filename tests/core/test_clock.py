"""Clocks never go back."""

from __future__ import annotations

from paceline.core.clock import ManualClock, WallClock


def test_the_wall_clock_never_goes_back():
    clock = WallClock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(5.0)
    assert clock.now() == clock.now() == 5.0
    clock.advance(0.5)
    clock.advance(2)
    assert clock.now() == 7.5
