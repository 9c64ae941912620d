"""Does every feature function see one row at a time? If not, it gives other values online than in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everfit.errors import ProjectError
from everfit.features.compute import compute
from everfit.features.functions import Functions

Array = NDArray[Any]


def check(functions: Functions, columns: Mapping[str, Array], whole: Mapping[str, Array], rows: int = 8) -> None:
    """Computes a few rows, spread over the table, one by one and compares them with the same rows of `whole`, which is
    what the functions gave for all rows of `columns`.

    Raises ProjectError naming the first function whose value for a row changes with the other rows, for example one
    that subtracts the column's mean.
    """
    wanted = [name for name in whole if name in functions.callables]
    total = len(next(iter(columns.values()), ()))
    if not wanted or not total:
        return
    for row in np.unique(np.linspace(0, total - 1, rows).astype(np.intp)):
        alone = compute(functions, {name: values[row : row + 1] for name, values in columns.items()}, wanted)
        for name in wanted:
            if not _equal(whole[name][row], alone[name][0]):
                raise ProjectError(
                    f"the feature {name!r} is {whole[name][row]} in the table and {alone[name][0]} for the row alone",
                    where=f"{functions.filename}:{functions.callables[name].__code__.co_firstlineno}",
                    fix="compute each row from that row only: no mean, rank, sort or shift over rows",
                )


def _equal(a: object, b: object) -> bool:
    return a == b or (a != a and b != b)
