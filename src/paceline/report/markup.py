"""HTML and SVG that cannot be written unescaped: text is text unless it is ``Html``."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"meta", "img", "rect", "line", "path", "circle"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element; children and attribute values are escaped, None and False left out.

    A trailing underscore goes (``class_``), the others become hyphens (``stroke_width``).

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    inside = join(children)
    if name in _VOID and not inside:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{inside}</{name}>")


def join(children: Iterable[Any]) -> Html:
    """Pieces one after another; what is not ``Html`` is escaped, None left out."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(str(child))
            for child in children
            if child is not None
        )
    )


def table(
    head: Iterable[Any], rows: Iterable[Iterable[Any]], *, caption: str, numeric: Iterable[int] = ()
) -> Html:
    """A table with a caption for screen readers; ``numeric`` columns stand to the right."""
    right = frozenset(numeric)

    def cells(kind: str, row: Iterable[Any]) -> Html:
        return join(
            tag(
                "th" if kind == "th" or at == 0 else "td",
                cell,
                class_="number" if at in right else None,
                scope="col" if kind == "th" else "row" if at == 0 else None,
            )
            for at, cell in enumerate(row)
        )

    body = [tag("tr", cells("td", row)) for row in rows]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", cells("th", head))),
            tag("tbody", *body),
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )
