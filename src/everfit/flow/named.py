"""A function by its name: what it takes and gives is read from its text, and its module is imported when it runs.

A run in which nothing changed so imports nothing of what trains, which takes longer than all else that it does.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_type_hints

from everfit.errors import ProjectError
from everfit.flow.definitions import Source, find


@dataclass(frozen=True)
class Named:
    """A plain function at the top level of a module, called as the function itself.

    >>> Named("everfit.flow.smoke", "recorded").parameters
    ('model',)
    """

    module: str
    name: str

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
    def parameters(self) -> tuple[str, ...]:
        """The names of those without a default, in order."""
        taken = self._definition.args
        placed, named = [*taken.posonlyargs, *taken.args], zip(taken.kwonlyargs, taken.kw_defaults, strict=True)
        plain = placed[: len(placed) - len(taken.defaults)]
        return tuple(one.arg for one in (*plain, *(one for one, default in named if default is None)))

    @cached_property
    def output(self) -> Any:
        """The type that it says it returns; only the modules that this type comes from are imported."""
        says = self._definition.returns
        if says is None:
            raise ProjectError("does not say what it returns", where=str(self), fix="annotate it")
        known = dict(self._meanings(says))
        return get_type_hints(SimpleNamespace(__annotations__={"return": ast.unparse(says)}), known)["return"]

    def _meanings(self, annotation: ast.expr) -> Iterator[tuple[str, Any]]:
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        for name in names - vars(builtins).keys():
            # What is not imported there is defined there.
            for module, chain in self._source.imports.get(name) or [(self.module, (name,))]:
                yield name, reduce(getattr, chain, import_module(module))

    @property
    def _source(self) -> Source:
        found = find(self.module)
        if found is None:
            raise ProjectError("there is no such module", where=str(self), fix="correct the name")
        return found

    @property
    def _definition(self) -> ast.FunctionDef:
        for statement in self._source.statements.get(self.name, ()):
            if isinstance(statement, ast.FunctionDef) and not statement.decorator_list:
                return statement
        raise ProjectError("is no plain function", where=str(self), fix="define it with `def` in that module")
