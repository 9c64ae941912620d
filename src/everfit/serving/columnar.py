"""Columns of a table straight to the raw rows that a compiled encoder reads.

A text is read once for each distinct value of a column and not once a row. Where a value cannot be read or is not
possible, the long way over `conform` and the parser has to say which.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.compiled.encoding import UNKNOWN, CompiledEncoder
from everfit.data.levels import Codes, coded
from everfit.data.reading import FALSE_WORDS, TRUE_WORDS, flat, read, text
from everfit.records.table import Column, Kind, Schema
from everfit.serving.rows import RowParser

_FLAGS = tuple(form for word in (*TRUE_WORDS, *FALSE_WORDS) for form in dict.fromkeys((word, word.capitalize())))

# What a column holds, and each row's place in it where rows share values; the last value is then the missing one.
_Read = tuple[NDArray[Any], Codes | None]


def raw(table: pl.DataFrame, schema: Schema, encoder: CompiledEncoder, parser: RowParser) -> NDArray[np.float64] | None:
    """What the encoder reads, a column a line, (inputs, rows): numbers with NaN, and codes of levels. None where a
    value is unreadable or impossible. Raises SourceError for a column of lists or the like."""
    out = np.empty((len(encoder.names), table.height))
    for place, name in enumerate(encoder.names):
        codes = encoder.codes[place - encoder.numbers] if place >= encoder.numbers else None
        found = _column(table[name], schema[name], tuple(codes or ()))
        if found is None or _is_impossible(parser, name, *found):
            return None
        values, rows = found
        numbers = values if codes is None else np.array([codes.get(value, UNKNOWN) for value in values])
        if rows is None:
            out[place] = numbers
        else:
            np.take(numbers, rows, out=out[place], mode="clip")  # as no row is out of bounds, only faster than "raise"
    return out


def _column(series: pl.Series, column: Column, levels: tuple[str, ...]) -> _Read | None:
    series = flat(series)
    if column.kind is Kind.CATEGORICAL:
        return _by_level(text(series) if series.dtype != pl.String else series, column, levels)
    if column.kind is Kind.BOOLEAN and series.dtype == pl.String:
        return _by_level(series, column, _FLAGS)
    plain = series.dtype.is_integer() or series.dtype.is_float() or series.dtype == pl.Boolean
    if plain and column.kind in (Kind.NUMERIC, Kind.BOOLEAN):
        values = _numbers(series)
        if column.kind is Kind.BOOLEAN and not np.isin(values, (0.0, 1.0)).all(where=values == values):
            return None
        return values, None
    reading = read(series, column.kind, column.format)
    return None if reading.failures else (_numbers(reading.values), None)


def _by_level(series: pl.Series, column: Column, known: tuple[str, ...]) -> _Read | None:
    levels, rows = coded(series, known)
    values = _usual(known, column.kind) if len(levels) == len(known) else _values(levels, column.kind)
    return None if values is None else (values, rows)


def _values(levels: pl.Series, kind: Kind) -> NDArray[Any] | None:
    reading = read(levels, kind)
    if reading.failures:
        return None
    values = pl.concat([reading.values, reading.values.clear(1)])
    return _numbers(values) if kind is Kind.BOOLEAN else np.array(values.to_list(), dtype=object)


@lru_cache(maxsize=1024)
def _usual(known: tuple[str, ...], kind: Kind) -> NDArray[Any] | None:
    """The same for the levels that each piece of a table holds."""
    return _values(pl.Series(known, dtype=pl.String), kind)


def _numbers(values: pl.Series) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values.cast(pl.Float64).to_numpy()
    return found  # null as NaN


def _is_impossible(parser: RowParser, name: str, values: NDArray[Any], rows: Codes | None) -> bool:
    found = parser.plan(name).impossible(values)
    return bool(found.any()) and (rows is None or bool(found[rows].any()))
