"""An HTML page that needs nothing else: its style and script within, and no other allowed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from paceline.report.markup import Html, tag

_HERE = Path(__file__).parent


def document(title: str, *content: Any, styles: tuple[str, ...]) -> str:
    """The page as text.

    Args:
        title: For the window.
        content: What stands in the body.
        styles: Files beside this one, one after the other.
    """
    style, code = Html("".join(map(_asset, styles))), Html(_asset("chart.js"))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, code)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", style),
    )
    body = tag("body", *content, tag("script", code))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
