"""A column's values as the tests of drift read them: numbers with NaN, or counts by level."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from everfit.records.table import Kind

Floats = NDArray[np.float64]
# A numpy array as training has it, or a polars Series as the prediction log gives it: the latter is never copied into
# Python objects.
Column = NDArray[Any] | pl.Series

NUMBERS = frozenset({Kind.NUMERIC, Kind.BOOLEAN, Kind.DATE})
BUCKETS = 64
_LARGEST = float(np.finfo(np.float64).max)


class Present(NamedTuple):
    """What is there of a column of `rows` rows of which `nulls` are missing: the numbers sorted, or the rows by level;
    neither for identifiers and text."""

    rows: int
    nulls: int
    ordered: Floats | None = None
    levels: Mapping[str, int] | None = None


def present(values: Column, kind: Kind) -> Present:
    """The column read once: sorted, or counted.

    >>> present(np.array([3.0, np.nan, 1.0]), Kind.NUMERIC)
    Present(rows=3, nulls=1, ordered=array([1., 3.]), levels=None)
    """
    rows = len(values)
    if kind in NUMBERS:
        # What is missing is left out first: a sort with NaN among its values takes several times as long.
        there_is = values.drop_nulls() if isinstance(values, pl.Series) else values
        ordered = _plain(there_is, kind)
        ordered.sort()
        there = int(np.searchsorted(ordered, np.nan))  # NaN sorts behind every number
        ordered = ordered[:there]
        if there and not np.isfinite(ordered[[0, -1]]).all():
            np.clip(ordered, -_LARGEST, _LARGEST, out=ordered)
        return Present(rows, rows - there, ordered=ordered)
    if kind is Kind.CATEGORICAL:
        levels = counts(values)
        return Present(rows, rows - sum(levels.values()), levels=levels)
    return Present(rows, missing(values, kind))


def numbers(values: Column, kind: Kind) -> Floats:
    """(rows,) float64 with NaN for missing; dates become seconds since 1970.

    Infinite values become the largest finite float of their sign: they keep their rank, and JSON can hold them.

    >>> numbers(np.array(["1970-01-02", "NaT"], dtype="datetime64[us]"), Kind.DATE)
    array([86400.,    nan])
    """
    return np.clip(_plain(values, kind), -_LARGEST, _LARGEST)


def _plain(values: Column, kind: Kind) -> Floats:
    """A copy as numbers, infinities as they are."""
    if kind is Kind.DATE and (isinstance(values, pl.Series) or values.dtype.kind == "M"):
        times = (values.to_numpy() if isinstance(values, pl.Series) else values).astype("datetime64[us]")
        seconds: Floats = times.astype(np.int64) / 1e6
        return np.where(np.isnat(times), np.nan, seconds)
    if isinstance(values, pl.Series):
        return values.cast(pl.Float64).to_numpy(writable=True)
    return np.array(values, dtype=np.float64)


def counts(values: Column) -> dict[str, int]:
    """Rows by level, most frequent first and equal ones by name; missing values are left out.

    >>> counts(np.array(["b", None, "a", "b"], dtype=object))
    {'b': 2, 'a': 1}
    """
    series = values if isinstance(values, pl.Series) else pl.Series("level", values.tolist(), dtype=pl.String)
    if isinstance(series.dtype, pl.Enum):
        return _of_codes(series, series.dtype.categories.to_list())
    table = series.alias("level").value_counts()
    found = zip(table["level"].cast(pl.String).to_list(), table["count"].to_list(), strict=True)
    return dict(
        sorted(((level, rows) for level, rows in found if level is not None), key=lambda one: (-one[1], one[0]))
    )


def _of_codes(series: pl.Series, levels: list[str]) -> dict[str, int]:
    """Counts of the numbers that stand for the levels: ten times as fast as counting the levels."""
    found = np.bincount(series.to_physical().drop_nulls().to_numpy(), minlength=len(levels)).tolist()
    named = [(level, rows) for level, rows in zip(levels, found, strict=True) if rows]
    return dict(sorted(named, key=lambda one: (-one[1], one[0])))


def hashed(levels: Mapping[str, int]) -> dict[str, int]:
    """The counts by hash bucket, `#0` to `#63`.

    Naming only the most frequent levels of the reference would favour levels that were frequent by luck, so that the
    next sample would look as if it had drifted; a hash knows no frequencies.

    >>> hashed({"a": 2, "b": 1})
    {'#3': 2, '#57': 1}
    """
    buckets: dict[str, int] = {}
    for level, rows in levels.items():
        bucket = f"#{zlib.crc32(level.encode('utf-8', 'surrogatepass')) % BUCKETS}"
        buckets[bucket] = buckets.get(bucket, 0) + rows
    return buckets


def missing(values: Column, kind: Kind) -> int:
    """How many values are missing: NaN, NaT or None.

    >>> missing(np.array([1.0, np.nan]), Kind.NUMERIC), missing(np.array(["a", None], dtype=object), Kind.TEXT)
    (1, 1)
    """
    if kind in NUMBERS:
        return int(np.isnan(numbers(values, kind)).sum())
    return values.null_count() if isinstance(values, pl.Series) else list(values.tolist()).count(None)
