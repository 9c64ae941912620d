"""Plain data as the YAML that a person would write: short, quoted only where YAML asks for it, in lines of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from everfit.project.catalogue import written

WIDTH = 118
# Texts that nothing could take for a number, a date or syntax; all others are quoted.
_PLAIN = re.compile(r"\d+(\.\d+)?%|(\.{0,2}/)?[^\W\d]([\w ()/%.+*-]*[\w()/%.+*-])?")
# To YAML 1.1, which editors know, or to YAML 1.2, which everfit reads.
_MEANING_MORE = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def one_line(value: Any) -> str:
    """The value in one line; a literal `${` is written so that it stays one.

    >>> one_line({"column": "Churn", "positive": "Yes"}), one_line("7"), one_line(0.5), one_line("${A}")
    ('{column: Churn, positive: "Yes"}', '"7"', '0.5', '"$${A}"')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {one_line(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(one_line, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _text(value.replace("${", "$${")) if isinstance(value, str) else written(value)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _MEANING_MORE:
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(sign: str) -> str:
    """YAML 1.2, 5.7: what cannot be printed by its code."""
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def item(value: dict[str, Any], indent: int = 2) -> str:
    """A mapping as an entry of a list, broken between its parts where it is long.

    >>> print(item({"column": "tenure", "min": 0.0}))
      - {column: tenure, min: 0}
    """
    start, rest = " " * indent + "- {", " " * (indent + 5)
    lines, line = list[str](), start
    for part in _parts(value):
        if line not in (start, rest) and len(line) + len(part) > WIDTH:
            lines.append(line.rstrip())
            line = rest
        line += part
    return "\n".join([*lines, line])


def _parts(value: dict[str, Any]) -> Iterator[str]:
    """The pieces between which a line may be broken."""
    for number, (key, inner) in enumerate(value.items(), start=1):
        text = one_line(inner)
        if isinstance(inner, list):
            text = "[" + ", \n".join(map(one_line, inner)) + "]"
        yield from f"{_text(key)}: {text}{'}' if number == len(value) else ', '}".split("\n")
