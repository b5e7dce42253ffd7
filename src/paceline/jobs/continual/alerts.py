"""What a person wants to be told of in a stream, and how it is told."""

from __future__ import annotations

import ipaddress
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

from paceline.core.errors import SettingError

FIRED = 3
_FORM = re.compile(r"(error|loss|share:(?P<label>.+?))\s*(?P<sign>[<>])\s*(?P<bound>[\d.eE+-]+)")
_HOW = 'write "drift", "error>0.2", "loss>1.5" or "share:LABEL>0.3"'
_SECONDS = 5.0


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One thing to be told of.

    Attributes:
        name: ``drift``, ``error``, ``loss``, ``share:LABEL``.
        above: Whether over the bound is what matters; else under it.
        bound: The threshold.
    """

    name: str
    above: bool = True
    bound: float = 0.0

    @classmethod
    def read(cls, text: str) -> Self:
        """From how a person writes it.

        Raises:
            SettingError: It is none of the forms.

        >>> Alert.read("share:negative>0.3").fires({"share:negative": 0.5})
        True
        """
        if text.strip() == "drift":
            return cls(name="drift")
        found = _FORM.fullmatch(text.strip())
        try:
            assert found is not None
            return cls(name=found[1], above=found["sign"] == ">", bound=float(found["bound"]))
        except (AssertionError, ValueError):
            raise SettingError(f"--alert {text!r}: {_HOW}") from None

    def fires(self, numbers: Mapping[str, float]) -> bool:
        """Whether numbers of the newest stretch are what it waits for."""
        value = numbers.get(self.name, 0.0 if self.name.startswith("share:") else None)
        if value is None:
            return False
        return value > self.bound if self.above else value < self.bound

    def line(self, numbers: Mapping[str, float]) -> str:
        """What is told."""
        if self.name == "drift":
            return "alert: the stream has moved"
        sign = ">" if self.above else "<"
        return f"alert: {self.name} is {numbers.get(self.name, 0.0):.4g}, {sign} {self.bound:g}"


def checked_address(address: str) -> str:
    """An address to post to: https, or this machine alone.

    Raises:
        SettingError: It is neither.

    >>> checked_address("http://127.0.0.1:8000/x")
    'http://127.0.0.1:8000/x'
    """
    parts = urllib.parse.urlsplit(address)
    host = parts.hostname or ""
    if (host and parts.scheme == "https") or (parts.scheme == "http" and _is_loopback(host)):
        return address
    raise SettingError(f"--webhook {address!r}: it must begin with https://, or be of this machine")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def post(address: str, fact: Mapping[str, Any]) -> str:
    """Posts JSON; gives what went wrong, or nothing. Redirects are not followed."""
    request = urllib.request.Request(
        address,
        data=json.dumps(dict(fact)).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        opener = urllib.request.build_opener(_NoWayOn, urllib.request.ProxyHandler({}))
        opener.open(request, timeout=_SECONDS).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"the webhook could not be told: {' '.join(str(reason).split())}"
    return ""


class _NoWayOn(urllib.request.HTTPRedirectHandler):
    """An address that was checked does not lead to one that was not."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        return None
