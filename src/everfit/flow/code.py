"""The identity of a function's code: the hash of everything of one's own that it can reach, and library versions.

Names are followed by reading; texts too, in modules that use importlib. What is reached only by `getattr(x, "name")`,
by a decorator that enters a function into a table, or as a subclass that nothing names is not seen.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib.metadata
import inspect
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from everfit.errors import ProjectError
from everfit.flow.definitions import WHOLE, Definition, Source, exists, find
from everfit.flow.scopes import Target

# Distributions whose name is not the package's: looking through all installed ones takes a quarter of a second.
_OTHER_NAMES = {
    "PIL": ("pillow",),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "dateutil": ("python-dateutil",),
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
}


@dataclass(frozen=True, slots=True)
class CodeIdentity:
    """`digest` changes when any definition does that the function can reach; `packages` are the versions of the
    distributions that the modules of these definitions import; `parts` holds each definition's own hash by
    `module:name`, so that a change can be named."""

    digest: str
    packages: Mapping[str, str]
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a function reaches: the hash of each definition, the packages outside, the words in it that are packages
    too if they are installed, and the hash of each module's text that was asked ("" where there is no such module).

    As long as these texts are what they were, so is everything else here."""

    parts: Mapping[str, str]
    outside: Collection[str]
    words: Collection[str]
    modules: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The hash of all parts."""
        return hashlib.sha256("".join(f"{part}={own}\n" for part, own in self.parts.items()).encode()).hexdigest()


def identity(function: Callable[..., Any], first_party: Sequence[str]) -> CodeIdentity:
    """The identity of a function, method, class, callable object or partial (without its bound arguments).

    `first_party` are the top-level packages whose code is followed; from every other only the version counts.
    Raises ProjectError when the source of first-party code cannot be read.

    >>> from everfit.records.features import NumericEncoding
    >>> sorted(identity(NumericEncoding, ["everfit"]).parts)
    ['everfit.records.features:NumericEncoding', 'everfit.records.table:Kind']
    """
    found = reach(function, first_party)
    return CodeIdentity(found.digest, versions({*found.outside, *filter(exists, found.words)}), found.parts)


def reach(function: Callable[..., Any], first_party: Sequence[str]) -> Reach:
    """What the identity of a function is made of. Raises as `identity` does."""
    closure = _Closure(frozenset(first_party))
    entries = list(_entries(function, set()))
    for module, (name,) in entries:
        _known(module, name, first_party)
    with _uncollected():
        closure.follow(entries)
    parts = {f"{module}:{name}": found.digest for (module, name), found in sorted(closure.definitions.items())}
    asked = {module: source.digest if source else "" for module, source in sorted(closure.sources.items())}
    return Reach(parts, closure.outside, closure.words, asked)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: the thousands of nodes of a syntax tree set it off again and again, each time
    over all that numpy and polars have loaded, which takes twice the time of the work itself."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(slots=True)
class _Closure:
    """What has been reached: definitions by module and name, and the packages outside."""

    first_party: Collection[str]
    definitions: dict[tuple[str, str], Definition] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    seen: set[Target] = field(default_factory=set)
    sources: dict[str, Source | None] = field(default_factory=dict)

    def follow(self, targets: Iterable[Target]) -> None:
        waiting = list(targets)
        while waiting:
            target = waiting.pop()
            if target not in self.seen:
                self.seen.add(target)
                waiting += self._step(*target)

    def _step(self, module: str, chain: tuple[str, ...]) -> list[Target]:
        top = module.split(".", maxsplit=1)[0]
        if top not in self.first_party:
            self.outside.add(top)
            return []
        source = self._find(module)
        if source is None:
            return []
        if source.opaque or not chain:
            names = [WHOLE] if source.opaque else list(source.statements)
            return [target for name in names for target in self._take(source, name)]
        return self._name(source, *chain)

    def _name(self, source: Source, name: str, *rest: str) -> list[Target]:
        found: list[Target] = []
        if name in source.statements:
            found += self._take(source, name)
        if name in source.imports:
            self.outside |= {module.split(".")[0] for module, _ in source.imports[name]} - set(self.first_party)
            return found + [(module, (*names, *rest)) for module, names in source.imports[name]]
        if name in source.statements:
            return found
        if source.is_package and self._find(f"{source.name}.{name}"):
            return [(f"{source.name}.{name}", rest)]
        if "__getattr__" in source.statements:
            found += self._take(source, "__getattr__")
        return found + [(star, (name, *rest)) for star in source.top.stars]

    def _find(self, module: str) -> Source | None:
        if module not in self.sources:
            self.sources[module] = find(module)
        return self.sources[module]

    def _take(self, source: Source, name: str) -> Collection[Target]:
        key = (source.name, name)
        if key in self.definitions:
            return frozenset()
        self.definitions[key] = found = source.definition(name)
        imported = source.imported()
        self.outside |= imported - set(self.first_party)
        return found.uses | self._by_name(found.words) if "importlib" in imported else found.uses

    def _by_name(self, words: Iterable[str]) -> set[Target]:
        """Where modules are imported by name, every text that could be a module's name is taken for one."""
        named: set[Target] = set()
        for word in words:
            top, *names = re.split("[.:]", word)
            if top not in self.first_party:
                self.words.add(top)
            elif names:
                named.add((top, tuple(names)))
        return named


