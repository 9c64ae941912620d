"""How much each row counts in fitting, read from a column of the table."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.errors import ProjectError


def weights(table: pl.DataFrame, column: str) -> NDArray[np.float64]:
    """(rows,) the column's values. ProjectError unless every one is a finite number that is not negative, and one at
    least is more than 0.

    >>> weights(pl.DataFrame({"w": [1, 2]}), "w").tolist()
    [1.0, 2.0]
    """
    if not table[column].dtype.is_numeric():
        raise _error(f"the column {column!r} holds {table[column].dtype}, not numbers")
    values = table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        what = "no value" if np.isnan(values[wrong[0]]) else f"{values[wrong[0]]:g}"
        raise _error(
            f"{len(wrong)} rows have no usable weight; the first is row {wrong[0] + 1} with {what} in {column!r}"
        )
    if not values.any():
        raise _error(f"every weight in {column!r} is 0")
    return values


def _error(what: str) -> ProjectError:
    return ProjectError(what, where="everfit.yaml: data.weight", fix="give every row a weight of 0 or more")
