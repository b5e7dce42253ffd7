"""Ctrl-C as a wish: work ends where it can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interruptible() -> Iterator[list[int]]:
    """Turns the first Ctrl-C or SIGTERM into a wish; the second one is obeyed at once."""
    wishes: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield wishes
        return

    def wish(number: int, frame: Any) -> None:
        if wishes:
            raise KeyboardInterrupt
        wishes.append(number)

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
