"""Features computed by the user's functions, the same over a table and over one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.errors import ProjectError, StepFailed
from everfit.features.functions import Functions, line_of
from everfit.features.values import normalised

Array = NDArray[Any]


def compute(
    functions: Functions, columns: Mapping[str, Array], wanted: Sequence[str] | None = None
) -> dict[str, Array]:
    """The wanted columns and features by name, in that order; all columns and all features when None.

    Columns are 1-d arrays of one length as the data stage gives them; the functions see them read-only. Results are
    float64 (missing and infinite values are NaN) or object arrays of str and None. Raises ProjectError for a name that
    is neither column nor function, StepFailed with the user's line for a function that raises or returns anything but
    numbers or texts, one for each row.

    >>> from everfit.features.functions import load
    >>> functions = load("def double(x):\\n    return 2 * x")
    >>> compute(functions, {"x": np.array([1.0, 2.0])}, ["double"])
    {'double': array([2., 4.])}
    """
    if clash := next((name for name in functions.callables if name in columns), None):
        raise ProjectError(
            f"the function {clash!r} has the name of a column",
            where=_place(functions, clash),
            fix="rename the function, for example to " + repr(f"{clash}_feature"),
        )
    names = [*columns, *functions.order] if wanted is None else list(wanted)
    needed = _closure(functions, names)
    rows = len(next(iter(columns.values()), ()))
    values = {name: _read_only(array) for name, array in columns.items()}
    for name in functions.order:
        if name in needed:
            values[name] = _call(functions, name, values, rows)
    missing = [name for name in names if name not in values]
    if missing:
        raise _unknown(missing[0], values, functions.filename)
    return {name: values[name] for name in names}


def _closure(functions: Functions, names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    pending = [name for name in names if name in functions.parameters]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(p for p in functions.parameters[name] if p in functions.parameters)
    return found


def _call(functions: Functions, name: str, values: Mapping[str, Array], rows: int) -> Array:
    absent = [p for p in functions.parameters[name] if p not in values]
    if absent:
        raise _unknown(absent[0], values, _place(functions, name), reader=name)
    arguments = {p: values[p] for p in functions.parameters[name]}
    try:
        with np.errstate(all="ignore"):  # NaN marks missing values here, it is no accident
            result = functions.callables[name](**arguments)
    except Exception as error:
        line = line_of(error, functions.filename)
        raise StepFailed(
            f"the feature {name!r} raised {type(error).__name__}: {error}",
            where=f"{functions.filename}:{line}",
            fix=_advice(error),
        ) from error
    try:
        return _read_only(normalised(result, rows))
    except ValueError as error:
        raise StepFailed(
            f"the feature {name!r} {error}",
            where=_place(functions, name),
            fix="return one number or text for each row",
        ) from error


def _advice(error: Exception) -> str:
    if "read-only" in str(error):
        return "columns are shared and cannot be changed in place; work on a copy: column = column.copy()"
    return "make the function work for missing values (NaN, None) and for a single row"


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _unknown(name: str, known: Mapping[str, Array], where: str, reader: str = "") -> ProjectError:
    close = get_close_matches(name, list(known), 1)
    subject = f"the feature {reader!r} reads {name!r}, which" if reader else repr(name)
    fix = f"did you mean {close[0]!r}?" if close else "the names are: " + ", ".join(known)
    return ProjectError(f"{subject} is neither a column nor a feature", where=where, fix=fix)


def _place(functions: Functions, name: str) -> str:
    return f"{functions.filename}:{functions.callables[name].__code__.co_firstlineno}"
