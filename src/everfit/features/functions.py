"""The user's `features.py`: every public function is a feature."""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.abc import ExecutionLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from everfit.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Functions:
    """The feature functions of one source text.

    `callables` by feature name in the order of the file; `parameters` the columns or features that each one reads;
    `order` a valid order of computing all of them; `digest` the SHA-256 of `source`.
    """

    callables: Mapping[str, Callable[..., Any]]
    parameters: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    source: str
    filename: str
    digest: str


class _Text(ExecutionLoader):
    """Loads a module from text in memory; `get_source` lets tracebacks show the user's lines."""

    def __init__(self, text: str, filename: str) -> None:
        self._text, self._filename = text, filename

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_filename(self, fullname: str) -> str:
        return self._filename


def load(source_text: str, filename: str = "features.py") -> Functions:
    """The functions of a `features.py`, executed in a module of its own.

    Only functions defined in the text count, not imported ones; names that start with `_` are private helpers.
    Raises ProjectError with file and line for text that does not compile, import or fit together.

    >>> load("def double(x):\\n    return 2 * x").parameters
    {'double': ('x',)}
    """
    digest = hashlib.sha256(source_text.encode()).hexdigest()
    module = _execute(source_text, filename, f"everfit_features_{digest[:16]}")
    callables = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    parameters = {name: _parameters(name, function, filename) for name, function in callables.items()}
    return Functions(callables, parameters, _order(parameters, filename), source_text, filename, digest)


def inputs(functions: Functions, names: Sequence[str]) -> tuple[str, ...]:
    """The raw columns that computing `names` reads, in the order met: what a request must hold.

    >>> inputs(load("def rate(total, months):\\n    return total / months"), ["age", "rate"])
    ('age', 'total', 'months')
    """
    found: dict[str, None] = {}
    pending = list(reversed(names))
    while pending:
        name = pending.pop()
        if name in functions.parameters:
            pending.extend(reversed(functions.parameters[name]))
        else:
            found[name] = None
    return tuple(found)


def _execute(text: str, filename: str, name: str) -> ModuleType:
    loader = _Text(text, filename)
    module = module_from_spec(ModuleSpec(name, loader, origin=filename))
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses look their module up while it executes
    try:
        loader.exec_module(module)
    except SyntaxError as error:
        raise ProjectError(
            f"not valid Python: {error.msg}", where=f"{error.filename}:{error.lineno}", fix="correct that line"
        ) from error
    except Exception as error:
        raise ProjectError(
            f"{type(error).__name__}: {error}",
            where=f"{filename}:{line_of(error, filename)}",
            fix="correct that line, or install what it imports; `python FILE` shows the same error",
        ) from error
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return module


def _parameters(name: str, function: Callable[..., Any], filename: str) -> tuple[str, ...]:
    """The names that the function reads; those with a default are settings of its own and not asked for."""
    found = inspect.signature(function).parameters.values()
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    if odd := next((p for p in found if p.kind not in by_name), None):
        raise ProjectError(
            f"the feature {name!r} has the parameter {odd}, which names no column",
            where=f"{filename}:{function.__code__.co_firstlineno}",
            fix="name each column that the feature reads as a parameter of its own",
        )
    names = tuple(p.name for p in found if p.default is inspect.Parameter.empty)
    if not names:
        raise ProjectError(
            f"the feature {name!r} reads no column",
            where=f"{filename}:{function.__code__.co_firstlineno}",
            fix=f"name a column as parameter, or call it _{name} if it is a helper and not a feature",
        )
    return names


def _order(parameters: Mapping[str, tuple[str, ...]], filename: str) -> tuple[str, ...]:
    graph = {name: [p for p in reads if p in parameters] for name, reads in parameters.items()}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ProjectError(
            "features that need each other: " + " -> ".join(reversed(error.args[1])),
            where=filename,
            fix="rename a parameter, or compute one of them from columns only",
        ) from error


def line_of(error: BaseException, filename: str) -> int:
    """The innermost line of the user's file on the way to the error; 1 if it never got there."""
    frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == Path(filename)]
    return frames[-1] or 1 if frames else 1
