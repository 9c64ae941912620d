"""YAML text to plain data with the line and column of every value, and nothing surprising on the way.

Only what YAML 1.2 calls plain is read: `true` and `false` are the only booleans (`Yes`, `no`, `on` stay text), dates,
`1:30`, `007` and `1_000` stay text, keys are always text. Tags that build objects are refused. Anchors and aliases
work, but what they unfold to is bounded; merge keys (`<<`) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from everfit.errors import ProjectError
from everfit.project.syntax import explain

Route = tuple[str | int, ...]
"""Keys and list positions from the top of the document to a value."""

BYTES = 1_000_000
DEPTH = 32
VALUES = 50_000

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "float": re.compile(
        r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
}


def _plain(loader: Any) -> Any:
    """The loader with YAML 1.1's implicit types taken away and the few above put in."""
    loader.yaml_implicit_resolvers = {}
    for name, pattern in _SCALARS.items():
        loader.add_implicit_resolver(_TAG + name, re.compile(f"^(?:{pattern.pattern})$"), None)
    return loader


# libyaml is about twenty times as fast; PyYAML is not built with it everywhere.
@_plain
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the base is chosen at run time
    pass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """`data` holds dicts with text keys, lists and scalars; `positions` has every route in it, keys where there is
    one (so that `a: {b: 1}` puts `("a", "b")` at the `b`)."""

    name: str
    data: Any
    positions: Mapping[Route, Position]

    def where(self, route: Route) -> str:
        """`file:line:column` of the route or of the nearest one above it."""
        while route and route not in self.positions:
            route = route[:-1]
        at = self.positions.get(route, Position(1, 1))
        return f"{self.name}:{at.line}:{at.column}"


def read(path: Path) -> Document:
    """The document in a file. Raises ProjectError for every way in which it is not one."""
    return parse(_text(path), str(path))


def parse(text: str, name: str) -> Document:
    """The document in a text; `name` is what messages call it. The top must be a mapping.

    >>> parse("retraining: {on: [drift]}", "everfit.yaml").data
    {'retraining': {'on': ['drift']}}
    >>> parse("a: 1\\na: 2", "everfit.yaml")
    Traceback (most recent call last):
    everfit.errors.ProjectError: everfit.yaml:2:1: the key 'a' stands twice, first in line 1
      fix: keep one of them
    """
    document = _document(text, name)
    if document.data is None:
        raise ProjectError("the file is empty", where=f"{name}:1:1", fix="write at least `project:` and `data:`")
    if not isinstance(document.data, dict):
        raise ProjectError(
            "the file must hold keys and values, such as `project: churn`",
            where=f"{name}:1:1",
            fix="write `key: value`",
        )
    return document


def parse_value(text: str, name: str) -> Any:
    """A single value as YAML reads it, for `--set`.

    >>> parse_value("[10%, 0.5]", "--set"), parse_value("no", "--set")
    (['10%', 0.5], 'no')
    """
    return _document(text, name).data


def _text(path: Path) -> str:
    where = str(path)
    if path.is_dir():
        raise ProjectError("is a folder, not a file", where=where, fix=f"give the file: {path / 'everfit.yaml'}")
    try:
        with path.open("rb") as stream:
            content = stream.read(BYTES + 1)
    except FileNotFoundError:
        fix = "run `everfit init NAME --from TABLE` to write one, or say where it is"
        raise ProjectError("there is no such file", where=where, fix=fix) from None
    except OSError as error:
        fix = "see that you may read the file"
        raise ProjectError(f"could not be read: {error.strerror}", where=where, fix=fix) from error
    if len(content) > BYTES:
        fix = "a project file is a few hundred lines; is this the table?"
        raise ProjectError(f"is larger than {BYTES:,} bytes", where=where, fix=fix)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ProjectError("is not UTF-8 text", where=f"{where}:{line}", fix="save the file as UTF-8") from None


def _document(text: str, name: str) -> Document:
    if odd := _UNPRINTABLE.search(text):
        before = text[: odd.start()]
        at = Position(before.count("\n") + 1, odd.start() - before.rfind("\n"))
        what = f"the character {odd[0]!r} cannot stand in a text file"
        raise ProjectError(what, where=f"{name}:{at.line}:{at.column}", fix="delete it, or save the file as UTF-8 text")
    failure: ProjectError
    try:
        _check_depth(text, name)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        failure = explain(error, text, name)
    else:
        builder = _Builder(name)
        data = None if root is None else builder.value(root, ())
        return Document(name, data, builder.positions)
    raise failure


def _check_depth(text: str, name: str) -> None:
    """Composing recurses, reading events does not: so the depth is looked at first."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH:
            _refuse(name, event, f"is nested deeper than {DEPTH} levels", "take levels away")


def _refuse(name: str, at: yaml.Event | yaml.Node, what: str, fix: str) -> NoReturn:
    mark = at.start_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    raise ProjectError(what, where=where, fix=fix)


@dataclass(slots=True)
class _Builder:
    """Nodes to data. Counts every value built, aliases as often as they occur."""

    name: str
    positions: dict[Route, Position] = field(default_factory=dict)

    def value(self, node: yaml.Node, route: Route) -> Any:
        if len(route) > DEPTH or len(self.positions) > VALUES:
            _refuse(self.name, node, "unfolds to too much", "write the values out instead of repeating *aliases")
        mark = node.start_mark
        self.positions.setdefault(route, Position(mark.line + 1, mark.column + 1))
        if not node.tag.startswith(_TAG):
            _refuse(self.name, node, f"the tag {node.tag} is not allowed", "write a plain value")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, route)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*route, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        return _refuse(self.name, node, f"the tag !!{node.tag[len(_TAG) :]} is not allowed", "write a plain value")

    def _mapping(self, node: yaml.MappingNode, route: Route) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            name = self._key(key)
            if name in built:
                first = self.positions[*route, name].line
                _refuse(self.name, key, f"the key {name!r} stands twice, first in line {first}", "keep one of them")
            self.positions[*route, name] = Position(key.start_mark.line + 1, key.start_mark.column + 1)
            built[name] = self.value(value, (*route, name))
        return built

    def _key(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            _refuse(self.name, key, "a key must be a name", "put text with { or [ at its start in quotes")
        if key.value == "<<" and not key.style:  # in quotes it is a name like any other
            _refuse(self.name, key, "merge keys (<<) are not read", "write the values out, or use `environments:`")
        return str(key.value)

    def _scalar(self, node: yaml.ScalarNode) -> str | int | float | bool | None:
        kind, text = node.tag[len(_TAG) :], str(node.value)
        if kind == "str":
            return text
        if kind not in _SCALARS:
            _refuse(self.name, node, f"the tag !!{kind} is not allowed", "write a plain value")
        if not _SCALARS[kind].fullmatch(text) or len(text) > 400:
            _refuse(self.name, node, f"{text[:20]!r} cannot be read as !!{kind}", "write a plain value")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        return int(text) if kind == "int" else float(text.replace(".inf", "inf").replace(".nan", "nan").lower())
