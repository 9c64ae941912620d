"""What people hold tables in, as the one frame that everything here reads, and its cells as a request has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from everfit.data.reading import flat, text
from everfit.errors import SourceError


class Arrow(Protocol):
    """A table that any reader of Arrow understands: of pandas, pyarrow, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow C stream interface."""
        ...


Table = pl.DataFrame | Arrow | Sequence[Mapping[str, Any]]


def frame(table: Table) -> pl.DataFrame:
    """A polars or pandas DataFrame, an Arrow table, or rows as dicts, as a polars DataFrame. An index is left behind; a
    column that some rows lack is missing there. Raises SourceError for anything else.

    >>> frame([{"id": 1, "tenure": 3}, {"id": 2}]).rows()
    [(1, 3), (2, None)]
    """
    try:
        return _read(table)
    except (TypeError, ValueError, OverflowError, ImportError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"a {type(table).__name__} is not read as a table: {error}",
            where="table",
            fix="give a polars or pandas DataFrame, an Arrow table, or a list of rows as dicts",
        ) from error


def cells(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with cells that JSON has: dates as text as in training, decimals as floats, NaN as missing. Raises
    SourceError for columns whose cells are no single values.

    >>> from datetime import date
    >>> cells(pl.DataFrame({"since": [date(2024, 1, 31)], "charge": [float("nan")]})).rows()
    [('2024-01-31', None)]
    """
    return frame.select(_plain(series) for series in frame)


def _read(table: Any) -> pl.DataFrame:
    if isinstance(table, pl.DataFrame):
        return table
    if hasattr(table, "__arrow_c_stream__") and not isinstance(table, pl.Series):
        return pl.DataFrame(table)
    if isinstance(table, str) or not isinstance(table, Sequence):
        raise TypeError("it holds no rows")
    if not all(isinstance(row, Mapping) for row in table):
        raise TypeError("its rows are no dicts")
    return pl.DataFrame([dict(row) for row in table], infer_schema_length=None)


def _plain(series: pl.Series) -> pl.Series:
    series = flat(series)
    if series.dtype.is_temporal():
        return text(series)
    if series.dtype.is_decimal():
        return series.cast(pl.Float64)
    return series.fill_nan(None) if series.dtype.is_float() else series
