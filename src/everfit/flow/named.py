"""A function by its name: what it takes and gives is read from its text, and its module is imported when it runs.

A run in which nothing changed so imports nothing of what trains, which takes longer than all else that it does.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_type_hints

from everfit.errors import ProjectError
from everfit.flow.definitions import Source, find


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives: the parameters without a default, in order; the text of the type that it says
    it returns; and where each name in that text comes from, a module and the names below it."""

    takes: tuple[str, ...]
    gives: str
    names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Named:
    """A plain function at the top level of a module, called as the function itself. `known` is its signature where
    somebody remembers it.

    >>> Named("everfit.flow.smoke", "recorded").parameters
    ('model',)
    """

    module: str
    name: str
    known: Signature | None = None

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function returns."""
        return self.load()(*arguments, **named)

    def load(self) -> Callable[..., Any]:
        """The function; its module is imported for it."""
        found: Callable[..., Any] = getattr(import_module(self.module), self.name)
        return found

    @cached_property
    def signature(self) -> Signature:
        """What its text says. Raises ProjectError where there is no such function, or it is decorated."""
        return self.known or _read(self.module, self.name)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of those without a default, in order."""
        return self.signature.takes

    @cached_property
    def output(self) -> Any:
        """The type that it says it returns; only the modules that this type comes from are imported. Raises
        ProjectError where it says none."""
        text = self.signature.gives
        if not text:
            raise ProjectError("does not say what it returns", where=str(self), fix="annotate it")
        names = {
            name: reduce(getattr, chain, import_module(module))
            for name, (module, *chain) in self.signature.names.items()
        }
        return get_type_hints(SimpleNamespace(__annotations__={"return": text}), names)["return"]


def _read(module: str, name: str) -> Signature:
    source = find(module)
    if source is None:
        raise ProjectError("there is no such module", where=f"{module}:{name}", fix="correct the name")
    found = _definition(source, name)
    taken = found.args
    placed, named = [*taken.posonlyargs, *taken.args], zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
    plain = placed[: len(placed) - len(taken.defaults)]
    takes = tuple(one.arg for one in (*plain, *(one for one, default in named if default is None)))
    if found.returns is None:
        return Signature(takes, "", {})
    return Signature(takes, ast.unparse(found.returns), dict(_meanings(found.returns, source)))


def _meanings(annotation: ast.expr, source: Source) -> Iterator[tuple[str, tuple[str, ...]]]:
    used = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    for name in sorted(used - vars(builtins).keys()):
        # What is not imported there is defined there.
        for module, chain in source.imports.get(name) or [(source.name, (name,))]:
            yield name, (module, *chain)


def _definition(source: Source, name: str) -> ast.FunctionDef:
    for statement in source.statements.get(name, ()):
        if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
            return statement
    fix = "define it with `def` in that module"
    raise ProjectError("is no plain function", where=f"{source.name}:{name}", fix=fix)
