"""Time as people write it."""

from __future__ import annotations

import re

from paceline.core.errors import SettingError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s|)")


def to_seconds(text: str | float) -> float:
    """Seconds of ``90``, ``"90s"``, ``"10m"``, ``"1h30m"`` or ``"0.5h"``.

    Raises:
        SettingError: It is none of these, or not positive.

    >>> to_seconds("1h30m"), to_seconds("10m"), to_seconds(2.5)
    (5400.0, 600.0, 2.5)
    """
    if isinstance(text, (int, float)) and 0 < text < float("inf"):
        return float(text)
    compact = str(text).strip().lower().replace(" ", "")
    found = _PART.findall(compact)
    if not found or "".join(number + unit for number, unit in found) != compact:
        raise SettingError(f"{text!r} is no length of time; write 90s, 10m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in found)
    if seconds <= 0:
        raise SettingError(f"the time must be more than nothing, got {text!r}")
    return seconds


def in_words(seconds: float) -> str:
    """A length of time for people.

    >>> in_words(0.2), in_words(75), in_words(5400)
    ('0.2 s', '1 min 15 s', '1 h 30 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