def _known(module: str, name: str, first_party: Collection[str]) -> None:
    """Refuses first-party code that is not where it says it is: no identity is better than that of nothing."""
    if module.split(".", maxsplit=1)[0] in first_party:
        source = find(module)
        if source is None or not source.knows(name):
            fix = "define the function in a .py file that stays where it was imported from"
            raise ProjectError(f"{name} is not in the module's source", where=f"module {module}", fix=fix)


def _entries(function: Any, seen: set[int]) -> Iterator[Target]:
    """Where to begin: the definition that the object comes from, those it wraps, and functions that it closes over."""
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        yield from _entries(function.func, seen)
    elif inspect.ismethod(function):
        owner = function.__self__
        yield from _entries(owner if isinstance(owner, type) else type(owner), seen)
    elif isinstance(function, types.FunctionType):
        yield _defined(function)
        inner = [getattr(function, "__wrapped__", None), *_closed_over(function)]
        for part in inner:
            if isinstance(part, (types.FunctionType, types.MethodType, functools.partial, type)):
                yield from _entries(part, seen)
    elif isinstance(function, (type, types.BuiltinFunctionType)):
        yield function.__module__ or "builtins", (function.__qualname__.split(".")[0],)
    else:
        yield from _entries(type(function), seen)


def _defined(function: types.FunctionType) -> Target:
    name = function.__qualname__.split(".")[0]
    if name == "<lambda>":
        source = find(function.__module__)
        found = source.at(function.__code__.co_firstlineno) if source else None
        if found is None:
            raise ProjectError(
                "a lambda that stands in no definition has no identity",
                where=f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}",
                fix="write it as a function with a name",
            )
        name = found
    return function.__module__, (name,)


def _closed_over(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # an empty cell: a name that is not bound yet
            continue


def versions(packages: Collection[str]) -> dict[str, str]:
    """The versions of the distributions of these packages; the standard library has none."""
    found = (_version(package) for package in set(packages) - sys.stdlib_module_names if package)
    return dict(sorted(pair for pairs in found for pair in pairs))


@functools.cache
def _version(package: str) -> tuple[tuple[str, str], ...]:
    """The distributions that provide a package, with their versions; none for one that is not installed."""
    for name in _OTHER_NAMES.get(package, (package,)):
        try:
            return ((name, _installed(name)),)
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple((name, importlib.metadata.version(name)) for name in _providers().get(package, ()))


def _installed(distribution: str) -> str:
    """Its version, from the one line that says it: the standard library parses all the metadata, ten times as slow."""
    found = importlib.metadata.distribution(distribution)
    line = re.search(r"^Version: *(\S+)", found.read_text("METADATA") or "", re.MULTILINE)
    return line[1] if line else found.version


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
