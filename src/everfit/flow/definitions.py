"""A module's source as definitions: each top-level name with the hash of its code and the names that the code uses.

Read by `ast`, never run. The hash is taken of the syntax tree without positions and bare strings, so that comments,
docstrings and formatting do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import tokenize
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

from everfit.errors import ProjectError
from everfit.flow.scopes import Reader, Target, chain_of

WHOLE = "*"
"""The one name of a module that has no source but bytes (an extension module)."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The hash of what binds a name, everything that it names in turn, and the texts in it that have the form of a
    module's name."""

    digest: str
    uses: frozenset[Target]
    words: frozenset[str] = frozenset()


Stamp = tuple[str, int, int]
"""Path, time of change and size of a file that is not loaded and so may still change."""


@dataclass(slots=True)
class Top:
    """A module's top level: what binds each name, what it imports, and the modules of which it takes every name."""

    statements: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, set[Target]] = field(default_factory=lambda: defaultdict(set))
    stars: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Source:
    """A module's text with its hash, parsed when somebody asks what is in it, and the definitions read so far."""

    name: str
    package: str
    spec: ModuleSpec | None
    stamp: Stamp | None
    text: str = ""
    digest: str = ""
    opaque: str = ""
    known: dict[str, Definition] = field(default_factory=dict)
    _top: Top | None = None

    @property
    def top(self) -> Top:
        """The text, parsed."""
        if self._top is None:
            self._top = _parsed(self.text, self.package)
        return self._top

    @property
    def statements(self) -> Mapping[str, list[ast.stmt]]:
        """The statements that bind or change each name."""
        return self.top.statements

    @property
    def imports(self) -> Mapping[str, set[Target]]:
        """Where each imported name comes from."""
        return self.top.imports

    @property
    def is_package(self) -> bool:
        """Whether there can be modules below it."""
        return self.spec is not None and self.spec.submodule_search_locations is not None

    def definition(self, name: str) -> Definition:
        """What the name is bound to, by all the statements that bind or change it."""
        if name not in self.known:
            self.known[name] = self._read(name)
        return self.known[name]

    def knows(self, name: str) -> bool:
        """Whether the module binds the name, so that it can be followed."""
        return bool(self.opaque) or name in self.statements or name in self.imports

    def at(self, line: int) -> str | None:
        """A name that is bound by the statement at a line: how a lambda is found."""
        return next((n for n, found in self.statements.items() for s in found if _covers(s, line)), None)

    def imported(self) -> set[str]:
        """The top-level packages that the module imports when it is loaded."""
        targets = {module for found in self.imports.values() for module, _ in found}
        return {module.split(".")[0] for module in targets | self.top.stars}

    def _read(self, name: str) -> Definition:
        if self.opaque:
            return Definition(self.opaque, frozenset())
        reader, form = Reader(self.package), list[str]()
        for statement in self.statements[name]:
            reader.visit(statement)
            _form(statement, form)
        uses = {(self.name, chain) for chain in reader.scope.used} | reader.scope.resolved
        digest = hashlib.sha256("\n".join(form).encode("utf-8", "surrogatepass")).hexdigest()
        return Definition(digest, frozenset(uses), frozenset(reader.words))


def _covers(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _form(node: ast.AST, form: list[str]) -> None:
    """Writes the tree as `ast.dump` would, three times as fast, without bare strings and load/store marks."""
    form.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            form.append("[")
            for inner in value:
                _form_part(inner, form)
            form.append("]")
        elif name != "ctx":
            _form_part(value, form)


def _form_part(value: object, form: list[str]) -> None:
    if not isinstance(value, ast.AST):
        form.append(repr(value))
    elif not _bare_string(value):
        _form(value, form)


def _bare_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


_sources: dict[str, Source] = {}


def find(name: str) -> Source | None:
    """The module's source, None when there is no such module. Of a loaded module it is read once, and again after a
    reload: what counts is the code that is loaded, not what an editor has made of the file since."""
    loaded = sys.modules.get(name)
    spec = loaded.__spec__ if loaded else _spec(name)
    if loaded is None and spec is None:
        return None
    stamp = _stamp(spec) if loaded is None else None
    known = _sources.get(name)
    if known is None or known.stamp != stamp or (loaded and known.spec is not spec):
        _sources[name] = known = _read(name, spec, getattr(loaded, "__file__", None), stamp)
    return known


def exists(package: str) -> bool:
    """Whether a top-level package can be imported."""
    return package in sys.modules or _spec(package) is not None


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # a name below something that is no package, or barred from import
        return None


def _stamp(spec: ModuleSpec | None) -> Stamp | None:
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    status = Path(spec.origin).stat()
    return spec.origin, status.st_mtime_ns, status.st_size


def _read(name: str, spec: ModuleSpec | None, file: str | None, stamp: Stamp | None) -> Source:
    package = (spec.parent if spec else "") or ""
    source = Source(name, package, spec, stamp)
    path = Path(file or (spec.origin if spec and spec.has_location else None) or "")
    if path.suffix == ".py":
        source.text = _text(name, path)
        source.digest = hashlib.sha256(source.text.encode("utf-8", "surrogatepass")).hexdigest()
    elif path.is_file():
        source.digest = source.opaque = hashlib.sha256(path.read_bytes()).hexdigest()
    elif spec is None or spec.submodule_search_locations is None:
        raise _unreadable(name)
    return source


def _text(name: str, path: Path) -> str:
    try:
        with tokenize.open(path) as stream:
            return stream.read()
    except (OSError, SyntaxError) as error:
        raise _unreadable(name) from error


def _unreadable(name: str) -> ProjectError:
    fix = "define the function in a .py file that stays where it was imported from"
    return ProjectError("its source cannot be read, so its code has no identity", where=f"module {name}", fix=fix)


def _parsed(text: str, package: str) -> Top:
    top = Top()
    for statement in ast.parse(text).body:
        reader = Reader(package)
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = {statement.name}
        else:
            reader.visit(statement)
            names = reader.scope.bound | _changed(statement)
        for name in names:
            top.statements[name].append(statement)
        top.stars |= reader.scope.stars
        for name, targets in reader.scope.imports.items():
            top.imports[name] |= targets
    return top


def _changed(statement: ast.stmt) -> set[str]:
    """The name that a statement changes without binding it: `TABLE["x"] = f`, `TABLE.update(...)`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        chain = chain_of(statement.value.func)
        return {chain[0]} if chain and len(chain) > 1 else set()
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    roots = (_root(target) for target in targets)
    return {root for root in roots if root}


def _root(node: ast.AST | None) -> str:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
