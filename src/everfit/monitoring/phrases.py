"""Figures and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMED = 3
"""How many things a message names; the rest is counted."""


def share(value: float) -> str:
    """A share as people read it.

    >>> share(0.314), share(0.0042), share(1.0)
    ('31%', '0.42%', '100%')
    """
    percent = 100 * value
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"


def first(clauses: list[str]) -> str:
    """The first few, and how many more there are.

    >>> first(["age moved", "tenure moved"])
    'age moved; tenure moved'
    """
    rest = len(clauses) - NAMED
    return "; ".join(clauses[:NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def plural(things: Sequence[Any]) -> str:
    """The ending of a noun before so many things."""
    return "" if len(things) == 1 else "s"
