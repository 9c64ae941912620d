"""Plain data as the YAML that a person would write: short, quoted only where YAML asks for it, in lines of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from everfit.project.catalogue import written

WIDTH = 118


def one_line(value: Any) -> str:
    """The value in one line; a literal `${` is written so that it stays one.

    >>> one_line({"column": "Churn", "positive": "Yes"}), one_line("7"), one_line(0.5), one_line("${A}")
    ('{column: Churn, positive: "Yes"}', '"7"', '0.5', '"$${A}"')
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{one_line(key)}: {one_line(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(one_line, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str):
        return written(value)
    # Inside a list the words of a text never stand at the start of a line, where some mean something else.
    text = written([value.replace("${", "$${")])[1:-1]
    plain_quotes = text.startswith("'") and not set("'\"\\") & set(value)
    return f'"{text[1:-1]}"' if plain_quotes else text


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
        end = "}" if number == len(value) else ", "
        if isinstance(inner, list) and inner:
            words = [one_line(word) for word in inner]
            words[0], words[-1] = f"{one_line(key)}: [{words[0]}", f"{words[-1]}]{end}"
            yield from (
                (word if word is words[-1] else f"{word}, " for word in words)
                if len(words) > 1
                else [f"{one_line(key)}: [{one_line(inner[0])}]{end}"]
            )
        else:
            yield f"{one_line(key)}: {one_line(inner)}{end}"
