"""What a YAML parser's complaint means for somebody who has never heard of a parser."""

from __future__ import annotations

import yaml

from everfit.errors import ProjectError

# (a part of the parser's words, what happened, what to do), the first that fits; both PyYAML's own words and libyaml's.
_MEANINGS = (
    (
        ("unknown escape", "hexadecimal"),
        "a backslash in double quotes starts an escape that YAML does not know",
        "put the text in single quotes",
    ),
    (
        ("quoted scalar",),
        "a quote is opened here and never closed",
        "close it with the same quote",
    ),
    (
        ("mapping values are not allowed", "nested mappings"),
        "there is a ': ' where none can be, or the line is indented wrongly",
        "put text that holds ': ' in quotes; give the keys of one section the same indentation",
    ),
    (
        ("could not find expected ':'", "simple key"),
        "a line is neither `key: value` nor part of a text",
        "write `key: value`, with a space after the colon",
    ),
    (
        ("undefined alias",),
        "a word that starts with * stands for an &anchor, and there is no such anchor",
        "put text that starts with * in quotes",
    ),
    (("single document",), "a second document starts here (---)", "keep one document in the file"),
    (
        ("cannot start any token",),
        "a value cannot start with this character",
        "put the value in quotes",
    ),
    (
        ("flow sequence", "flow mapping", "flow node", "expected ',' or"),
        "a bracket [ or { is not closed, or a comma is missing",
        "close it; inside brackets put text that holds , { } [ ] in quotes",
    ),
    (
        ("block mapping", "block collection", "block sequence", "expected <block end>", "indentation"),
        "the indentation does not fit the lines above",
        "give the keys of one section the same indentation, by spaces",
    ),
)


def explain(error: yaml.MarkedYAMLError, text: str, name: str) -> ProjectError:
    """The parser's error as a ProjectError at `name:line:column`."""
    problem, context = error.problem or "", error.context or ""
    # An unclosed quote or bracket is noticed at the end of the file and mended where it was opened.
    opened = ("quoted scalar" in context or "flow" in context) and "escape" not in problem
    mark = (error.context_mark if opened else None) or error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    what, fix = _tab(error, text) or _reference(text, line, opened) or _meaning(problem, context)
    return ProjectError(what, where=f"{name}:{line + 1}:{column + 1}", fix=fix)


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number] if number < len(lines) else ""


def _tab(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str] | None:
    mark = error.problem_mark
    line = _line(text, mark.line) if mark else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "the line is indented with a tab", "indent with spaces"
    return None


def _reference(text: str, line: int, in_brackets: bool) -> tuple[str, str] | None:
    if in_brackets and "${" in _line(text, line):
        return "${NAME} stands unquoted inside { } or [ ]", 'write "${NAME}" in quotes there'
    return None


def _meaning(problem: str, context: str) -> tuple[str, str]:
    for parts, what, fix in _MEANINGS:
        if any(part in f"{context} {problem}" for part in parts):
            return what, fix
    return f"this is not YAML: {problem or context}", "see https://yaml.org for what is"
