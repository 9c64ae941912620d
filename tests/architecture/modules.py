"""The package's own source, parsed once: what the structure tests ask about."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "everfit"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file: `place` is its path below the package, as in `adapters/registries/mlflow.py`."""

    name: str
    place: str
    lines: int
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that a relative import starts from."""
        return self.name if self.place.endswith("__init__.py") else self.name.rpartition(".")[0]


def _module(path: Path) -> Module:
    place = path.relative_to(PACKAGE)
    dotted = [PACKAGE.name, *place.with_suffix("").parts]
    text = path.read_text(encoding="utf-8")
    name = ".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)
    return Module(name, place.as_posix(), len(text.splitlines()), ast.parse(text))


@cache
def modules() -> dict[str, Module]:
    """Every module of everfit by its dotted name."""
    found = (_module(path) for path in sorted(PACKAGE.rglob("*.py")))
    return {module.name: module for module in found}


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = module.package.split(".")
    parts = above[: len(above) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def imported(module: Module) -> Iterator[str]:
    """The dotted names that a module imports anywhere in it: at the top, in a function, for type checking only."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def dependencies(module: Module) -> set[str]:
    """The modules of everfit that a module imports."""
    known = modules()
    targets = (name if name in known else name.rpartition(".")[0] for name in imported(module))
    return {target for target in targets if target in known and target != module.name}


def functions(module: Module) -> Iterator[Function]:
    """Every function and method of a module."""
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """The lines of a function's body, its docstring not counted."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def classes(module: Module) -> Iterator[ast.ClassDef]:
    """Every class of a module."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))
