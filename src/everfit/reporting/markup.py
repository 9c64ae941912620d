"""The few forms that the parts of a page share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def figure(drawn: str, caption: str) -> str:
    """A picture over its caption, both HTML."""
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def section(title: str, body: str) -> str:
    """A part of the page under its title."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of text below their headers."""
    head = "".join(f"<th>{escape(name)}</th>" for name in headers)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    kind = ' class="short"' if len(text) < 24 else ""
    return f"<td{kind}>{escape(text)}</td>"


def quiet(text: str) -> str:
    """What stands where there is nothing to be shown."""
    return f'<p class="quiet">{escape(text)}</p>'
