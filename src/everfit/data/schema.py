"""What the columns of a table are: inferred once, then held against every later table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.data.kinds import MANY, date_pattern, guess
from everfit.data.levels import coded
from everfit.data.reading import flat, read, text
from everfit.errors import SourceError
from everfit.records.table import Column, Kind, Schema

_NOUNS = {Kind.NUMERIC: "a number", Kind.BOOLEAN: "yes or no", Kind.DATE: "a date"}


def infer(frame: pl.DataFrame, kinds: Mapping[str, Kind] = {}) -> Schema:
    """The schema of a table as read; `kinds` are settled beforehand and not guessed.

    Text that reads as numbers, booleans or dates is taken as such. Where a column has more than 20 distinct values,
    95% of them suffice: `checks.check` then reports the others. Raises SourceError for nested columns and for dates
    whose day and month cannot be told apart.

    >>> schema = infer(pl.DataFrame({"id": ["a1", "b2"], "charge": ["9.5", " "], "left": ["yes", "no"]}))
    >>> [column.kind.value for column in schema.columns], schema["charge"].blanks
    (['identifier', 'numeric', 'boolean'], 1)
    """
    return Schema(tuple(_column(frame[name], kinds.get(name)) for name in frame.columns))


def _column(series: pl.Series, kind: Kind | None) -> Column:
    series = flat(series)
    blanks = _blanks(series)
    known = text(series) if series.dtype == pl.String else series
    known = (known.fill_nan(None) if known.dtype.is_float() else known).drop_nulls()
    distinct = known.unique(maintain_order=True)
    pattern = None
    if kind is None:
        kind, pattern = guess(series.name, known, distinct)
    elif kind is Kind.DATE:
        pattern = date_pattern(series.name, distinct)
    return _described(series, kind, pattern, blanks)


def _blanks(series: pl.Series) -> int:
    return int(series.str.contains(r"^\s*$").sum()) if series.dtype == pl.String else 0


def _described(series: pl.Series, kind: Kind, pattern: str | None, blanks: int) -> Column:
    values = read(series, kind, pattern).values
    levels = _levels(series, values) if kind in (Kind.CATEGORICAL, Kind.BOOLEAN) else {}
    finite = values.filter(values.is_finite()) if kind is Kind.NUMERIC else values.head(0)
    return Column(
        series.name,
        kind,
        null_share=values.null_count() / len(values) if len(values) else 0.0,
        blanks=blanks,
        distinct=values.drop_nulls().n_unique(),
        minimum=None if finite.is_empty() else _number(finite.min()),
        maximum=None if finite.is_empty() else _number(finite.max()),
        levels=tuple(levels),
        counts=tuple(levels.values()),
        whole=not finite.is_empty() and bool((finite == finite.round(0)).all()),
        format=pattern,
    )


def _number(value: object) -> float:
    return float(str(value))


def _levels(series: pl.Series, values: pl.Series) -> dict[str, int]:
    """The values as the table writes them (a boolean `Yes` stays `Yes`) and their rows, most frequent first."""
    written = text(series).filter(values.is_not_null()).rename("level")
    counts = written.value_counts().sort(["count", "level"], descending=[True, False])
    return dict(counts.head(MANY).iter_rows())


def conform(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """The schema's columns, in its order, in the types that the rest of the system expects; other columns are left
    out. Text that is blank becomes null, as do NaN and, in numbers, booleans and dates, `NA`, `null` and the like.

    Raises SourceError for an absent column and for a value that cannot be read, naming column, row and value.

    >>> table = pl.DataFrame({"tenure": ["1", ""], "left": ["yes", "no"]})
    >>> conform(table, infer(table)).rows()
    [(1.0, True), (None, False)]
    """
    return pl.DataFrame(list(conformed(frame, schema)))


def conformed(frame: pl.DataFrame, schema: Schema) -> Iterator[pl.Series]:
    """The same, one column after the other. Raises SourceError for an absent column at once, for a value when its
    column's turn comes."""
    absent = [name for name in schema.names if name not in frame.columns]
    if absent:
        raise SourceError(
            f"no column {absent[0]!r}; the table has {', '.join(frame.columns)}",
            where=f"column {absent[0]!r}",
            fix="add the column to the table, or correct its name",
        )
    return (_conformed(frame[column.name], column) for column in schema.columns)


def _conformed(series: pl.Series, column: Column) -> pl.Series:
    reading = read(series, column.kind, column.format)
    if reading.failures:
        value = series[reading.first]
        others = f" ({reading.failures - 1} more like it)" if reading.failures > 1 else ""
        raise SourceError(
            f"{value!r} is not {_NOUNS[column.kind]}{others}",
            where=f"column {column.name!r}, row {reading.first + 1}",
            fix=f"correct the value, or say in data.columns what {column.name} is",
        )
    return reading.values


def arrays(frame: pl.DataFrame, schema: Schema, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Columns of a conformed table as read-only arrays of shape (rows,): numeric and boolean float64 with NaN for
    missing, text-like object with None, dates datetime64[us] with NaT. KeyError for a name not in the schema.

    >>> table = pl.DataFrame({"left": ["yes", "no", None]})
    >>> schema = infer(table)
    >>> arrays(conform(table, schema), schema, ["left"])["left"]
    array([ 1.,  0., nan])
    """
    return {name: _array(frame[name], schema[name].kind) for name in names}


def _array(series: pl.Series, kind: Kind) -> NDArray[Any]:
    array: NDArray[Any]
    if kind in (Kind.NUMERIC, Kind.BOOLEAN):
        array = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    elif kind is Kind.DATE:
        array = series.cast(pl.Datetime("us")).to_numpy()
    elif kind is Kind.CATEGORICAL:
        array = _by_level(series)
    else:
        array = np.array(series.to_list(), dtype=object)
    array.flags.writeable = False
    return array


def _by_level(series: pl.Series) -> NDArray[Any]:
    """One text object a level, shared by its rows: several times faster and smaller than one a row."""
    kind = series.dtype
    levels, codes = coded(series, kind.categories.to_list() if isinstance(kind, pl.Enum) else ())
    shared: NDArray[Any] = np.array([*levels.to_list(), None], dtype=object)[codes]
    return shared
