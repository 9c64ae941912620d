"""Values from the environment: `${NAME}` and `${NAME:-default}` in the project file, and the `.env` file beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from everfit.errors import ProjectError
from everfit.project.sections.section import FromEnvironment

_REFERENCE = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_QUOTED = re.compile(r"'(?P<literal>[^']*)'\s*(?:#.*)?|\"(?P<text>(?:[^\"\\]|\\.)*)\"\s*(?:#.*)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Substituted:
    """`text` with its references replaced; `used` are the variables whose values went into it."""

    text: str
    used: tuple[str, ...] = ()


class MissingVariable(Exception):  # never leaves the package: the caller says where
    """The variable named by `${NAME}` is not set and has no default."""


def substitute(text: str, env: Mapping[str, str]) -> Substituted:
    """Replaces every reference. A text that is one whole `${NAME}` with a set variable becomes FromEnvironment, the
    only text that a secret accepts: a default in the file is no secret. As in a shell, the default also stands in for
    an empty variable. `$${` is a literal `${`.

    Raises MissingVariable, and ValueError for a reference that is malformed.

    >>> substitute("${HOST:-localhost}:${PORT}", {"PORT": "80"})
    Substituted(text='localhost:80', used=('PORT',))
    >>> substitute("$${HOST}", {}).text
    '${HOST}'
    """
    used: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        name, default = match["name"], match["default"]
        if name is None or (default and "${" in default):
            raise ValueError("`${` starts no reference")
        if env.get(name) or (name in env and default is None):
            used.append(name)
            return env[name]
        if default is None:
            raise MissingVariable(name)
        return str(default)

    whole = _REFERENCE.fullmatch(text)
    result = _REFERENCE.sub(replace, text)
    return Substituted(FromEnvironment(result) if whole and used else result, tuple(used))


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, none when there is no file: `NAME=value` lines, `#` comments, single quotes
    for text as it is, double quotes for text with `\\n`. Messages never show a value."""
    try:
        content = path.read_bytes() if path.is_file() else b""
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ProjectError("is not UTF-8 text", where=str(path), fix="save the file as UTF-8") from None
    except OSError as error:
        fix = "see that you may read the file"
        raise ProjectError(f"could not be read: {error.strerror}", where=str(path), fix=fix) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            name, value = _entry(entry, f"{path}:{number}")
            found[name] = value
    return found


def _entry(entry: str, where: str) -> tuple[str, str]:
    match = _LINE.fullmatch(entry)
    if match is None:
        raise ProjectError("the line is not NAME=value", where=where, fix="write NAME=value, or # before a comment")
    value = match["value"]
    if value[:1] not in ("'", '"'):
        return match["name"], re.split(r"(?:^|\s+)#", value, maxsplit=1)[0].strip()
    quoted = _QUOTED.fullmatch(value)
    if quoted is None:
        raise ProjectError("the quote is not closed", where=where, fix="close it at the end of the value")
    if quoted["literal"] is not None:
        return match["name"], quoted["literal"]
    return match["name"], re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), quoted["text"])
